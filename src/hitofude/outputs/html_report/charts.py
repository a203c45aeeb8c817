"""Drawings as SVG that take the page's colours; what they show also stands in their description."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator

from hitofude.metrics.metrics import Reliability
from hitofude.outputs.network_graph import Operation

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 84, 16, 16, 56
LINE = 34
"""Pixels from one operation of a network to the next."""


@dataclass(frozen=True)
class Series:
    """A line of a chart."""

    kind: str
    """Its class in the style sheet."""
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        scale: Callable[[float], float] = math.log if self.logarithmic else float
        share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low) or 1)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int, *, whole: bool = False) -> list[float]:
        """Round values within the axis."""
        steps = (1, 2, 3, 5) if self.high < 10 * self.low else (1, 3)
        locator = LogLocator(subs=steps) if self.logarithmic else MaxNLocator(count, integer=whole)
        return [float(tick) for tick in locator.tick_values(self.low, self.high) if self.low <= tick <= self.high]


def line_chart(
    series: Sequence[Series], title: str, description: str, labels: tuple[str, str], *, logarithmic: bool = False
) -> Markup:
    """Lines over whole numbers. labels: of the horizontal and of the vertical axis."""
    xs = [x for line in series for x, _ in line.points]
    ys = [y for line in series for _, y in line.points]
    margin = 0 if logarithmic else 0.05 * (max(ys) - min(ys))
    x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    y = Axis(min(ys) - margin, max(ys) + margin, HEIGHT - BOTTOM, TOP, logarithmic)
    lines = [
        f'<polyline class="{line.kind}" points="{" ".join(f"{x(a)},{y(b)}" for a, b in line.points)}"/>'
        for line in series
    ]
    return _drawing(title, description, _axes(x, y, labels, whole=True) + lines)


def reliability_chart(found: Reliability, title: str, description: str) -> Markup:
    """A bar a group, as high as its accuracy, beside the diagonal on which calibrated groups end."""
    x, y = Axis(0, 1, LEFT, WIDTH - RIGHT), Axis(0, 1, HEIGHT - BOTTOM, TOP)
    groups = len(found.rows)
    bars = []
    for group, (rows, confidence, accuracy) in enumerate(
        zip(found.rows, found.confidence, found.accuracy, strict=True)
    ):
        if not rows:
            continue
        left, right = x(group / groups), x((group + 1) / groups)
        bars.append(
            f'<rect class="bar" x="{left + 2}" width="{right - left - 4:.1f}" y="{y(accuracy)}" '
            f'height="{y(0) - y(accuracy):.1f}"><title>{rows:,} rows: mean probability {confidence:.3f}, '
            f"right {accuracy:.3f}</title></rect>"
            f'<circle class="dot" cx="{x(confidence)}" cy="{y(accuracy)}" r="4"/>'
        )
    diagonal = f'<line class="diagonal" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
    labels = "probability of the answer", "share of right answers"
    return _drawing(title, description, [*_axes(x, y, labels), *bars, diagonal])


def network_chart(operations: Sequence[Operation], title: str) -> Markup:
    """Operations from top to bottom, with an arc at the side for an output that is used further down."""
    number = {operation.name: place for place, operation in enumerate(operations)}
    shapes = []
    for place, operation in enumerate(operations):
        top = place * LINE
        count = f", {operation.parameters:,} parameters" if operation.parameters else ""
        text = escape(f"{operation.what}  {operation.shape}{count}")
        shapes.append(f'<rect class="box" x="1" y="{top + 1}" width="470" height="{LINE - 10}" rx="6"/>')
        shapes.append(f'<text x="12" y="{top + 17}">{text}</text>')
        for source in operation.sources:
            distance = place - number[source]
            start = number[source] * LINE
            if distance == 1:
                shapes.append(f'<path class="arrow" d="M236 {start + LINE - 9} V{top - 5}"/>')
                shapes.append(f'<path class="tip" d="M236 {top} l-4 -7 h8z"/>')
            else:
                bend = 490 + min(120, 14 * distance)
                ends = f"M471 {start + 13} C{bend} {start + 13} {bend} {top + 13} 479 {top + 13}"
                shapes.append(f'<path class="arrow" d="{ends}"/><path class="tip" d="M472 {top + 13} l7 -4 v8z"/>')
    description = f"{len(operations)} operations, one under the other."
    return _drawing(title, description, shapes, len(operations) * LINE)


def _axes(x: Axis, y: Axis, labels: tuple[str, str], *, whole: bool = False) -> list[str]:
    lines = []
    for tick in y.ticks(6):
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>')
        lines.append(f'<text class="end" x="{LEFT - 8}" y="{y(tick) + 4}">{tick:.4g}</text>')
    below = HEIGHT - BOTTOM + 20
    lines += [f'<text class="middle" x="{x(tick)}" y="{below}">{tick:.4g}</text>' for tick in x.ticks(10, whole=whole)]
    lines.append(f'<text class="middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}">{escape(labels[0])}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    lines.append(
        f'<text class="middle" x="14" y="{middle}" transform="rotate(-90 14 {middle})">{escape(labels[1])}</text>'
    )
    return lines


def _drawing(title: str, description: str, shapes: Sequence[str], height: int = HEIGHT) -> Markup:
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}: {escape(description)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{''.join(shapes)}</svg>"
    )
