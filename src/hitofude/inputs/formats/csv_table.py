"""Fast reading of CSV files whose columns are pixels, a label, an id.

The file is read in blocks of whole lines. A block whose every line has the header's number of plain fields is
parsed by byte arithmetic: a field's value is its last digit, ten times the one before, a hundred times the one
before that. Any other block goes through the csv module, field by field, which either understands it (quotes,
spaces, leading zeros) or finds the exact line and column to complain of. Wrong values are collected to the end of the
file, so that a user sees how many there are; a line of another shape ends the reading.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError

BLOCK_BYTES = 1 << 17  # its temporaries stay in a processor's cache
LONGEST_LINE = 1 << 22
WRONG_SHOWN = 20
ID_NAMES = ("id", "imageid", "image_id")
DELIMITERS = b",;\t"

_NEWLINE, _ZERO = ord("\n"), ord("0")
_PADDING = b"\n\n\n"
_PIXEL_NAME = re.compile(r"[^\d]*(\d+)(?:x(\d+))?")
_PIXEL_VALUE = re.compile(r"[0-9]+")


@dataclass(frozen=True, eq=False)
class CsvTable:
    """A CSV file's content."""

    pixels: NDArray[np.uint8]  # (N, P), in the order of the numbers in the column names
    labels: NDArray[np.str_] | None  # (N,)
    ids: NDArray[np.str_] | None  # (N,)


@dataclass(frozen=True)
class Columns:
    """What each column of a file is, by position."""

    names: tuple[str, ...]
    delimiter: str
    pixels: tuple[int, ...]
    label: int | None
    id: int | None

    @property
    def pixel_slice(self) -> slice | list[int]:
        """The pixels as an index: a slice, which copies faster, where they stand in order side by side."""
        first, last = self.pixels[0], self.pixels[-1]
        in_order = self.pixels == tuple(range(first, last + 1))
        return slice(first, last + 1) if in_order else list(self.pixels)


def read_csv(stream: BinaryIO, name: str, *, label: str | None = None) -> CsvTable:
    """Read a CSV file with a header line.

    name: how messages call the file. label: the label column's name, `label` without it; a file need not have it.

    Raises InputError with line, column, what was found and what to do.
    """
    lines = _Lines(stream, name)
    columns = parse_header(lines.first(), name, label)
    return read_rows(lines, columns)


def read_headerless_csv(stream: BinaryIO, name: str, columns: Columns) -> CsvTable:
    """Read a CSV file without a header line, whose columns the caller knows."""
    return read_rows(_Lines(stream, name), columns)


def parse_header(line: bytes, name: str, label: str | None = None) -> Columns:
    """Find the delimiter, the pixels, the label and the id. Raises InputError."""
    text = line.decode("utf-8", errors="replace").strip("\r\n")
    delimiter = max(DELIMITERS.decode(), key=text.count)
    names = tuple(field.strip() for field in split_line(text, delimiter, f"{name}, line 1"))
    repeated = {column for column in names if names.count(column) > 1} if len(set(names)) < len(names) else set()
    if all(_PIXEL_VALUE.fullmatch(column) for column in names) and repeated:
        raise InputError(
            f"{name}, line 1: a header with column names was expected, found numbers. "
            "Add a line such as label,pixel0,pixel1,…"
        )
    if repeated:
        raise InputError(
            f"{name}, line 1: the column '{sorted(repeated)[0]}' stands there twice. Rename or remove one."
        )
    return find_columns(names, f"{name}, line 1", delimiter, label)


def find_columns(names: Sequence[str], place: str, delimiter: str = ",", label: str | None = None) -> Columns:
    """What each column is, by its name. place: how messages call the header. Raises InputError."""
    label_column = find_label(names, label or "label")
    id_column = next((i for i, column in enumerate(names) if column.lower() in ID_NAMES), None)
    pixels = _pixel_order(names, {label_column, id_column}, place)
    return Columns(tuple(names), delimiter, pixels, label_column, id_column)


