"""The layout of images: rows of pixels, and arrays with their axes in any usual order, become (N, C, H, W)."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.scale import PixelScale
from hitofude.language.translation import note

Shape = tuple[int, ...]
"""(H, W), or in colour (H, W, 3) or (3, H, W): in rows of pixels the channels side by side, or plane by plane."""
ImageShape = tuple[int, int, int]
"""(C, H, W)"""
CHANNELS = (1, 3)
SHAPE_PATTERN = r"^([1-9]\d{0,3}x[1-9]\d{0,3}(x[13])?|3x[1-9]\d{0,3}x[1-9]\d{0,3})$"
"""HEIGHTxWIDTH, or in colour HEIGHTxWIDTHx3 or 3xHEIGHTxWIDTH."""
MOST_COMPARED = 200
"""Rows, to find out how their colours are laid out."""
EMNIST = re.compile(
    r"(?<![a-z])(emnist[^/\\]*(\.csv|\.csv\.gz|\.txt|\.mat(/.*)?|-ubyte|-ubyte\.gz)"
    r"|csv(train|test)images \d+x1024\.csv)$",
    re.IGNORECASE,
)
"""Files whose images are stored columns first: those of EMNIST and of AHCD."""
UPRIGHT_AT_ONCE = 4096
"""Images."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read a file of images."""

    label: str | None = None
    """The label column's name; `label` if None."""
    shape: Shape | None = None
    """The size that the user asks for."""
    like: ImageShape | None = None
    """The shape that the images must have."""
    groups: str | None = None
    """The column that names each row's group."""
    folds: str | None = None
    """The column that names each row's fold."""
    weights: str | None = None
    """The column that holds each row's weight in the loss."""
    header: bool | None = None
    """Whether a table's first line names its columns; None to look."""
    ignore: tuple[str, ...] = ()
    """The columns to leave aside."""
    usual_label: str | None = None
    """The label column of the files that a run learned from; a file to predict may have it."""
    usual_ignore: tuple[str, ...] = ()
    """The columns that were left aside in them."""
    transpose: bool | None = None
    """Whether rows and columns of the images are exchanged; None if only files known to be so are."""
    scale: PixelScale | None = None
    """The numbers that are black and white; None to look."""
    behind: int | None = None
    """The grey put behind transparent pixels, 255 or 0; None to look."""
    planes: bool | None = None
    """Whether rows of pixels in colour are red, then green, then blue, if the shape does not say; None to look."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) that the user asks for."""
        if self.shape is None:
            return None
        return (self.shape[1], self.shape[2]) if _is_shape_of_planes(self.shape) else (self.shape[0], self.shape[1])

    @property
    def channels(self) -> int | None:
        """The number of channels that the user asks for."""
        if self.shape is None or len(self.shape) < 3:
            return None
        return 3 if _is_shape_of_planes(self.shape) else self.shape[2]

    @property
    def label_column(self) -> str:
        return self.label or "label"

    @property
    def missing_labels(self) -> str:
        """The complaint about a table without the label column."""
        return f"there is no column '{self.label_column}', and training needs one. Name it with --label."


def parse_shape(text: str | None) -> Shape | None:
    """'24x32' → (24, 32), '24x32x3' → (24, 32, 3). Raise RecipeError for anything else."""
    if text is None:
        return None
    if re.fullmatch(SHAPE_PATTERN, text) is None:
        raise RecipeError(
            f"--shape {text}: expected HEIGHTxWIDTH in pixels, such as 28x28, or in colour 28x28x3, or 3x28x28 for "
            "rows of pixels that are red, then green, then blue."
        )
    return tuple(map(int, text.split("x")))


def check_shape(shape: Shape | None) -> None:
    """Raise InputError for anything but (H, W), (H, W, 1 or 3) and (3, H, W)."""
    if shape is None or (len(shape) == 3 and min(shape) > 0 and _is_shape_of_planes(shape)):
        return
    if len(shape) < 2 or min(shape) < 1 or tuple(shape[2:]) not in ((), (1,), (3,)):
        raise InputError(
            f"shape {shape}: expected (height, width), or (height, width, 3) or (3, height, width) in colour."
        )


def _is_shape_of_planes(shape: Shape) -> bool:
    """Whether it is (3, H, W); (3, H, 3) and (3, H, 1) have their channels last."""
    return len(shape) == 3 and shape[0] == 3 and shape[2] not in CHANNELS


def describe_size(image_shape: ImageShape) -> str:
    """28x28, or 28x28x3 in colour."""
    channels, height, width = image_shape
    return f"{height}x{width}" + (f"x{channels}" if channels > 1 else "")


