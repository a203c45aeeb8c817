"""From rows of pixels, and from arrays with their axes in any usual order, to images (N, C, H, W)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError

Shape = tuple[int, ...]
"""(H, W), or (H, W, C): how the pixels of a row stand, the channels of a pixel side by side."""
ImageShape = tuple[int, int, int]
"""(C, H, W)"""
CHANNELS = (1, 3)


@dataclass(frozen=True)
class ReadOptions:
    """What is known of a file before it is read."""

    label: str | None = None
    """The label column's name, `label` without it."""
    shape: Shape | None = None
    """As the user says."""
    like: ImageShape | None = None
    """Of the images that these must fit."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) as the user says."""
        return None if self.shape is None else (self.shape[0], self.shape[1])

    @property
    def channels(self) -> int | None:
        """As the user says."""
        return self.shape[2] if self.shape is not None and len(self.shape) == 3 else None


def check_shape(shape: Shape | None) -> None:
    """Raises InputError for anything but (H, W) and (H, W, 1 or 3)."""
    if shape is None:
        return
    if len(shape) not in (2, 3) or min(shape) < 1 or (len(shape) == 3 and shape[2] not in CHANNELS):
        raise InputError(f"shape {shape}: expected (height, width), or (height, width, 3) for colour.")


def image_shape_of(images: NDArray[np.uint8]) -> ImageShape:
    """(N, C, H, W) → (C, H, W)"""
    channels, height, width = images.shape[1:]
    return channels, height, width


def describe_size(image_shape: ImageShape) -> str:
    """28x28, or 28x28x3 in colour."""
    channels, height, width = image_shape
    return f"{height}x{width}" + (f"x{channels}" if channels > 1 else "")


def images_of_rows(pixels: NDArray[np.uint8], name: str, expected: ReadOptions) -> NDArray[np.uint8]:
    """(N, P) → (N, C, H, W). In colour the three values of a pixel stand side by side, as NumPy flattens (H, W, 3).

    name: how messages call the file. Raises InputError where P is another number than the size makes.
    """
    height, width, channels = _layout_of_rows(pixels.shape[1], name, expected)
    return channels_first(pixels.reshape(len(pixels), height, width, channels))


def images_of_array(array: NDArray[np.uint8], name: str, expected: ReadOptions) -> NDArray[np.uint8]:
    """(N, P), (N, H, W), (N, C, H, W) or (N, H, W, C) → (N, C, H, W), C being 1 or 3.

    Raises InputError for any other shape, and for images of another size than is expected.
    """
    if array.ndim == 2:
        return images_of_rows(array, name, expected)
    if array.ndim == 3:
        images = array[:, None]
    elif array.ndim == 4 and _is_channels_first(array.shape[1:], expected):
        images = array
    elif array.ndim == 4 and array.shape[3] in CHANNELS:
        images = array.transpose(0, 3, 1, 2)
    else:
        raise InputError(f"{name}: found {_describe(array)}; expected {_usual_shapes(expected)}.")
    found, size = images.shape[1:], expected.size
    if (expected.like is not None and found != expected.like) or (size is not None and found[1:] != size):
        raise InputError(f"{name}: found {_describe(array)}; expected {_usual_shapes(expected)}.")
    if 0 in images.shape:
        raise InputError(f"{name}: found {_describe(array)}; there is no image in it.")
    return _own(images)


def channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, C) → (N, C, H, W)"""
    return _own(images.transpose(0, 3, 1, 2))


def _own(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """In one piece and writable, as PyTorch wants it; a copy only where that is needed."""
    return np.require(images, requirements=["C", "W"])


def _layout_of_rows(pixels: int, name: str, expected: ReadOptions) -> tuple[int, int, int]:
    """(H, W, C)"""
    if expected.like is not None:
        channels, height, width = expected.like
        if pixels != math.prod(expected.like):
            raise InputError(
                f"{name}: {pixels} pixel columns, but the training images have {math.prod(expected.like)} "
                f"({describe_size(expected.like)}). Are these images of the same kind?"
            )
        return height, width, channels
    side = math.isqrt(pixels)
    height, width = expected.size or (side, side)
    channels = expected.channels or 1
    if height * width * channels != pixels:
        asked = "x".join(map(str, expected.shape or ()))
        found = f"{asked} makes {height * width * channels}" if asked else "that is not a square number"
        raise InputError(
            f"{name}: {pixels} pixel columns; {found}. Give the images' size with --shape HEIGHTxWIDTH"
            f"{_suggest_colour(pixels, expected.size)}."
        )
    return height, width, channels


def _suggest_colour(pixels: int, size: tuple[int, int] | None) -> str:
    side = math.isqrt(pixels // 3)
    height, width = size or (side, side)
    return f", in colour --shape {height}x{width}x3" if height * width * 3 == pixels else ""


def _is_channels_first(shape: tuple[int, ...], expected: ReadOptions) -> bool:
    """Of (C, H, W) against (H, W, C), where either could be meant: as these images must be, else the first."""
    if expected.like is not None and shape != expected.like:
        return False
    return shape[0] in CHANNELS


def _describe(array: NDArray[np.uint8]) -> str:
    return f"the shape ({', '.join(map(str, array.shape))})"


def _usual_shapes(expected: ReadOptions) -> str:
    if expected.like is None:
        return "(N, pixels), (N, height, width), (N, 1 or 3, height, width) or (N, height, width, 3)"
    channels, height, width = expected.like
    flat = f"(N, {channels * height * width})"
    if channels == 1:
        return f"(N, 1, {height}, {width}), (N, {height}, {width}) or {flat}"
    return f"(N, {channels}, {height}, {width}), (N, {height}, {width}, {channels}) or {flat}"
