"""A photo, a scan or a drawing becomes small images: the digits in it, as a network learned to see them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.photos.found_digits import find_digits
from hitofude.inputs.photos.ink import find_ink
from hitofude.inputs.photos.mnist_format import to_image
from hitofude.inputs.photos.photo_file import read_photo_file

MOST = 1000
"""Digits in a picture."""
LONGEST = 100
"""How many times longer than wide a picture may be; a thousand digits in lines need less."""
BLACK = 16
"""What is darker than this is black, of 255."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture and the digits found in it, in reading order."""

    path: Path
    picture: NDArray[np.uint8]  # (H, W, 3)
    boxes: tuple[tuple[int, int, int, int], ...]  # top, left, bottom, right; the end is not part of it
    images: NDArray[np.uint8]  # (N, 1, H, W) what a network sees

    @property
    def ids(self) -> list[str]:
        """Such as `photo.png#1`."""
        return [f"{self.path}#{number}" for number in range(1, len(self.images) + 1)]

    def as_image_set(self) -> ImageSet:
        return ImageSet(self.images, None, np.array(self.ids), ())


def read_photo(path: Path, shape: tuple[int, int]) -> Photo:
    """The digits in a picture as images of the shape (H, W).

    A grey picture of that very size, light on black, is taken as it is. Raises InputError for a picture that cannot be
    read, or in which nothing is found.
    """
    return find_in_photo(read_photo_file(path), path, shape)


def find_in_photo(pixels: NDArray[np.uint8], path: Path, shape: tuple[int, int], most: int = MOST) -> Photo:
    """As read_photo, for a picture (H, W, 3) that is read already.

    path: how messages call it. most: digits. Raises InputError where nothing is found in it, or more.
    """
    if _is_made_already(pixels, shape):
        return Photo(path, pixels, ((0, 0, *shape),), pixels[None, None, :, :, 0].copy())
    if max(pixels.shape[:2]) > LONGEST * min(pixels.shape[:2]):
        raise InputError(
            f"{path}: {pixels.shape[1]:,} x {pixels.shape[0]:,} pixels is a strip more than {LONGEST} times as long as "
            "wide. Name a part of it."
        )
    ink = find_ink(pixels)
    digits = [] if ink is None else find_digits(ink.mask)
    if ink is None or not digits:
        raise InputError(
            f"{path}: nothing written was found in it. Take the picture from nearer, in more light, or write with a "
            "darker pen."
        )
    if len(digits) > most:
        raise InputError(f"{path}: more than {most:,} things in it look like writing. Name a part of it.")
    images = [to_image(ink.contrast[_slices(digit.box)], digit.mask, shape) for digit in digits]
    return Photo(path, pixels, tuple(digit.box for digit in digits), np.stack(images)[:, None])


def _slices(box: tuple[int, int, int, int]) -> tuple[slice, slice]:
    top, left, bottom, right = box
    return slice(top, bottom), slice(left, right)


def _is_made_already(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> bool:
    """Whether it looks like an image of the training set: of its size, grey, light on a black edge."""
    if pixels.shape[:2] != shape or (pixels != pixels[..., :1]).any():
        return False
    edge = np.concatenate([pixels[0, :, 0], pixels[-1, :, 0], pixels[:, 0, 0], pixels[:, -1, 0]])
    return bool((edge < BLACK).mean() > 0.9 and pixels.max() >= 128 and np.median(pixels) < BLACK)
