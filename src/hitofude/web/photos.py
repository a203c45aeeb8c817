"""A picture that somebody sends becomes images for the model: what is written in it, or the whole of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.formats.picture import read_picture
from hitofude.inputs.formats.picture_file import open_picture
from hitofude.inputs.layout import ImageShape, ReadOptions, channels_first
from hitofude.inputs.photos.photo import find_in_photo
from hitofude.inputs.photos.photo_file import read_photo_file
from hitofude.web.batching import ServedModel
from hitofude.web.settings import Limits

NAME = "The picture"
"""How messages call it: what the client's file is called is not repeated."""
MOST_SCANS = 100
"""Of a progressive JPEG; each takes a pass over all pixels, and a megabyte holds ten thousands of them."""
SCAN = b"\xff\xda"
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""The EXIF entry, and its values of a picture whose sides change places."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What is in a picture. Boxes are top, left, bottom, right within height × width pixels; the end is no part."""

    height: int
    width: int
    boxes: tuple[tuple[int, int, int, int], ...]
    images: NDArray[np.uint8]  # (N, C, H, W)


def reads_writing(model: ServedModel) -> bool:
    """Whether a picture is searched for what is written in it: the model knows single characters, in grey."""
    return model.image_shape[0] == 1 and all(len(label) == 1 and label.isalnum() for label in model.classes)


def see(content: bytes, image_shape: ImageShape, *, writing: bool, limits: Limits) -> Seen:
    """content: a picture file. image_shape: (C, H, W) of the model.

    Raises InputError for what is no picture, damaged or too large, and for one in which nothing is found.
    """
    if content.count(SCAN) > MOST_SCANS:
        raise InputError(f"{NAME} is stored in more than {MOST_SCANS} layers. Save it as PNG, or as a plain JPEG.")
    return _writing(content, image_shape, limits) if writing else _whole(content, image_shape, limits)


def _writing(content: bytes, image_shape: ImageShape, limits: Limits) -> Seen:
    pixels = read_photo_file(content, NAME, limits.picture_pixels)
    photo = find_in_photo(pixels, Path(NAME), image_shape[1:], limits.picture_digits)
    return Seen(pixels.shape[0], pixels.shape[1], photo.boxes, photo.images)


def _whole(content: bytes, image_shape: ImageShape, limits: Limits) -> Seen:
    """One image: the picture brought to the model's size."""
    channels, height, width = image_shape
    with open_picture(content, NAME, limits.picture_pixels) as picture:
        sides = picture.size[::-1] if picture.getexif().get(ORIENTATION) not in TURNED else picture.size
    pixels = read_picture(content, NAME, ReadOptions(shape=(height, width, channels)), limits.picture_pixels)
    whole = np.broadcast_to(pixels, (height, width, channels))  # a grey picture has one channel
    return Seen(sides[0], sides[1], ((0, 0, *sides),), channels_first(whole[None]))
