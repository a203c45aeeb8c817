"""Rates of pairs measured in turn, so that a machine that slows down slows both, and their table."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """A line of the table: our rate beside another's."""

    what: str
    unit: str
    ours: float
    than: str
    theirs: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


@dataclass(frozen=True)
class Note:
    """A line of the table without a measurement, and the reason."""

    what: str
    why: str


def rates(works: Mapping[str, Work], amount: float, rounds: int = 5) -> dict[str, float]:
    """Return each way's rate, `amount` per second: the median over rounds, each measuring all ways in turn.

    A first round is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            found[name].append(amount / (time.perf_counter() - started))
    return {name: statistics.median(values[1:]) for name, values in found.items()}


def against(what: str, unit: str, found: Mapping[str, float]) -> list[Row]:
    """Compare the first way with each of the others."""
    ours, *others = found.items()
    return [Row(what, unit, ours[1], than, theirs) for than, theirs in others]


def format_table(rows: Iterable[Row | Note]) -> str:
    """Format the rows as plain text under a heading."""
    lines = [("", "hitofude", "", "than", "", "ratio")]
    notes: list[str] = []
    for row in rows:
        if isinstance(row, Row):
            lines.append((row.what, _short(row.ours), row.unit, row.than, _short(row.theirs), f"{row.ratio:.2f}"))
        else:
            notes.append(f"{row.what}: {row.why}")
    return "\n".join([*_aligned(lines), *notes])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _aligned(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """Align texts left and figures right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    to_the_right = (False, True, False, False, True, True)
    return [
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, to_the_right, strict=True)
        ).rstrip()
        for line in lines
    ]
