"""Read CSV files whose columns are pixels, a label, an id; fast. They are on the disk, or in a competition's zip.

The file is read in blocks of whole lines. A block whose lines all have the header's number of plain fields is parsed by
byte arithmetic: a field's value is its last digit, plus ten times the one before, plus a hundred times the one before
that. Any other block goes through the csv module, field by field, which either understands it (quotes, spaces, leading
zeros) or finds the exact line and column of the fault. Wrong values are collected to the end of the file, so that the
user sees how many there are; a line with another number of fields ends the reading.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import SPLITS, RawImages, SubmissionTemplate, join
from hitofude.inputs.formats.archive import list_members, open_file, open_member, reading
from hitofude.inputs.layout import ReadOptions, images_of_rows

BLOCK_BYTES = 1 << 17  # so that a block's temporaries fit into a processor's cache
LONGEST_LINE = 1 << 22
WRONG_SHOWN = 20
ID_NAMES = ("id", "imageid", "image_id")
DELIMITERS = b",;\t"
SAMPLE_SUBMISSION = "sample_submission"

NO_OPTIONS = ReadOptions()

_NEWLINE, _ZERO = ord("\n"), ord("0")
_PADDING = b"\n\n\n"
_PIXEL_NAME = re.compile(r"[^\d]*(\d+)(?:x(\d+))?")
_PIXEL_VALUE = re.compile(r"[0-9]+")


@dataclass(frozen=True, eq=False)
class CsvTable:
    """The content of a CSV file."""

    pixels: NDArray[np.uint8]  # (N, P), in the order of the numbers in the column names
    labels: NDArray[np.str_] | None  # (N,)
    ids: NDArray[np.str_] | None  # (N,)
    groups: NDArray[np.str_] | None = None  # (N,)
    folds: NDArray[np.str_] | None = None  # (N,)


@dataclass(frozen=True)
class Columns:
    """The positions of the pixels, and of the columns of text, among a file's columns."""

    names: tuple[str, ...]
    delimiter: str
    pixels: tuple[int, ...]
    label: int | None
    id: int | None
    groups: int | None = None
    folds: int | None = None

    @property
    def texts(self) -> tuple[int | None, ...]:
        """The positions of label, id, group and fold."""
        return self.label, self.id, self.groups, self.folds

    @property
    def pixel_slice(self) -> slice | list[int]:
        """The pixels as an index: a slice, which copies faster, if they are adjacent and in order."""
        first, last = self.pixels[0], self.pixels[-1]
        in_order = self.pixels == tuple(range(first, last + 1))
        return slice(first, last + 1) if in_order else list(self.pixels)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file, opened when it is read."""

    name: str
    open: Callable[[], BinaryIO]

    def read(self, options: ReadOptions, columns: Columns | None = None) -> RawImages:
        """Read the whole file. columns: of a file without a header. Raise InputError with line and column."""
        return join(list(self.stream(options, columns)))

    def stream(self, options: ReadOptions, columns: Columns | None = None) -> Iterator[RawImages]:
        """Read in pieces of some rows each; their lines are counted from the file's beginning."""
        first, missing = 2, options.missing_labels
        with reading(self.name), self.open() as stream:
            for table in stream_csv(stream, self.name, options, columns=columns):
                images = images_of_rows(table.pixels, self.name, options)
                texts = table.labels, table.ids, "line", first, missing, table.groups, table.folds
                yield RawImages(self.name, images, *texts)
                first += len(images)

    def read_template(self) -> SubmissionTemplate:
        """Read a sample_submission.csv. Raise InputError with the line if it has not two columns or more throughout."""
        with reading(self.name), self.open() as stream:
            lines = stream.read().decode("utf-8-sig", errors="replace").splitlines()
        rows = [(number, row) for number, row in enumerate(csv.reader(lines), start=1) if row]
        if not rows or len(rows[0][1]) < 2:
            raise InputError(f"{self.name}: expected an id and a label, or an id and a column for each class.")
        header = rows[0][1]
        for number, row in rows:
            if len(row) != len(header):
                raise InputError(f"{self.name}, line {number}: expected {len(header)} fields, found {len(row)}.")
        return SubmissionTemplate(tuple(name.strip() for name in header), tuple(row[0] for _, row in rows[1:]))