def read_rows(lines: "_Lines", columns: Columns) -> CsvTable:
    return _table(list(_parse_blocks(lines, columns)), columns)


def stream_csv(stream: BinaryIO, name: str, *, label: str | None = None) -> Iterator[CsvTable]:
    """The same as read_csv in pieces of some rows each. Raises what that raises, after the pieces without fault."""
    lines = _Lines(stream, name)
    columns = parse_header(lines.first(), name, label)
    for block in _parse_blocks(lines, columns):
        yield _table([block], columns)


def _parse_blocks(lines: "_Lines", columns: Columns) -> Iterator["_Block"]:
    """The rows up to the first wrong value. Raises InputError when all has been looked at."""
    _keep_freed_memory()
    wrong, has_rows = _WrongValues(lines.name), False
    try:
        for block, line in lines.blocks():
            parsed = _parse_plain(block, columns) or _parse_carefully(block, columns, wrong, line)
            has_rows = True
            if wrong.count == 0:
                yield parsed
    except InputError:
        wrong.complain()  # of what stands before it
        raise
    wrong.complain()
    if not has_rows:
        raise InputError(f"{lines.name}: there are no rows below the header. Is the file complete?")


def _table(blocks: Sequence["_Block"], columns: Columns) -> CsvTable:
    labels = [text for block in blocks for text in block.labels]
    ids = [text for block in blocks for text in block.ids]
    return CsvTable(
        np.concatenate([block.pixels for block in blocks]),
        None if columns.label is None else np.array(labels, dtype=np.str_),
        None if columns.id is None else np.array(ids, dtype=np.str_),
    )


@dataclass(frozen=True, eq=False)
class _Block:
    pixels: NDArray[np.uint8]  # (rows, P)
    labels: list[str]
    ids: list[str]


@dataclass
class _WrongValues:
    """The fields of a file that are no pixels: how many, and where the first are."""

    name: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, column: str, found: str) -> None:
        self.count += 1
        if len(self.first) < WRONG_SHOWN:
            self.first.append(f"line {line}, column '{column}': found '{found[:40]}'")

    def complain(self) -> None:
        """Raises InputError when there are any."""
        if self.count == 0:
            return
        expected = "expected an integer from 0 to 255"
        if self.count == 1:
            raise InputError(f"{self.name}, {self.first[0]}, {expected}. Mend the value.")
        more = f"\n  … and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        places = "\n  ".join(self.first)
        raise InputError(
            f"{self.name}, {self.first[0]}, {expected}. {self.count:,} values are wrong; mend them:\n  {places}{more}"
        )


