"""Grey pictures of 16 bits or floats: their own numbers, of which cameras and scanners use 10, 12 or 14 bits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.scale import PixelScale

if TYPE_CHECKING:
    from PIL import Image


def deep_pixels(picture: "Image.Image", size: tuple[int, int] | None) -> NDArray[Any]:
    """Return the numbers (H, W, 1) of a picture in one of Pillow's modes I, I;16 or F, resized if a size is given.

    Raise ValueError for NaN or infinity.
    """
    from PIL import Image

    values = np.asarray(picture)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinity")
    values = values.astype(values.dtype.newbyteorder("="))
    if size is not None and values.shape != size:
        fine = Image.fromarray(values.astype(np.float32)).resize(size[::-1], Image.Resampling.BICUBIC)
        resized = np.asarray(fine).clip(values.min(), values.max())
        values = resized if values.dtype.kind == "f" else np.rint(resized).astype(values.dtype)
    return values[:, :, None]


def of_one_depth(images: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Return pictures (n, C, H, W) as they are; if some have 8 bits, all as bytes, by the scale of all deeper ones."""
    deep = [place for place, image in enumerate(images) if image.dtype != np.uint8]
    found = list(images)
    if 0 < len(deep) < len(images):
        scale = PixelScale.of(np.concatenate([images[place].ravel() for place in deep]))
        for place in deep:
            found[place] = scale.to_bytes(images[place])
    return found
