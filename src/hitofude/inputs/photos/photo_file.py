"""Read the file of a photo: one picture, upright, of bounded size, on an opaque background."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hitofude.errors import InputError
from hitofude.inputs.formats.pictures import open_picture

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".heic", ".heif", ".svg", ".pdf", ".eps", ".psd",
)  # fmt: skip
"""Those from .heic on cannot be read, but get a message about pictures."""
MAX_PIXELS = 120_000_000
"""The limit on the size in the file's header, checked before decoding: more than nearly all phone cameras have."""
REDUCED_PIXELS = 4_000_000
"""A larger picture is reduced to this; a digit on a full page is then still 40 pixels high."""


def is_picture(path: Path) -> bool:
    """Whether the name ends like a picture's."""
    return path.suffix.lower() in SUFFIXES


def read_photo_file(source: Path | bytes, name: str | None = None, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) upright, reduced if large, transparent pixels on a background that contrasts.

    name: the name for messages, by default the path. max_pixels: the limit on the size in the file's header. Raises
    InputError if the file is not a picture, is damaged or too large, or holds several pictures.
    """
    name = str(source) if name is None else name
    with open_picture(source, name, max_pixels) as picture:
        frames = getattr(picture, "n_frames", 1)
        if frames > 1 and picture.format != "MPO":  # phones append a second picture to a JPEG, for HDR
            raise InputError(f"{name}: holds {frames} pictures, expected one. Save the one to read as a separate file.")
        return _on_background(_upright(picture))


def _upright(picture: Image.Image) -> Image.Image:
    """Rotate by the EXIF orientation, reduce, and convert to 8 bits a channel."""
    factor = max(1, math.ceil(math.sqrt(picture.width * picture.height / REDUCED_PIXELS)))
    picture.draft(None, (picture.width // factor, picture.height // factor))
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    factor = max(1, math.ceil(math.sqrt(upright.width * upright.height / REDUCED_PIXELS)))
    if upright.mode.startswith(("I", "F")):
        upright = _to_bytes(upright)
    upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    return upright.reduce(factor) if factor > 1 else upright


def _to_bytes(picture: Image.Image) -> Image.Image:
    """Scale a picture of 16 bits or floats from its own range to 0..255."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255 / max(high - low, 1e-6))
    return Image.fromarray(scaled.astype(np.uint8))


def _on_background(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the picture (H, W, 3) with a background behind its transparent pixels.

    A mostly opaque picture is a sheet of paper, whose colour is continued; otherwise the opaque pixels are ink, put on
    black or white, whichever contrasts more.
    """
    pixels = np.asarray(picture)
    if picture.mode == "RGB":
        return pixels
    colours, opacity = pixels[..., :3].astype(np.float32), pixels[..., 3:].astype(np.float32) / 255
    opaque = opacity[..., 0] > 0.5
    if not opaque.any():
        return np.full(colours.shape, 255, dtype=np.uint8)
    if opaque.mean() > 0.5:
        background = np.median(colours[opaque], axis=0)
    else:
        background = np.full(3, 255.0 if colours[opaque].mean() < 128 else 0.0)
    flattened: NDArray[np.uint8] = (background + (colours - background) * opacity).round().astype(np.uint8)
    return flattened
