"""A photo opened: one picture, upright, not too large, on its ground."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hitofude.errors import InputError
from hitofude.inputs.formats.picture_file import open_picture

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".heic", ".heif", ".svg", ".pdf", ".eps", ".psd",
)  # fmt: skip
"""From .heic on they are not read, but the message then speaks of pictures."""
READ_PIXELS = 120_000_000
"""By what the file says, before anything is decoded: more than nearly all phones' cameras have."""
KEPT_PIXELS = 4_000_000
"""A larger picture is reduced to this, in which a digit of a page full of them is still 40 pixels high."""


def is_picture(path: Path) -> bool:
    """By its name's ending."""
    return path.suffix.lower() in SUFFIXES


def read_photo_file(source: Path | bytes, name: str | None = None, most_pixels: int = READ_PIXELS) -> NDArray[np.uint8]:
    """(H, W, 3) the picture upright, large ones reduced, transparent ones on a ground that their ink is seen on.

    name: how messages call it, the path where it is left out. most_pixels: by what the file says of itself. Raises
    InputError for what is no picture, is damaged, too large, or more than one picture.
    """
    name = str(source) if name is None else name
    with open_picture(source, name, most_pixels) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # phones put a second one behind a JPEG, for the brightest parts
            raise InputError(f"{name}: it holds {frames} pictures. Save the one to read as a picture of its own.")
        return _on_its_ground(_upright(picture))


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as the camera says, reduced, and of 8 bits a channel."""
    factor = max(1, math.ceil(math.sqrt(picture.width * picture.height / KEPT_PIXELS)))
    picture.draft(None, (picture.width // factor, picture.height // factor))
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    factor = max(1, math.ceil(math.sqrt(upright.width * upright.height / KEPT_PIXELS)))
    if upright.mode.startswith(("I", "F")):
        upright = _in_bytes(upright)
    upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    return upright.reduce(factor) if factor > 1 else upright


def _in_bytes(picture: Image.Image) -> Image.Image:
    """A picture of 16 bits or of fractions, its darkest to its brightest over 0 to 255."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / max(high - low, 1e-6))
    return Image.fromarray(scaled.astype(np.uint8))


def _on_its_ground(picture: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) the picture, and behind what is transparent the ground that it was drawn for.

    Where most of it is opaque, that is a sheet of paper and its colour goes on; else it is ink, seen on the farther
    of black and white.
    """
    pixels = np.asarray(picture)
    if picture.mode == "RGB":
        return pixels
    colours, opacity = pixels[..., :3].astype(np.float32), pixels[..., 3:].astype(np.float32) / 255
    opaque = opacity[..., 0] > 0.5
    if not opaque.any():
        return np.full(colours.shape, 255, dtype=np.uint8)
    if opaque.mean() > 0.5:
        ground = np.median(colours[opaque], axis=0)
    else:
        ground = np.full(3, 255.0 if colours[opaque].mean() < 128 else 0.0)
    flattened: NDArray[np.uint8] = (ground + (colours - ground) * opacity).round().astype(np.uint8)
    return flattened
