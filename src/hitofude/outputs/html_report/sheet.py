"""Many small images as one PNG, from which the page cuts each."""

import base64
import io

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

COLUMNS = 32


class ImageSheet:
    """Distinct images of one size, in the order of their first use."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        self.channels, self.height, self.width = image_shape
        self._images: list[NDArray[np.uint8]] = []
        self._places: dict[bytes, int] = {}

    def place(self, image: NDArray[np.uint8]) -> Markup:
        """Put an image, (C, H, W) uint8, on the sheet unless it is there. Return the CSS that shows it."""
        number = self._places.setdefault(image.tobytes(), len(self._images))
        if number == len(self._images):
            self._images.append(image)
        return Markup(f"--x:{number % COLUMNS};--y:{number // COLUMNS}")

    @property
    def rows(self) -> int:
        return max(1, -(-len(self._images) // COLUMNS))

    def style(self) -> Markup:
        """Return CSS custom properties: the sheet as a data URI, an image's size in pixels, columns and rows."""
        sizes = f"--w:{self.width};--h:{self.height};--columns:{COLUMNS};--rows:{self.rows}"
        return Markup(f"--sheet:url(data:image/png;base64,{base64.b64encode(self.png()).decode()});{sizes}")

    def png(self) -> bytes:
        """Return the sheet; unused cells are black."""
        sheet = np.zeros((self.rows * self.height, COLUMNS * self.width, self.channels), dtype=np.uint8)
        for number, image in enumerate(self._images):
            top, left = number // COLUMNS * self.height, number % COLUMNS * self.width
            sheet[top : top + self.height, left : left + self.width] = image.transpose(1, 2, 0)
        stream = io.BytesIO()
        Image.fromarray(sheet[:, :, 0] if self.channels == 1 else sheet).save(stream, "png", optimize=True)
        return stream.getvalue()
