"""The pictures of the report: charts as SVG in the page's own colours, and many small images on one sheet."""

import base64
import io
import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from hitofude.language.translation import say, say_count
from hitofude.outputs.network_graph import Operation
from hitofude.outputs.plots import BLACK, BLUE, LINE, ORANGE

INCHES = 5.0, 3.4
"""Small, so that the texts can be read on a phone."""
VARIABLES = {BLACK: "--text", BLUE: "--blue", ORANGE: "--orange", LINE: "--line"}
"""The colours of Matplotlib's drawing, and the custom properties of style.css that take their place."""
NETWORK_WIDTH, OPERATION_HEIGHT = 640, 34


def chart(draw: Callable[[Axes], None], title: str, description: str) -> Markup:
    """Draw a chart with Matplotlib, in its default style whatever the caller's, the same bytes every time."""
    texts = {"svg.fonttype": "none", "svg.hashsalt": title}  # kept as texts, which the browser has glyphs for
    with style.context(["default", texts]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=INCHES, layout="constrained")
        draw(figure.subplots())
        stream = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    shapes = stream.getvalue().partition("</defs>")[2].removesuffix("</svg>\n")  # without Matplotlib's style sheet
    shapes = re.sub(r'(<g) id="[^"]*"|( )xlink:(?=href)|font-family: (?:&apos;|[^;"])*;? ?', r"\1\2", shapes)
    shapes = re.sub("#[0-9a-f]{6}", lambda colour: f"var({VARIABLES[colour[0]]})", shapes)
    return _drawing(title, description, shapes, *(72 * side for side in INCHES))


def network_chart(operations: Sequence[Operation], title: str) -> Markup:
    """Draw the operations from top to bottom, with an arc at the side for an output that is used further down."""
    number = {operation.name: index for index, operation in enumerate(operations)}
    shapes = []
    for index, operation in enumerate(operations):
        top = index * OPERATION_HEIGHT
        count = (
            say(", {parameters}", parameters=say_count(operation.parameters, "parameter"))
            if operation.parameters
            else ""
        )
        text = escape(f"{operation.label}  {operation.shape}{count}")
        shapes.append(f'<rect class="box" x="1" y="{top + 1}" width="470" height="24" rx="6"/>')
        shapes.append(f'<text x="12" y="{top + 17}">{text}</text>')
        for source in operation.sources:
            distance, start = index - number[source], number[source] * OPERATION_HEIGHT
            bend = 490 + min(120, 14 * distance)
            line, tip = f"M236 {start + 25} V{top - 5}", f"M236 {top} l-4 -7 h8z"
            if distance > 1:
                line = f"M471 {start + 13} C{bend} {start + 13} {bend} {top + 13} 479 {top + 13}"
                tip = f"M472 {top + 13} l7 -4 v8z"
            shapes.append(f'<path class="arrow" d="{line}"/><path class="tip" d="{tip}"/>')
    description = say("{count} operations, one under the other.", count=len(operations))
    return _drawing(title, description, "".join(shapes), NETWORK_WIDTH, len(operations) * OPERATION_HEIGHT)


def _drawing(title: str, description: str, shapes: str, width: float, height: float) -> Markup:
    title, description = escape(title), escape(description)
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{title}: {description}">'
        f"<title>{title}</title><desc>{description}</desc>{shapes}</svg>"
    )


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
