"""A client's picture becomes images for the model: the characters written in it, or the whole picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxDescription
from hitofude.inputs.formats.pictures import open_picture, read_picture
from hitofude.inputs.layout import ImageShape, ReadOptions, channels_first
from hitofude.inputs.look import Look
from hitofude.inputs.photos.photo import read_photo
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


def images_of_picture(content: bytes, model: OnnxDescription, *, limits: Limits) -> PictureImages:
    """Read a picture file; search it for characters if the model reads writing.

    Raises InputError if the content is no picture, damaged or too large, or if nothing is found in it.
    """
    if content.count(SCAN) > MOST_SCANS:
        raise InputError(f"{NAME} is stored in more than {MOST_SCANS} layers. Save it as PNG, or as a plain JPEG.")
    read = _characters if model.reads_writing else _whole
    return read(content, model.image_shape, model.known_look, limits)


def _characters(content: bytes, image_shape: ImageShape, look: Look, limits: Limits) -> PictureImages:
    most = {"max_pixels": limits.picture_pixels, "max_digits": limits.picture_digits}
    photo = read_photo(content, image_shape[1:], look, name=NAME, **most)
    height, width = photo.picture.shape[:2]
    return PictureImages(height, width, photo.boxes, photo.images)


def _whole(content: bytes, image_shape: ImageShape, look: Look, limits: Limits) -> PictureImages:
    """Return one image: the picture resized to the model's size."""
    channels, height, width = image_shape
    with open_picture(content, NAME, limits.picture_pixels) as picture:
        sides = picture.size[::-1] if picture.getexif().get(ORIENTATION) not in TURNED else picture.size
    options = ReadOptions(shape=(height, width, channels), behind=look.behind)
    pixels = read_picture(content, NAME, options, limits.picture_pixels)
    whole = np.broadcast_to(pixels, (height, width, channels))  # a grey picture has one channel
    return PictureImages(sides[0], sides[1], ((0, 0, *sides),), channels_first(whole[None]))