class _Lines:
    """A stream as its first line and then blocks of whole lines, each with the number of its first line."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self.name = name
        self._line = 1
        self._offset = 0

    def first(self) -> bytes:
        line = self._stream.readline(LONGEST_LINE)
        if line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{self.name}, byte 0: this is UTF-16, not UTF-8. Save it as CSV in UTF-8.")
        self._check_text(line)
        self._offset = len(line)
        line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in line.rstrip(b"\r\n"):
            raise InputError(f"{self.name}, line 1: lines end in CR alone, as on old Macs. Save it with LF or CR LF.")
        if not line.strip():
            raise InputError(
                f"{self.name}, line 1: a header with column names was expected, the file or line is empty."
            )
        self._line = 2
        return line

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines that end in LF, without the blank ones at the file's end.

        What is wrong with a line of its own, whatever its fields are, is raised after the lines before it were given.
        """
        blank_line: int | None = None
        while chunk := self._stream.read(BLOCK_BYTES):
            block = chunk + self._stream.readline(LONGEST_LINE)
            first, trouble = self._line, self._find_trouble(block)
            self._offset += len(block)
            self._line += block.count(b"\n")
            text = block[: trouble.start_of_line if trouble else None].replace(b"\r\n", b"\n")
            lines = text.rstrip(b"\n")
            if lines:
                if blank_line is not None:
                    raise blank_line_error(self.name, blank_line)
                yield lines + b"\n", first
            if blank_line is None and len(text) > len(lines) + bool(lines):
                blank_line = first + lines.count(b"\n") + bool(lines)
            if trouble is not None:
                raise trouble.error

    def _check_text(self, block: bytes) -> None:
        trouble = self._find_trouble(block)
        if trouble is not None:
            raise trouble.error

    def _find_trouble(self, block: bytes) -> "_Trouble | None":
        """The first thing in the block that is no line of text, whatever its fields are."""
        last_line = block.rfind(b"\n") + 1
        found: dict[int, str] = {}
        if len(block) - last_line > LONGEST_LINE:
            found[last_line] = f"the line is longer than {LONGEST_LINE:,} bytes. Is this a CSV file?"
        if b"\0" in block:
            found[block.index(b"\0")] = "found a zero byte, so this is no text. Save it as CSV in UTF-8."
        if not block.isascii():
            try:
                block.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = block[error.start]
                found[error.start] = f"found the byte 0x{byte:02x}, which is not UTF-8. Save it as CSV in UTF-8."
        return self._trouble(block, min(found), found[min(found)]) if found else None

    def _trouble(self, block: bytes, place: int, found: str) -> "_Trouble":
        line = self._line + block[:place].count(b"\n")
        where = f"{self.name}, line {line}, byte {self._offset + place:,}"
        return _Trouble(block.rfind(b"\n", 0, place) + 1, InputError(f"{where}: {found}"))


@dataclass(frozen=True)
class _Trouble:
    """What is wrong with a block beyond its fields."""

    start_of_line: int
    """Of the line that it is in, as a place in the block."""
    error: InputError


def blank_line_error(name: str, line: int) -> InputError:
    return InputError(f"{name}, line {line}: the line is blank, and rows follow. Remove it.")


def find_label(names: Sequence[str], wanted: str) -> int | None:
    """The column of that name; failing that, of that name in other capitals."""
    if wanted in names:
        return names.index(wanted)
    return next((i for i, column in enumerate(names) if column.lower() == wanted.lower()), None)


def _pixel_order(names: Sequence[str], others: set[int | None], place: str) -> tuple[int, ...]:
    """Positions of the pixel columns, in the order of the numbers in their names."""
    keys: dict[int, tuple[int, int]] = {}
    for position, column in enumerate(names):
        if position in others:
            continue
        match = _PIXEL_NAME.fullmatch(column)
        if match is None:
            raise InputError(
                f"{place}, column {position + 1}: '{column}' is neither a pixel (such as pixel0 or 1x1), "
                "an id nor the label. If it is the label, name it with --label; else remove it."
            )
        keys[position] = (int(match[1]), int(match[2] or 0))
    if not keys:
        raise InputError(f"{place}: there are no pixel columns. ReadOptions names such as pixel0, pixel1, …")
    return tuple(sorted(keys, key=keys.__getitem__))


def _keep_freed_memory() -> None:
    """Let the allocator reuse a block's temporaries for the next block, which saves a third of the time.

    glibc returns freed memory to the system beyond a threshold that grows with the largest piece ever freed
    (mallopt(3), M_MMAP_THRESHOLD); other allocators do not mind.
    """
    np.empty(32 * BLOCK_BYTES, dtype=np.uint8)


def _parse_plain(block: bytes, columns: Columns) -> _Block | None:
    """Parse a block of plain lines by array arithmetic; None when any of it is not plain."""
    width, rows = len(columns.names), block.count(b"\n")
    characters = np.frombuffer(_PADDING + block, dtype=np.uint8)
    is_end = (characters == ord(columns.delimiter)) | (characters == _NEWLINE)
    ends = np.flatnonzero(is_end[len(_PADDING) :])
    if len(ends) != rows * width or b'"' in block or b"\r" in block:
        return None
    ends_of_lines = ends[width - 1 :: width] + len(_PADDING)
    values, is_odd = _values_and_oddities(characters, is_end)
    if (characters[ends_of_lines] != _NEWLINE).any() or _has_odd_pixels(is_odd, ends, columns):
        return None
    return _Block(
        values.take(ends).reshape(rows, width)[:, columns.pixel_slice],
        _texts(block, ends, columns.label, width),
        _texts(block, ends, columns.id, width),
    )