def csv_file(path: Path) -> CsvFile:
    """A file on the disk, gzipped or not."""
    return CsvFile(str(path), lambda: open_file(path))


def csv_files_in_zip(path: Path) -> dict[str, CsvFile]:
    """Find `train`, `test` and `sample_submission`. Raise InputError if there is no train."""
    with reading(str(path)):
        members = list_members(path)
    files: dict[str, CsvFile] = {}
    for name in (*SPLITS, SAMPLE_SUBMISSION):
        candidates = [member for member in members if member.rsplit("/", 1)[-1] == f"{name}.csv"]
        if len(candidates) > 1:
            raise InputError(f"{path}: several files are called {name}.csv: {', '.join(candidates)}. Keep one.")
        for member in candidates:
            files[name] = CsvFile(f"{path}/{member}", partial(open_member, path, member))
    if "train" not in files:
        held = ", ".join(members[:5]) or "nothing"
        raise InputError(f"{path}: there is no train.csv in it. It holds: {held}. Unpack it, and name what to read.")
    return files


def stream_csv(
    stream: BinaryIO, name: str, options: ReadOptions = NO_OPTIONS, *, columns: Columns | None = None
) -> Iterator[CsvTable]:
    """Read a CSV file in pieces of some rows each.

    name: the file, for messages. options: the names of the columns of text; a file need not have them. columns: of a
    file without a header line.

    Raise InputError with line, column, the value found and a remedy, after the pieces before the fault.
    """
    lines = _Lines(stream, name)
    yield from _parse_blocks(lines, columns or parse_header(lines.first(), name, options))


def parse_header(line: bytes, name: str, options: ReadOptions = NO_OPTIONS) -> Columns:
    """Find the delimiter, the pixels and the columns of text. Raise InputError."""
    location = f"{name}, line 1"
    text = line.decode("utf-8", errors="replace").strip("\r\n")
    delimiter = max(DELIMITERS.decode(), key=text.count)
    names = tuple(field.strip() for field in split_line(text, delimiter, location))
    duplicates = sorted(column for column, count in Counter(names).items() if count > 1)
    if duplicates and all(_PIXEL_VALUE.fullmatch(column) for column in names):
        raise InputError(f"{location}: expected column names, found numbers. Add a line such as label,pixel0,pixel1,…")
    if duplicates:
        raise InputError(f"{location}: duplicate column '{duplicates[0]}'. Rename or remove one.")
    return find_columns(names, location, options, delimiter)


def find_columns(names: Sequence[str], location: str, options: ReadOptions, delimiter: str = ",") -> Columns:
    """Assign the columns by their names. location: the header, for messages. Raise InputError."""
    texts = find_texts(names, options, location)
    missing = [
        name for name, position in zip((options.groups, options.folds), texts[2:], strict=True) if position is None
    ]
    hint = "".join(f" There is no column '{name}'." for name in missing if name is not None)
    return Columns(tuple(names), delimiter, _pixel_order(names, set(texts), location, hint), *texts)


def find_texts(names: Sequence[str], options: ReadOptions, location: str) -> tuple[int | None, ...]:
    """The positions of label, id, group and fold. Raise InputError if the label or the id is named as another."""
    label, id = find_label(names, options.label_column), find_id(names)
    others = [None if name is None else find_label(names, name) for name in (options.groups, options.folds)]
    for word, position in zip(("groups", "folds"), others, strict=True):
        if position is not None and position == label:
            raise InputError(f"{location}: '{names[position]}' is the label column; --{word} needs another one.")
    return label, id, *others


def find_label(names: Sequence[str], wanted: str) -> int | None:
    """The column of that name; failing that, of that name in other capitals."""
    if wanted in names:
        return names.index(wanted)
    return next((i for i, column in enumerate(names) if column.lower() == wanted.lower()), None)


