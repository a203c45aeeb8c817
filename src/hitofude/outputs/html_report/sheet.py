"""Many small images as one PNG, of which a page shows parts."""

import base64
import io

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

COLUMNS = 32


class ImageSheet:
    """Images of one size, each once, in the order in which they were asked for."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        self.channels, self.height, self.width = image_shape
        self._images: list[NDArray[np.uint8]] = []
        self._places: dict[bytes, int] = {}

    def place(self, image: NDArray[np.uint8]) -> Markup:
        """The style that shows an image, (C, H, W) uint8."""
        number = self._places.setdefault(image.tobytes(), len(self._images))
        if number == len(self._images):
            self._images.append(image)
        return Markup(f"--x:{number % COLUMNS};--y:{number // COLUMNS}")

    @property
    def rows(self) -> int:
        return max(1, -(-len(self._images) // COLUMNS))

    def style(self) -> Markup:
        """Custom properties: the whole sheet as a data URI, its size and an image's, in pixels."""
        sizes = f"--w:{self.width};--h:{self.height};--columns:{COLUMNS};--rows:{self.rows}"
        return Markup(f"--sheet:url(data:image/png;base64,{base64.b64encode(self.png()).decode()});{sizes}")

    def png(self) -> bytes:
        """The sheet; places without an image are black."""
        sheet = np.zeros((self.rows * self.height, COLUMNS * self.width, self.channels), dtype=np.uint8)
        for number, image in enumerate(self._images):
            top, left = number // COLUMNS * self.height, number % COLUMNS * self.width
            sheet[top : top + self.height, left : left + self.width] = image.transpose(1, 2, 0)
        stream = io.BytesIO()
        Image.fromarray(sheet[:, :, 0] if self.channels == 1 else sheet).save(stream, "png", optimize=True)
        return stream.getvalue()