@dataclass(frozen=True, eq=False)
class LaidOut:
    """Images, and how they lay in their file."""

    images: NDArray[Any]  # (N, C, H, W)
    planes: bool | None = None
    """Whether they were rows of pixels that are red, then green, then blue; None if they were no rows in colour."""
    reading: tuple[str, ...] = ()
    """The same in words, if it had to be found out."""


def lay_out(array: NDArray[Any], name: str, options: ReadOptions, *, in_place: bool = False) -> LaidOut:
    """(N, P), (N, H, W), (N, C, H, W) or (N, H, W, C) → (N, C, H, W); C is 1 or 3.

    In rows (N, P) the colours of a pixel lie side by side, as NumPy flattens (H, W, 3), or plane by plane, as in CIFAR:
    in the layout in which neighbouring pixels differ less. If both orders of the axes are possible, choose the one that
    `options.like` asks for, else (N, C, H, W).

    name: the file, for messages. in_place: whether rows may be rearranged, for lack of a second memory. Raise
    InputError for any other shape, and for images of another size than the options ask for.
    """
    if array.ndim == 2:
        return _lay_out_rows(array, name, options, in_place=in_place)
    return LaidOut(_images_of_axes(array, name, options))


def check_pixel_count(count: int, name: str, options: ReadOptions) -> None:
    """Raise InputError if rows of so few or many pixels are no images of the size."""
    _shape_of_rows(count, name, options)


def _lay_out_rows(pixels: NDArray[Any], name: str, options: ReadOptions, *, in_place: bool) -> LaidOut:
    """(N, P) → (N, C, H, W)"""
    channels, height, width = _shape_of_rows(pixels.shape[1], name, options)
    turned, count = is_transposed(name, options), len(pixels)
    stored = (width, height) if turned else (height, width)
    planes = None if channels == 1 or not count else _are_planes(pixels, (channels, *stored), options)
    if planes:
        images = _contiguous(pixels.reshape(count, channels, *stored))
    else:
        images = channels_first(pixels.reshape(count, *stored, channels))
    images = _upright(images, in_place=in_place) if turned else images
    is_known = planes is None or options.planes is not None or options.channels is not None
    return LaidOut(images, planes, () if is_known else (_say_colours(f"{height}x{width}", name, planes=bool(planes)),))


def _say_colours(size: str, name: str, *, planes: bool) -> str:
    file = name.rpartition("/")[2]
    if planes:
        return note(
            "{file}: rows of {size} red, then green, then blue values; --shape {other} if not",
            file=file, size=size, other=f"{size}x3",
        )  # fmt: skip
    return note(
        "{file}: rows of pixels of {size}, each of red, green and blue; --shape {other} if not",
        file=file, size=size, other=f"3x{size}",
    )  # fmt: skip


