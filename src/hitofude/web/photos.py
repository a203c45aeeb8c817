"""A client's picture becomes images for the model: the characters written in it, or the whole picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.formats.pictures import open_picture, read_picture
from hitofude.inputs.layout import ImageShape, ReadOptions, channels_first
from hitofude.inputs.photos.photo import find_in_photo
from hitofude.inputs.photos.photo_file import read_photo_file
from hitofude.web.settings import Limits

NAME = "The picture"
"""Its name in messages: the name of the client's file is not repeated."""
MOST_SCANS = 100
"""The limit for a progressive JPEG. Each scan takes a pass over all pixels, and a megabyte holds ten thousands."""
SCAN = b"\xff\xda"
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""The EXIF entry, and its values for a picture whose sides change places."""


@dataclass(frozen=True, eq=False)
class PictureImages:
    """The images found in a picture. Boxes are top, left, bottom, right in its pixels; the end is exclusive."""

    height: int
    width: int
    boxes: tuple[tuple[int, int, int, int], ...]
    images: NDArray[np.uint8]  # (N, C, H, W)


def reads_writing(model: OnnxModel) -> bool:
    """Whether pictures are searched for writing: the model knows single characters, in grey."""
    return model.image_shape[0] == 1 and all(len(label) == 1 and label.isalnum() for label in model.classes)


def images_of_picture(content: bytes, image_shape: ImageShape, *, writing: bool, limits: Limits) -> PictureImages:
    """Read a picture file. image_shape: the model's (C, H, W); writing: search for characters.

    Raises InputError if the content is no picture, damaged or too large, or if nothing is found in it.
    """
    if content.count(SCAN) > MOST_SCANS:
        raise InputError(f"{NAME} is stored in more than {MOST_SCANS} layers. Save it as PNG, or as a plain JPEG.")
    return _characters(content, image_shape, limits) if writing else _whole(content, image_shape, limits)


def _characters(content: bytes, image_shape: ImageShape, limits: Limits) -> PictureImages:
    pixels = read_photo_file(content, NAME, limits.picture_pixels)
    photo = find_in_photo(pixels, Path(NAME), image_shape[1:], limits.picture_digits)
    return PictureImages(pixels.shape[0], pixels.shape[1], photo.boxes, photo.images)


def _whole(content: bytes, image_shape: ImageShape, limits: Limits) -> PictureImages:
    """Return one image: the picture resized to the model's size."""
    channels, height, width = image_shape
    with open_picture(content, NAME, limits.picture_pixels) as picture:
        sides = picture.size[::-1] if picture.getexif().get(ORIENTATION) not in TURNED else picture.size
    pixels = read_picture(content, NAME, ReadOptions(shape=(height, width, channels)), limits.picture_pixels)
    whole = np.broadcast_to(pixels, (height, width, channels))  # a grey picture has one channel
    return PictureImages(sides[0], sides[1], ((0, 0, *sides),), channels_first(whole[None]))
