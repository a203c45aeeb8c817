"""Scikit-learn's X: rows of numbers, or stacks of images, become images of bytes."""

import math
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.layout import CHANNELS, ImageShape

SMALLEST_SIDE = 4
"""Smaller images get a black margin; it is the least that every network takes."""


def choose_image_shape(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> ImageShape:
    """(C, H, W) of the images in an array of this shape: (N, pixels), (N, H, W) or (N, C, H, W).

    wanted: (H, W) or (C, H, W); if None, rows of pixels become the smallest square that holds them. Raise InputError
    if the array does not match.
    """
    asked = None if wanted is None else _with_channels(wanted, "image_shape")
    if len(shape) == 2:
        side = math.isqrt(shape[1] - 1) + 1
        if asked and math.prod(asked) != shape[1]:
            raise InputError(f"X has {shape[1]} pixels a row, and image_shape={wanted} needs {math.prod(asked)}.")
        return asked or (1, side, side)
    found = _with_channels(shape[1:], "X")
    if asked and asked != found:
        raise InputError(f"The images of X are {found} as (channels, height, width), and image_shape={wanted}.")
    return found


def to_images(pixels: NDArray[np.uint8], shape: ImageShape) -> NDArray[np.uint8]:
    """(N, pixels) → (N, C, H, W), filling up with black after the last pixel and around images below 4×4."""
    missing = math.prod(shape) - pixels.shape[1]
    images = np.pad(pixels, ((0, 0), (0, missing))).reshape(-1, *shape)
    margins = [divmod(max(0, SMALLEST_SIDE - side), 2) for side in shape[1:]]
    return np.pad(images, ((0, 0), (0, 0), *((half, half + odd) for half, odd in margins)))


def _with_channels(shape: tuple[int, ...], name: str) -> ImageShape:
    """(H, W) or (C, H, W) → (C, H, W)."""
    is_shape = isinstance(shape, Sequence) and all(isinstance(size, Integral) and size > 0 for size in shape)
    if not is_shape or len(shape) not in (2, 3):
        raise InputError(f"{name} has images of {shape}. Expected (height, width) or (channels, height, width).")
    channels, height, width = map(int, shape if len(shape) == 3 else (1, *shape))
    if channels not in CHANNELS:
        last = " Channels come first: X.transpose(0, 3, 1, 2)." if width in CHANNELS else ""
        raise InputError(f"{name} has images of {channels} channels; expected 1 (grey) or 3 (colour).{last}")
    return channels, height, width