def _shape_of_rows(count: int, name: str, options: ReadOptions) -> ImageShape:
    """(C, H, W) of rows of `count` pixels. Raise InputError if they do not match the size."""
    side, third = math.isqrt(count), math.isqrt(count // 3)
    if options.like is not None:
        channels, height, width = options.like
    elif options.size is None and options.channels is None and count == 3 * third**2:
        channels, height, width = 3, third, third
    else:
        channels, (height, width) = options.channels or 1, options.size or (side, side)
        if options.channels is None and count == 3 * height * width:
            channels = 3
    if channels * height * width != count:
        raise InputError(f"{name}: {count} pixel columns{_explain_pixels(count, options)}")
    return channels, height, width


def _are_planes(pixels: NDArray[Any], shape: ImageShape, options: ReadOptions) -> bool:
    """Whether rows in colour are planes of one colour each: as asked, else if neighbours then differ less."""
    if options.shape is not None and len(options.shape) == 3:
        return _is_shape_of_planes(options.shape)
    if options.planes is not None:
        return options.planes
    channels, height, width = shape
    rows = np.linspace(0, len(pixels) - 1, min(len(pixels), MOST_COMPARED)).astype(np.int64)
    some = pixels[rows].astype(np.float32)
    planes = some.reshape(len(rows), channels, height, width)
    pixelwise = some.reshape(len(rows), height, width, channels).transpose(0, 3, 1, 2)
    return _roughness(planes) < _roughness(pixelwise)


def _roughness(images: NDArray[np.float32]) -> float:
    """The mean difference of neighbours in images (N, C, H, W)."""
    across, down = np.abs(np.diff(images, axis=3)), np.abs(np.diff(images, axis=2))
    return float(across.sum() + down.sum())


def _images_of_axes(array: NDArray[Any], name: str, options: ReadOptions) -> NDArray[Any]:
    """(N, H, W), (N, C, H, W) or (N, H, W, C) → (N, C, H, W)"""
    images, like, transposed = None, options.like, is_transposed(name, options)
    if transposed and like is not None:
        like = like[0], like[2], like[1]  # as stored
    if array.ndim == 3:
        images = array[:, None]
    elif array.ndim == 4 and array.shape[1] in CHANNELS and like in (None, array.shape[1:]):
        images = array
    elif array.ndim == 4 and array.shape[3] in CHANNELS:
        images = array.transpose(0, 3, 1, 2)
    if images is not None and transposed:
        images = images.swapaxes(2, 3)
    found = f"{name}: found the shape ({', '.join(map(str, array.shape))})"
    if array.ndim == 5 or (images is None and array.ndim == 4 and len(set(array.shape[1:])) == 1):
        raise InputError(
            f"{found}: these are volumes, which are not supported. Save slices of them, (N, height, width)."
        )
    if images is None or options.like not in (None, images.shape[1:]) or options.size not in (None, images.shape[2:]):
        raise InputError(f"{found}; expected {_usual_shapes(options.like)}.")
    if 0 in images.shape:
        raise InputError(f"{found}; there are no images in it.")
    return _contiguous(images)


def is_transposed(name: str, options: ReadOptions) -> bool:
    """Whether rows and columns of a file's images are exchanged: as asked, else in EMNIST's own formats.

    name: the file's path, its member included. NIST made EMNIST's .mat in MATLAB, which stores columns first, and from
    it the IDX and CSV files.
    """
    return bool(EMNIST.search(name)) if options.transpose is None else options.transpose


def _upright(images: NDArray[Any], *, in_place: bool) -> NDArray[Any]:
    """(N, C, W, H) → (N, C, H, W), in the same memory if that is allowed and they are square."""
    if not in_place or images.shape[2] != images.shape[3]:
        return _contiguous(images.swapaxes(2, 3))
    for start in range(0, len(images), UPRIGHT_AT_ONCE):
        part = images[start : start + UPRIGHT_AT_ONCE]
        part[...] = part.swapaxes(2, 3).copy()
    return images


def channels_first(images: NDArray[Any]) -> NDArray[Any]:
    """(N, H, W, C) → (N, C, H, W)"""
    return _contiguous(images.transpose(0, 3, 1, 2))


def join_images(images: Sequence[NDArray[Any]], names: Sequence[str], channels: int = 1) -> NDArray[Any]:
    """Concatenate arrays of images (n, C, H, W); grey ones among others, or if `channels` is 3, get three channels.

    names: the first image of each array, for messages. Raise InputError naming the first of another size.
    """
    height, width = images[0].shape[2:]
    for name, array in zip(names, images, strict=True):
        if array.shape[2:] != (height, width):
            raise InputError(
                f"{name}: {array.shape[2]}x{array.shape[3]} pixels, but {names[0]} has {height}x{width}. "
                "All images must have the same size; resize pictures with --shape HEIGHTxWIDTH."
            )
    channels = max(channels, *(array.shape[1] for array in images))
    joined = [np.broadcast_to(array, (len(array), channels, height, width)) for array in images]
    return _contiguous(np.concatenate(joined))


def _contiguous(images: NDArray[Any]) -> NDArray[Any]:
    """Make the array contiguous and writable, as PyTorch needs it; copy only if necessary."""
    return np.require(images, requirements=["C", "W"])


def _explain_pixels(count: int, options: ReadOptions) -> str:
    if options.like is not None:
        expected = f"{math.prod(options.like)} ({describe_size(options.like)})"
        return f", but the training images have {expected}. Are these images of the same kind?"
    found = "that is not a square number"
    if options.shape is not None:
        found = f"{'x'.join(map(str, options.shape))} makes {math.prod(options.shape)}"
    side = math.isqrt(count // 3)
    height, width = options.size or (side, side)
    colour = f", in colour --shape {height}x{width}x3" if height * width * 3 == count else ""
    return f"; {found}. Give the images' size with --shape HEIGHTxWIDTH{colour}."


def _usual_shapes(like: ImageShape | None) -> str:
    if like is None:
        return "(N, pixels), (N, height, width), (N, 1 or 3, height, width) or (N, height, width, 3)"
    channels, height, width = like
    second = f"(N, {height}, {width})" if channels == 1 else f"(N, {height}, {width}, {channels})"
    return f"(N, {channels}, {height}, {width}), {second} or (N, {channels * height * width})"
