"""Small CSV files of text: labels, lists of images, probabilities."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hitofude.errors import InputError, counted, suggest

DELIMITERS = ",;\t"


@dataclass(frozen=True)
class TextTable:
    """A header, and the lines below it with their numbers in the file, from 1."""

    path: Path
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]

    def columns(self, names: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
        """The number and these columns of each line. Raise InputError if there is no such column."""
        for name in names:
            if name not in self.header:
                hint = suggest(name, list(self.header))
                raise InputError(f"{self.path}, line 1: there is no column '{name}'.{hint}")
        positions = [self.header.index(name) for name in names]
        return [(number, tuple(fields[position] for position in positions)) for number, fields in self.lines]


def read_text_table(path: Path, *, fewest: int = 1) -> TextTable:
    """Read a CSV file with a header; skip blank lines.

    fewest: the number of columns that each line must have at least. Raise InputError if the file is missing or empty,
    with the line if it has another number of fields than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(DELIMITERS, key=header.count))
            lines = [(reader.line_num, tuple(field.strip() for field in fields)) for fields in reader if fields]
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Is the path right?") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}).") from None
    if not lines:
        raise InputError(f"{path}: expected a header, but the file is empty.")
    expected = max(len(lines[0][1]), fewest)
    for number, fields in lines:
        if len(fields) != expected:
            raise InputError(
                f"{path}, line {number}: expected {expected} fields, found {counted(len(fields), 'field')}."
            )
    return TextTable(path, lines[0][1], tuple(lines[1:]))