def find_id(names: Sequence[str]) -> int | None:
    return next((i for i, column in enumerate(names) if column.lower() in ID_NAMES), None)


def _pixel_order(names: Sequence[str], others: set[int | None], location: str, hint: str) -> tuple[int, ...]:
    """The positions of the pixel columns, in the order of the numbers in their names. hint: ends the error."""
    keys: dict[int, tuple[int, int]] = {}
    for position, column in enumerate(names):
        if position in others:
            continue
        match = _PIXEL_NAME.fullmatch(column)
        if match is None:
            raise InputError(
                f"{location}, column {position + 1}: '{column}' is neither a pixel (such as pixel0 or 1x1), "
                "an id nor the label. If it is the label, name it with --label; if it tells which rows belong "
                f"together, with --groups or --folds; otherwise remove it.{hint}"
            )
        keys[position] = (int(match[1]), int(match[2] or 0))
    if not keys:
        raise InputError(f"{location}: there are no pixel columns. Expected names such as pixel0, pixel1, …")
    return tuple(sorted(keys, key=keys.__getitem__))


def _parse_blocks(lines: "_Lines", columns: Columns) -> Iterator[CsvTable]:
    """The rows up to the first wrong value. Raise InputError for all wrong values at the end of the file."""
    np.empty(32 * BLOCK_BYTES, dtype=np.uint8)  # grows glibc's M_MMAP_THRESHOLD, so blocks reuse memory: a third faster
    wrong, has_rows = _WrongValues(lines.name), False
    try:
        for block, line in lines.blocks():
            parsed = _parse_plain(block, columns) or _parse_carefully(block, columns, wrong, line)
            has_rows = True
            if wrong.count == 0:
                yield parsed
    except InputError:
        wrong.check()  # they come before this error
        raise
    wrong.check()
    if not has_rows:
        raise InputError(f"{lines.name}: there are no rows below the header. Is the file complete?")


@dataclass
class _WrongValues:
    """The number of wrong pixels in a file, and the first of them."""

    name: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, column: str, found: str) -> None:
        self.count += 1
        if len(self.first) < WRONG_SHOWN:
            self.first.append(f"line {line}, column '{column}': found '{found[:40]}'")

    def check(self) -> None:
        """Raise InputError if there are any."""
        if self.count == 0:
            return
        error = f"{self.name}, {self.first[0]}, expected an integer from 0 to 255."
        if self.count == 1:
            raise InputError(f"{error} Fix the value.")
        more = f"\n  … and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
        listed = "\n  ".join(self.first)
        raise InputError(f"{error} {self.count:,} values are wrong; fix them:\n  {listed}{more}")


class _Lines:
    """A stream's first line, then blocks of whole lines, each with the number of its first line."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self.name = name
        self._line = 1
        self._offset = 0

    def first(self) -> bytes:
        line = self._stream.readline(LONGEST_LINE)
        if line.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise InputError(f"{self.name}, byte 0: this is UTF-16, not UTF-8. Save it as CSV in UTF-8.")
        if (fault := self._find_fault(line)) is not None:
            raise fault[1]
        self._offset = len(line)
        line = line.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in line.rstrip(b"\r\n"):
            raise InputError(f"{self.name}, line 1: lines end in CR alone, as on old Macs. Save it with LF or CR LF.")
        if not line.strip():
            raise InputError(f"{self.name}, line 1: expected column names, the file or line is empty.")
        self._line = 2
        return line

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines that end in LF, without the blank lines at the file's end; then the error of a bad line."""
        blank_line: int | None = None
        while chunk := self._stream.read(BLOCK_BYTES):
            block = chunk + self._stream.readline(LONGEST_LINE)
            first, fault = self._line, self._find_fault(block)
            self._offset += len(block)
            self._line += block.count(b"\n")
            text = block[: fault[0] if fault else None].replace(b"\r\n", b"\n")
            lines = text.rstrip(b"\n")
            if lines:
                if blank_line is not None:
                    raise _blank_line(self.name, blank_line)
                yield lines + b"\n", first
            if blank_line is None and len(text) > len(lines) + bool(lines):
                blank_line = first + lines.count(b"\n") + bool(lines)
            if fault is not None:
                raise fault[1]

    def _find_fault(self, block: bytes) -> tuple[int, InputError] | None:
        """The start of the first line that is not text, and the error."""
        last_line = block.rfind(b"\n") + 1
        found: dict[int, str] = {}
        if len(block) - last_line > LONGEST_LINE:
            found[last_line] = f"the line is longer than {LONGEST_LINE:,} bytes. Is this a CSV file?"
        if b"\0" in block:
            found[block.index(b"\0")] = "found a zero byte, so this is not text. Save it as CSV in UTF-8."
        if not block.isascii():
            try:
                block.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = block[error.start]
                found[error.start] = f"found the byte 0x{byte:02x}, which is not UTF-8. Save it as CSV in UTF-8."
        if not found:
            return None
        position = min(found)
        line = self._line + block[:position].count(b"\n")
        location = f"{self.name}, line {line}, byte {self._offset + position:,}"
        return block.rfind(b"\n", 0, position) + 1, InputError(f"{location}: {found[position]}")


