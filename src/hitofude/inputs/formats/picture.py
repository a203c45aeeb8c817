"""Small pictures to train on, or to predict as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.formats.picture_file import open_picture
from hitofude.inputs.layout import ReadOptions, channels_first, describe_size, join_images

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_PIXELS = 50_000_000
MOST_SIDE = 128
"""Pixels; larger pictures are accepted only if the user gives the size to resize them to."""
WHITE = (255, 255, 255, 255)


def read_picture(
    source: Path | bytes, name: str, options: ReadOptions, most_pixels: int = MOST_PIXELS
) -> NDArray[np.uint8]:
    """(H, W, C) values from 0 to 255; C is 1 if all of the picture is grey, else 3.

    name: the file, for messages. options: the picture is resized to their shape. most_pixels: compared with the size in
    the header. The picture is turned as its EXIF entry says and laid on white; of several frames the first is read.

    Raise InputError if it is not a picture, damaged, too large, or of another shape than `options.like`.
    """
    with open_picture(source, name, most_pixels) as picture:
        pixels = _pixels(picture, options)
    height, width, channels = pixels.shape
    found = f"{name}: {height}x{width} pixels"
    if options.like is None:
        if max(height, width) > MOST_SIDE and options.shape is None:
            raise InputError(f"{found}, more than {MOST_SIDE}x{MOST_SIDE}. Resize them, such as with --shape 64x64.")
        return pixels
    size = f"{options.like[1]}x{options.like[2]}"
    if (height, width) != options.like[1:]:
        wanted = describe_size(options.like)
        raise InputError(f"{found}, but the training images have {wanted}. Resize them with --shape {size}.")
    if channels > options.like[0]:
        raise InputError(f"{name}: in colour, but the training images are grey. Make them grey with --shape {size}x1.")
    return pixels


def read_pictures(sources: Sequence[Path | bytes], names: Sequence[str], options: ReadOptions) -> NDArray[np.uint8]:
    """(N, C, H, W) of pictures of one size. Raise InputError naming the first whose size differs."""
    pictures = [read_picture(source, name, options)[None] for source, name in zip(sources, names, strict=True)]
    least = options.like[0] if options.like else options.channels or 1
    return join_images([channels_first(picture) for picture in pictures], names, least)


def _pixels(picture: "Image.Image", options: ReadOptions) -> NDArray[np.uint8]:
    """(H, W, C) of the size and the channels that the user asks for."""
    from PIL import Image, ImageOps

    plain = _plain(ImageOps.exif_transpose(picture))
    if options.channels == 1:
        plain = plain.convert("L")
    if options.size is not None:
        height, width = options.size
        plain = plain.resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(plain, dtype=np.uint8).reshape(plain.height, plain.width, -1)
    is_grey = bool((pixels == pixels[:, :, :1]).all())
    return pixels[:, :, :1] if is_grey else pixels


def _plain(picture: "Image.Image") -> "Image.Image":
    """Convert to grey or to RGB, eight bits a channel."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels have the mode {picture.mode}; save it with 8 bits a channel")
    if picture.has_transparency_data:
        on_white = Image.new("RGBA", picture.size, WHITE)
        on_white.alpha_composite(picture.convert("RGBA"))
        return on_white.convert("RGB")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")
