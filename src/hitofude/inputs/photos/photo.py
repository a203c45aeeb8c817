"""Turn a photo, a scan or a drawing into images of its digits that look like the training images."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.pictures import open_picture, read_picture
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.look import MNIST, Look
from hitofude.inputs.photos.found_digits import find_digits
from hitofude.inputs.photos.ink import find_ink
from hitofude.inputs.photos.mnist_format import to_image
from hitofude.inputs.photos.photo_file import MAX_PIXELS, read_photo_file
from hitofude.inputs.rescaling import UNKNOWN, Rescaler, TrainedScale
from hitofude.inputs.scale import nominal_scale

MAX_DIGITS = 1000  # in a picture
MAX_ASPECT = 100  # the largest ratio of a picture's sides; a thousand digits in lines need less


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


def read_photo(
    source: Path | bytes,
    shape: tuple[int, int],
    look: Look = MNIST,
    *,
    trained: TrainedScale = UNKNOWN,
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
    max_digits: int = MAX_DIGITS,
) -> Photo:
    """Read a picture and return its digits as images of the shape (H, W) and the look of the training images.

    A picture that looks like a training image, and has their size, is used unchanged, read as in a folder of pictures.
    trained: the scale of the training images, for such pictures. name: the path for messages. max_pixels: the limit on
    the size in the file's header. Raises InputError if the picture cannot be read, or if there is no digit in it or
    more than max_digits.
    """
    name = str(source) if name is None else name
    prepared = _read_prepared(source, name, shape, look, trained, max_pixels)
    if prepared is None:
        trained.check_reads_pictures(name)
    pixels = read_photo_file(source, name, max_pixels)
    if prepared is not None:
        return Photo(Path(name), pixels, ((0, 0, *shape),), prepared[None, None])
    return find_in_photo(pixels, Path(name), shape, look, max_digits)


def find_in_photo(
    pixels: NDArray[np.uint8], path: Path, shape: tuple[int, int], look: Look = MNIST, max_digits: int = MAX_DIGITS
) -> Photo:
    """Find the digits in a picture (H, W, 3) that has been read; see read_photo.

    path: the name for messages. Raises InputError if no digit is found, or more than max_digits.
    """
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
        images.append(to_image(ink.contrast[top:bottom, left:right], digit.mask, shape, look))
    return Photo(path, pixels, tuple(digit.box for digit in digits), np.stack(images)[:, None])


def _read_prepared(
    source: Path | bytes, name: str, shape: tuple[int, int], look: Look, trained: TrainedScale, max_pixels: int
) -> NDArray[np.uint8] | None:
    """Return the picture (H, W) as in a folder of training pictures; None if it does not look like those."""
    with open_picture(source, name, max_pixels) as picture:
        sides = picture.width, picture.height
    if sorted(sides) != sorted(shape):  # the picture may have to be turned
        return None
    pixels = read_picture(source, name, ReadOptions(shape=shape, behind=look.behind), max_pixels)
    if pixels.shape[2] > 1:
        return None
    try:
        raw = RawImages(name, pixels[None, None, :, :, 0], None, None, nominal=nominal_scale(pixels.dtype))
        image = Rescaler(trained).to_bytes(raw)[0, 0]
    except InputError:  # it is on another scale
        return None
    return image if look.is_prepared(image) else None
