"""Small pictures to learn from, or to predict as they are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hitofude.errors import InputError
from hitofude.inputs.formats.picture_file import open_picture
from hitofude.inputs.layout import ReadOptions, describe_size

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 50_000_000
MOST_SIDE = 128
"""Pixels; larger pictures are learned from only where the user says to which size they are brought."""
WHITE = (255, 255, 255, 255)


def read_picture(
    source: Path | bytes, name: str, expected: ReadOptions, most_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """(H, W, C) values from 0 to 255; C is 1 where all of the picture is grey, else 3.

    name: how messages call it. expected: its shape is what the picture is brought to. most_pixels: by what the file
    says of itself. It is turned as its EXIF entry says; what is transparent is laid on white; of several frames it is
    the first.

    Raises InputError where it is no picture, damaged, too large, or unlike the images that it must fit.
    """
    with open_picture(source, name, most_pixels) as picture:
        pixels = _pixels(picture, expected)
    height, width, channels = pixels.shape
    if expected.like is None:
        if max(height, width) > MOST_SIDE and expected.shape is None:
            raise InputError(
                f"{name}: {height}x{width} pixels, and small images are learned from, up to {MOST_SIDE}x{MOST_SIDE}. "
                "Bring them to a size with --shape HEIGHTxWIDTH, such as --shape 64x64."
            )
        return pixels
    wanted, wanted_height, wanted_width = expected.like
    if (height, width) != (wanted_height, wanted_width):
        raise InputError(
            f"{name}: {height}x{width} pixels, but the training images have {describe_size(expected.like)}. "
            f"Bring the pictures to that size with --shape {wanted_height}x{wanted_width}."
        )
    if channels > wanted:
        raise InputError(
            f"{name}: the picture is in colour, the training images are grey. "
            f"Make the pictures grey with --shape {wanted_height}x{wanted_width}x1."
        )
    return pixels


def stack_pictures(
    pictures: Sequence[NDArray[np.uint8]], names: Sequence[str], expected: ReadOptions
) -> NDArray[np.uint8]:
    """Pictures (H, W, C) of one size → (N, H, W, C); grey ones among others are given three channels.

    Raises InputError naming the first that has another size than the first of all.
    """
    first = pictures[0].shape[:2]
    for name, picture in zip(names, pictures, strict=True):
        if picture.shape[:2] != first:
            raise InputError(
                f"{name}: {picture.shape[0]}x{picture.shape[1]} pixels, but {names[0]} has {first[0]}x{first[1]}. "
                "Images of one size are learned from; bring all to one with --shape HEIGHTxWIDTH."
            )
    least = expected.like[0] if expected.like else expected.channels or 1
    channels = max(least, max(picture.shape[2] for picture in pictures))
    stacked = np.empty((len(pictures), *first, channels), dtype=np.uint8)
    for place, picture in enumerate(pictures):
        stacked[place] = picture
    return stacked


def _pixels(picture: Image.Image, expected: ReadOptions) -> NDArray[np.uint8]:
    """(H, W, C) of the size and the channels that the user says."""
    plain = _plain(ImageOps.exif_transpose(picture))
    if expected.channels == 1:
        plain = plain.convert("L")
    if expected.size is not None:
        height, width = expected.size
        plain = plain.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(plain, dtype=np.uint8).reshape(plain.height, plain.width, -1)
    is_grey = bool((pixels == pixels[:, :, :1]).all())
    return pixels[:, :, :1] if is_grey else pixels


def _plain(picture: Image.Image) -> Image.Image:
    """In grey or in red, green and blue, eight bits each."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels have the mode {picture.mode}; save it with 8 bits a channel")
    if picture.has_transparency_data:
        on_white = Image.new("RGBA", picture.size, WHITE)
        on_white.alpha_composite(picture.convert("RGBA"))
        return on_white.convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
