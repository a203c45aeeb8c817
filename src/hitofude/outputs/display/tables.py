"""Tables for the terminal, whose least important columns are left out if it is narrow."""

from collections.abc import Sequence
from dataclasses import dataclass

from hitofude.outputs.display.wrapping import text_width

GAP = "  "


@dataclass(frozen=True)
class Column:
    """A column of a table of texts."""

    title: str
    cells: Sequence[str]
    right: bool = False
    """Whether it is aligned to the right, as numbers are."""
    dispensable: int = 0
    """Columns of the highest number are left out first; those of 0 always stay."""

    @property
    def width(self) -> int:
        return max(map(text_width, [self.title, *self.cells]))

    def padded(self) -> list[str]:
        """Return the title and the cells, all of the same width."""
        spaces = [(text, " " * (self.width - text_width(text))) for text in [self.title, *self.cells]]
        return [space + text if self.right else text + space for text, space in spaces]


def draw_table(columns: Sequence[Column], width: int | None = None) -> str:
    """Return the titles and the rows as lines. width: of the terminal, in columns of text; None for no limit.

    A column without any content is left out.
    """
    shown = [column for column in columns if any(column.cells)]
    while width is not None and _width(shown) > width:
        least = max(shown, key=lambda column: column.dispensable)
        if not least.dispensable:
            break
        shown.remove(least)
    rows = zip(*(column.padded() for column in shown), strict=True)
    return "\n".join(GAP.join(row).rstrip() for row in rows)


def _width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(GAP) * (len(columns) - 1)
