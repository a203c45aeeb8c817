"""Drawings of the report as SVG in the page's own colours, each with a title and a description."""

import io
import re
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hitofude.outputs.network_graph import Operation
from hitofude.outputs.plots import BLACK, BLUE, LINE, ORANGE

INCHES = 5.0, 3.4
"""Small, so that the texts can be read on a phone."""
VARIABLES = {BLACK: "--text", BLUE: "--blue", ORANGE: "--orange", LINE: "--line"}
"""The colours of Matplotlib's drawing, and the custom properties of style.css that take their place."""
NETWORK_WIDTH, OPERATION_HEIGHT = 640, 34


def chart(draw: Callable[[Axes], None], title: str, description: str) -> Markup:
    """Draw a chart with Matplotlib, in its default style whatever the caller's, the same bytes every time."""
    with style.context(["default", {"svg.fonttype": "none", "svg.hashsalt": title}]):
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
        count = f", {operation.parameters:,} parameters" if operation.parameters else ""
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
    description = f"{len(operations)} operations, one under the other."
    return _drawing(title, description, "".join(shapes), NETWORK_WIDTH, len(operations) * OPERATION_HEIGHT)


def _drawing(title: str, description: str, shapes: str, width: float, height: float) -> Markup:
    title, description = escape(title), escape(description)
    return Markup(
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{title}: {description}">'
        f"<title>{title}</title><desc>{description}</desc>{shapes}</svg>"
    )
