"""Images as PNG files."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png_of(pixels: NDArray[np.uint8]) -> bytes:
    """Encode (C, H, W), C being 1 or 3."""
    content = io.BytesIO()
    plain = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, 2))
    Image.fromarray(plain).save(content, "PNG", optimize=True)
    return content.getvalue()
