"""Parse blocks of plain lines of CSV fast: bytes by array arithmetic, other numbers by NumPy's reader.

A block whose lines all have the header's number of plain fields is parsed by byte arithmetic: a field's value is its
last digit, plus ten times the one before, plus a hundred times the one before that.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.formats.columns import Columns
from hitofude.inputs.formats.csv_lines import count_lines

_NEWLINE, _ZERO = ord("\n"), ord("0")
FEW = 64
_PADDING = b"\n\n\n"


@dataclass(frozen=True, eq=False)
class CsvTable:
    """Some rows of a CSV file."""

    pixels: NDArray[Any]
    """(N, P), in the order of the numbers in the column names: uint8, or float32 if some are no bytes."""
    labels: NDArray[np.str_] | None  # (N,)
    ids: NDArray[np.str_] | None  # (N,)
    groups: NDArray[np.str_] | None = None  # (N,)
    folds: NDArray[np.str_] | None = None  # (N,)
    usage: NDArray[np.str_] | None = None  # (N,)
    weights: NDArray[np.str_] | None = None  # (N,)

    @property
    def texts(self) -> tuple[NDArray[np.str_] | None, ...]:
        """Labels, ids, groups, folds, usage and weights."""
        return self.labels, self.ids, self.groups, self.folds, self.usage, self.weights


def parse_plain(block: bytes, columns: Columns, original: bytes | None = None) -> CsvTable | None:
    """Parse a block of plain lines by array arithmetic. Return None if any of them is not plain.

    original: the block with the texts as they are written, if the numbers in it were respelled.
    """
    width, rows = len(columns.names), count_lines(block)
    characters = np.frombuffer(_PADDING + block, dtype=np.uint8)
    is_end = (characters == ord(columns.delimiter)) | (characters == _NEWLINE)
    ends = np.flatnonzero(is_end[len(_PADDING) :])
    if len(ends) != rows * width or b'"' in block or b"\r" in block:
        return None
    ends_of_lines = ends[width - 1 :: width] + len(_PADDING)
    values, is_odd = _values_and_oddities(characters, is_end)
    odd, unread = np.flatnonzero(is_odd), {*columns.texts, *columns.ignored}
    for some in (odd[:FEW], odd):  # a few tell most blocks that are not plain
        odd_columns = np.unique(np.searchsorted(ends, some) % width).tolist()
        if not unread.issuperset(odd_columns):
            return None
    if (characters[ends_of_lines] != _NEWLINE).any():
        return None
    pixels = values.take(ends).reshape(rows, width)[:, columns.pixel_slice]
    if original is not None:
        block, ends = original, ends_of_fields(original, columns.delimiter)
    return CsvTable(pixels, *(_texts(block, ends, column, width) for column in columns.texts))


def parse_whole_floats(block: bytes, columns: Columns) -> CsvTable | None:
    """Parse a block of plain lines in which bytes may be spelled 12.0. Return None if any of them is not plain."""
    delimiter = columns.delimiter.encode()
    if b".0" not in block:
        return None
    whole = block.replace(b".0" + delimiter, delimiter).replace(b".0\n", b"\n")
    return parse_plain(whole, columns, original=block)


def parse_numbers(block: bytes, columns: Columns) -> CsvTable | None:
    """Parse a block of plain lines of any numbers by NumPy. Return None if any field is quoted or no finite number."""
    width, rows = len(columns.names), count_lines(block)
    ends = ends_of_fields(block, columns.delimiter)
    if len(ends) != rows * width or b'"' in block or b"\r" in block:
        return None
    if any(block[end] != _NEWLINE for end in ends[width - 1 :: width].tolist()):
        return None
    text = block.decode("utf-8") if columns.delimiter == "," else block.decode("utf-8").replace(",", ".")
    try:
        values = np.loadtxt(
            io.StringIO(text), np.float64, comments=None, delimiter=columns.delimiter, usecols=columns.pixels, ndmin=2
        )
    except ValueError:
        return None
    if len(values) != rows:
        return None
    pixels = smallest_type(values)
    if not np.isfinite(pixels).all():
        return None
    return CsvTable(pixels, *(_texts(block, ends, column, width) for column in columns.texts))


def smallest_type(values: NDArray[np.float64]) -> NDArray[Any]:
    """Whole numbers from 0 to 255 become uint8, others float32, too large ones infinite."""
    if ((values >= 0) & (values <= 255)).all():
        whole = values.astype(np.uint8)
        if (whole == values).all():
            return whole
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


def ends_of_fields(block: bytes, delimiter: str) -> NDArray[np.int64]:
    """The places of the delimiters and line ends."""
    characters = np.frombuffer(block, dtype=np.uint8)
    return np.flatnonzero((characters == ord(delimiter)) | (characters == _NEWLINE))


def texts_of(texts: Iterable[str]) -> NDArray[np.str_]:
    return np.array([text.strip() for text in texts], dtype=np.str_)


def _values_and_oddities(
    characters: NDArray[np.uint8], is_end: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The value of the up to three digits before each character, and whether the character makes its field odd.

    An odd field is anything but a number 0..255 of one to three digits. characters: a block, padded in front by three
    ends of fields. One pass of byte arithmetic over all characters is faster than gathering the digits of each field.
    """
    digits = characters - np.uint8(_ZERO)
    is_digit = digits < 10
    digits *= is_digit
    tens = digits[:-1] * np.uint8(10)
    tens += digits[1:]
    tens *= is_digit[1:]  # the value of two digits, the second one character further on
    is_large = (tens[:-1] > 25) & is_digit[2:]
    is_large |= (tens[:-1] == 25) & (digits[2:] > 5)
    values = tens[:-1] * np.uint8(10)
    values += digits[2:]
    is_pair = is_digit[1:] & is_digit[:-1]
    is_long = is_pair[2:] & is_pair[:-2]
    is_empty = is_end[1:] & is_end[:-1]
    is_odd = ~(is_digit | is_end)[3:]
    is_odd |= is_large[1:]
    is_odd |= is_long
    is_odd |= is_empty[2:]
    return values[:-1], is_odd


def _texts(block: bytes, ends: NDArray[np.int64], column: int | None, width: int) -> NDArray[np.str_] | None:
    """The fields of a column as text."""
    if column is None:
        return None
    own = ends[column::width].tolist()
    before = ends[column - 1 :: width].tolist() if column else [-1, *ends[width - 1 :: width].tolist()]
    return texts_of(block[i + 1 : j].decode("utf-8") for i, j in zip(before, own, strict=False))
