"""Turn a photo, a scan or a drawing into images of its digits in the format of the training data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.photos.found_digits import find_digits
from hitofude.inputs.photos.ink import find_ink
from hitofude.inputs.photos.mnist_format import to_image
from hitofude.inputs.photos.photo_file import read_photo_file

MAX_DIGITS = 1000  # in a picture
MAX_ASPECT = 100  # the largest ratio of a picture's sides; a thousand digits in lines need less
BLACK = 16  # pixels darker than this, of 255, are black


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture and the digits found in it, in reading order."""

    path: Path
    picture: NDArray[np.uint8]  # (H, W, 3)
    boxes: tuple[tuple[int, int, int, int], ...]  # top, left, bottom, right; bottom and right are exclusive
    images: NDArray[np.uint8]  # (N, 1, H, W) the network's input

    @property
    def ids(self) -> list[str]:
        """Such as `photo.png#1`."""
        return [f"{self.path}#{number}" for number in range(1, len(self.images) + 1)]


def read_photo(path: Path, shape: tuple[int, int]) -> Photo:
    """Read a picture and return its digits as images of the shape (H, W).

    A grey picture of exactly that size, light on black, is used unchanged. Raises InputError if the picture cannot be
    read or no digit is found.
    """
    return find_in_photo(read_photo_file(path), path, shape)


def find_in_photo(pixels: NDArray[np.uint8], path: Path, shape: tuple[int, int], max_digits: int = MAX_DIGITS) -> Photo:
    """Find the digits in a picture (H, W, 3) that has been read; see read_photo.

    path: the name for messages. Raises InputError if no digit is found, or more than max_digits.
    """
    if _is_prepared(pixels, shape):
        return Photo(path, pixels, ((0, 0, *shape),), pixels[None, None, :, :, 0].copy())
    if max(pixels.shape[:2]) > MAX_ASPECT * min(pixels.shape[:2]):
        raise InputError(
            f"{path}: {pixels.shape[1]:,} x {pixels.shape[0]:,} pixels: one side is more than {MAX_ASPECT} times the "
            "other. Crop the picture."
        )
    ink = find_ink(pixels)
    digits = [] if ink is None else find_digits(ink.mask)
    if ink is None or not digits:
        raise InputError(
            f"{path}: no writing found. Take the picture from nearer, in more light, or write with a darker pen."
        )
    if len(digits) > max_digits:
        raise InputError(f"{path}: more than {max_digits:,} characters found. Crop the picture.")
    images = []
    for digit in digits:
        top, left, bottom, right = digit.box
        images.append(to_image(ink.contrast[top:bottom, left:right], digit.mask, shape))
    return Photo(path, pixels, tuple(digit.box for digit in digits), np.stack(images)[:, None])


def _is_prepared(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> bool:
    """Whether the picture is in the format of the training data: its size, grey, light on a black edge."""
    if pixels.shape[:2] != shape or (pixels != pixels[..., :1]).any():
        return False
    edge = np.concatenate([pixels[0, :, 0], pixels[-1, :, 0], pixels[:, 0, 0], pixels[:, -1, 0]])
    return bool((edge < BLACK).mean() > 0.9 and pixels.max() >= 128 and np.median(pixels) < BLACK)
