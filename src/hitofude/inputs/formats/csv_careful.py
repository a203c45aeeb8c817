"""Parse blocks of CSV field by field, and judge the values: bytes, other numbers, or faults.

A file's values are whole numbers from 0 to 255; or, if a tenth of its rows hold other numbers, any finite numbers.
Wrong values are collected to the end of the file, so that the user sees how many there are; a line with another number
of fields ends the reading.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, agree, counted
from hitofude.inputs.formats.columns import Columns, is_number, numbers_in, shortened
from hitofude.inputs.formats.csv_lines import blank_line_error
from hitofude.inputs.formats.csv_plain import CsvTable, smallest_type, texts_of

WRONG_SHOWN = 20
ROWS_TO_JUDGE = 64
"""The rows that are seen before a file's values are judged, if it has as many."""
LARGEST = float(np.finfo(np.float32).max)
SHARE_OF_NUMBERS = 0.1
"""The share of the rows that hold other numbers than bytes in a file of such numbers."""

_BYTE = re.compile(r"[0-9]+(?:\.0*)?", re.ASCII)


@dataclass
class Values:
    """The values of a file as far as it was read."""

    name: str
    rows: int = 0
    odd_rows: int = 0
    """The rows with numbers that are no bytes."""
    odd: "_Places" = field(default_factory=lambda: _Places())
    """The fields that are no bytes, numbers among them."""
    wrong: "_Places" = field(default_factory=lambda: _Places())
    """The fields that are no finite numbers."""
    _are_settled: bool = False

    @property
    def are_numbers(self) -> bool:
        """Whether the file's values are other numbers than bytes."""
        return self._are_settled or (self.odd_rows > 0 and self.odd_rows >= SHARE_OF_NUMBERS * self.rows)

    def settle(self) -> bool:
        """Whether enough rows were seen to know that the values are other numbers than bytes; then it stays so."""
        self._are_settled = self.are_numbers and (self._are_settled or self.rows >= ROWS_TO_JUDGE)
        return self._are_settled

    @property
    def are_good(self) -> bool:
        return not (self.wrong if self.are_numbers else self.odd).count

    def add_rows(self, rows: int, odd: int = 0) -> None:
        self.rows += rows
        self.odd_rows += odd

    def check(self) -> None:
        """Raise InputError if there are wrong values."""
        expected = "a number" if self.are_numbers else "an integer from 0 to 255"
        places = self.wrong if self.are_numbers else self.odd
        if places.count == 0:
            return
        error = f"{self.name}, {places.first[0]}, expected {expected}."
        if places.count == 1:
            raise InputError(f"{error} Fix the value.")
        more = f"\n  … and {places.count - len(places.first):,} more" if places.count > len(places.first) else ""
        listed = "\n  ".join(places.first)
        raise InputError(
            f"{error} {counted(places.count, 'value')} {agree(places.count, 'are')} wrong; fix them:\n  {listed}{more}"
        )


@dataclass
class _Places:
    """The number of fields of a kind, and the first of them."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, column: str, found: str) -> None:
        self.count += 1
        if len(self.first) < WRONG_SHOWN:
            self.first.append(f"line {line}, column '{shortened(column)}': found '{shortened(found)}'")


def parse_carefully(block: bytes, columns: Columns, values: Values, first_line: int) -> CsvTable:
    """Parse a block field by field and judge its values. Raise InputError at a line with more or fewer fields."""
    pixels: list[list[float]] = []
    rows: list[list[str]] = []
    for number, fields in _rows(block, columns, values.name, first_line):
        pixels.append(_judged([fields[i] for i in columns.pixels], columns, values, number))
        rows.append(fields)
    return CsvTable(smallest_type(np.array(pixels, dtype=np.float64)), *_texts(rows, columns))


def _rows(block: bytes, columns: Columns, name: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """The number and the fields of each line. Raise InputError at a blank line, or one with more or fewer fields."""
    for number, line in enumerate(block.decode("utf-8").rstrip("\n").split("\n"), first_line):
        fields = split_line(line, columns.delimiter, f"{name}, line {number}")
        if not any(map(str.strip, fields)):
            raise blank_line_error(name, number)
        if len(fields) != len(columns.names):
            expected = f"{len(columns.names)} as in the {'header' if columns.has_names else 'first line'}"
            raise InputError(
                f"{name}, line {number}: {counted(len(fields), 'field')}, expected {expected}. Is the line cut short, "
                "or a separator missing?"
            )
        yield number, fields


def _texts(rows: Sequence[list[str]], columns: Columns) -> Iterator[NDArray[np.str_] | None]:
    """Labels, ids, groups, folds, usage and weights of rows."""
    return (None if i is None else texts_of(fields[i] for fields in rows) for i in columns.texts)


def _judged(fields: Sequence[str], columns: Columns, values: Values, line: int) -> list[float]:
    """The values of a row's pixels, 0 in place of wrong ones."""
    found, is_odd = [_value(text, columns.delimiter) for text in fields], False
    for position, text, (value, is_byte) in zip(columns.pixels, fields, found, strict=True):
        if is_byte:
            continue
        place = line, columns.names[position], text.strip()
        values.odd.add(*place)
        if value is None:
            values.wrong.add(*place)
        else:
            is_odd = True
    values.add_rows(1, int(is_odd))
    return [value or 0.0 for value, _ in found]


def _value(text: str, delimiter: str) -> tuple[float | None, bool]:
    """A field's value, None if it is no finite number; and whether it is a byte, spelled as one: 7, 07, 7.0."""
    text = text.strip()
    if _BYTE.fullmatch(text) and (value := float(text)) <= 255:
        return value, True
    if not is_number(text) or (delimiter == "," and "," in text):
        return None, False
    value = float(text.replace(",", "."))
    return (value if abs(value) <= LARGEST else None), False


def parse_pixel_texts(
    block: bytes, columns: Columns, values: Values, first_line: int, count: int | None
) -> tuple[bytes, CsvTable]:
    """Parse a block in which one column of text holds all pixels of an image.

    Return the pixels as lines of a table of their own, separated by commas, and a table of the other columns, whose
    pixels are empty. count: the number of pixels, None before the first row. Raise InputError for a row of another one.
    """
    lines: list[str] = []
    rows: list[list[str]] = []
    for number, fields in _rows(block, columns, values.name, first_line):
        numbers = numbers_in(fields[columns.pixels[0]])
        count = len(numbers) if count is None else count
        if len(numbers) != count:
            column = shortened(columns.names[columns.pixels[0]])
            found = f"{counted(len(numbers), 'number')} in the column '{column}', expected {count} as in the first row"
            raise InputError(f"{values.name}, line {number}: {found}. Is the line cut short?")
        lines.append(",".join(numbers))
        rows.append(fields)
    empty: NDArray[Any] = np.empty((len(rows), 0), dtype=np.uint8)
    return ("\n".join(lines) + "\n").encode(), CsvTable(empty, *_texts(rows, columns))


def split_line(line: str, delimiter: str, location: str) -> list[str]:
    """Split a line into its fields. Raise InputError for an unclosed quote, and other faults."""
    if "\r" in line:
        raise InputError(f"{location}: a carriage return (CR) within the line. End lines with LF or CR LF.")
    reader = csv.reader([line + "\n", "the next line"], delimiter=delimiter, skipinitialspace=True)
    try:
        fields = next(reader)
    except csv.Error as error:
        raise InputError(f"{location}: this is not a line of CSV ({error}).") from None
    if reader.line_num > 1:
        raise InputError(f"{location}: a quote is not closed. Close or remove it.")
    return fields
