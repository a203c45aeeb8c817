"""A client's picture becomes images for the model: the characters written in it, or the whole picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxDescription
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.pictures import open_picture, read_picture
from hitofude.inputs.layout import ReadOptions, channels_first
from hitofude.inputs.photos.photo import read_photo
from hitofude.inputs.rescaling import Rescaler
from hitofude.inputs.scale import nominal_scale
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
    return (_characters if model.reads_writing else _whole)(content, model, limits)


def _characters(content: bytes, model: OnnxDescription, limits: Limits) -> PictureImages:
    photo = read_photo(
        content, model.image_shape[1:], model.known_look, trained=model.pixels,
        name=NAME, max_pixels=limits.picture_pixels, max_digits=limits.picture_digits,
    )  # fmt: skip
    height, width = photo.picture.shape[:2]
    return PictureImages(height, width, photo.boxes, photo.images)


def _whole(content: bytes, model: OnnxDescription, limits: Limits) -> PictureImages:
    """Return one image: the picture resized to the model's size."""
    channels, height, width = model.image_shape
    with open_picture(content, NAME, limits.picture_pixels) as picture:
        sides = picture.size[::-1] if picture.getexif().get(ORIENTATION) not in TURNED else picture.size
    options = ReadOptions(shape=(height, width, channels), behind=model.known_look.behind)
    pixels = read_picture(content, NAME, options, limits.picture_pixels)
    whole = channels_first(np.broadcast_to(pixels, (height, width, channels))[None])  # a grey picture has one channel
    rescaler = Rescaler(model.pixels, look=model.look, inverted="Send it inverted.")
    images = rescaler.to_bytes(RawImages(NAME, whole, None, None, nominal=nominal_scale(whole.dtype)))
    return PictureImages(sides[0], sides[1], ((0, 0, *sides),), images)