def _blank_line(name: str, line: int) -> InputError:
    return InputError(f"{name}, line {line}: the line is blank, and rows follow. Remove it.")


def _parse_plain(block: bytes, columns: Columns) -> CsvTable | None:
    """Parse a block of plain lines by array arithmetic. Return None if any of them is not plain."""
    width, rows = len(columns.names), block.count(b"\n")
    characters = np.frombuffer(_PADDING + block, dtype=np.uint8)
    is_end = (characters == ord(columns.delimiter)) | (characters == _NEWLINE)
    ends = np.flatnonzero(is_end[len(_PADDING) :])
    if len(ends) != rows * width or b'"' in block or b"\r" in block:
        return None
    ends_of_lines = ends[width - 1 :: width] + len(_PADDING)
    values, is_odd = _values_and_oddities(characters, is_end)
    odd_columns = np.unique(np.searchsorted(ends, np.flatnonzero(is_odd)) % width).tolist()
    if (characters[ends_of_lines] != _NEWLINE).any() or not set(columns.texts).issuperset(odd_columns):
        return None
    pixels = values.take(ends).reshape(rows, width)[:, columns.pixel_slice]
    return CsvTable(pixels, *(_texts(block, ends, column, width) for column in columns.texts))


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
    return _array(block[i + 1 : j].decode("utf-8") for i, j in zip(before, own, strict=False))


def _parse_carefully(block: bytes, columns: Columns, wrong: _WrongValues, first_line: int) -> CsvTable:
    """Parse a block field by field and collect wrong values. Raise InputError at a line with more or fewer fields."""
    pixels: list[list[int]] = []
    rows: list[list[str]] = []
    for number, line in enumerate(block.decode("utf-8").rstrip("\n").split("\n"), first_line):
        fields = split_line(line, columns.delimiter, f"{wrong.name}, line {number}")
        if not fields:
            raise _blank_line(wrong.name, number)
        if len(fields) != len(columns.names):
            raise InputError(
                f"{wrong.name}, line {number}: {len(fields)} fields, expected {len(columns.names)} as in the header. "
                "Is the line cut short, or a separator missing?"
            )
        values = [_pixel(fields[i]) for i in columns.pixels]
        for i, value in zip(columns.pixels, values, strict=True):
            if value is None:
                wrong.add(number, columns.names[i], fields[i].strip())
        pixels.append([value or 0 for value in values])
        rows.append(fields)
    texts = (None if i is None else _array(fields[i] for fields in rows) for i in columns.texts)
    return CsvTable(np.array(pixels, dtype=np.uint8), *texts)


def _array(texts: Iterable[str]) -> NDArray[np.str_]:
    return np.array([text.strip() for text in texts], dtype=np.str_)


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


def _pixel(text: str) -> int | None:
    """The value of a field, None if it is not an integer from 0 to 255."""
    text = text.strip()
    value = int(text) if _PIXEL_VALUE.fullmatch(text) and len(text) < 10 else 256
    return value if value <= 255 else None