def _has_odd_pixels(is_odd: NDArray[np.bool_], ends: NDArray[np.int64], columns: Columns) -> bool:
    if not is_odd.any():
        return False
    odd_columns = np.searchsorted(ends, np.flatnonzero(is_odd)) % len(columns.names)
    return not np.isin(odd_columns, [column for column in (columns.label, columns.id) if column is not None]).all()


def _values_and_oddities(
    characters: NDArray[np.uint8], is_end: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """For each place of a block of n characters, padded in front by three ends of fields:

    the value of the up to three digits before the place, and whether the place makes its field something other
    than a number 0..255 of one to three digits. One pass of byte arithmetic over all places is faster than
    gathering the digits of each field.
    """
    digits = characters - np.uint8(_ZERO)
    is_digit = digits < 10
    digits *= is_digit
    tens = digits[:-1] * np.uint8(10)
    tens += digits[1:]
    tens *= is_digit[1:]  # the value of the two digits that end one place further on
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


def _texts(block: bytes, ends: NDArray[np.int64], column: int | None, width: int) -> list[str]:
    """The fields of a column as they stand in the block."""
    if column is None:
        return []
    own = ends[column::width].tolist()
    before = ends[column - 1 :: width].tolist() if column else [-1, *ends[width - 1 :: width].tolist()]
    return [block[i + 1 : j].decode("utf-8").strip() for i, j in zip(before, own, strict=False)]


def _parse_carefully(block: bytes, columns: Columns, wrong: _WrongValues, first_line: int) -> _Block:
    """Parse a block field by field, collecting wrong values. Raises InputError at a line of another shape."""
    rows: list[list[int]] = []
    labels: list[str] = []
    ids: list[str] = []
    lines = block.decode("utf-8").rstrip("\n").split("\n")
    for number, line in enumerate(lines, first_line):
        fields = split_line(line, columns.delimiter, f"{wrong.name}, line {number}")
        if not fields:
            raise blank_line_error(wrong.name, number)
        if len(fields) != len(columns.names):
            raise InputError(
                f"{wrong.name}, line {number}: {len(fields)} fields, expected {len(columns.names)} as in the header. "
                "Is the line cut short, or a separator missing?"
            )
        values = [_pixel(fields[i]) for i in columns.pixels]
        for i, value in zip(columns.pixels, values, strict=True):
            if value is None:
                wrong.add(number, columns.names[i], fields[i].strip())
        rows.append([value or 0 for value in values])
        labels += [] if columns.label is None else [fields[columns.label].strip()]
        ids += [] if columns.id is None else [fields[columns.id].strip()]
    return _Block(np.array(rows, dtype=np.uint8), labels, ids)


def split_line(line: str, delimiter: str, place: str) -> list[str]:
    """The fields of a line, which stands alone. Raises InputError at a quote that is not closed, and the like."""
    if "\r" in line:
        raise InputError(f"{place}: a carriage return (CR) stands within the line. End lines with LF or CR LF.")
    reader = csv.reader([line + "\n", "the next line"], delimiter=delimiter, skipinitialspace=True)
    try:
        fields = next(reader)
    except csv.Error as error:
        raise InputError(f"{place}: this is no line of CSV ({error}).") from None
    if reader.line_num > 1:
        raise InputError(f"{place}: a quote is not closed. Close or remove it.")
    return fields


def _pixel(text: str) -> int | None:
    """The value of a field; None where it is none from 0 to 255."""
    text = text.strip()
    value = int(text) if _PIXEL_VALUE.fullmatch(text) and len(text) < 10 else 256
    return value if value <= 255 else None
