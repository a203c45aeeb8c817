"""Read CSV files whose columns are pixels, a label, an id; fast. They are on the disk, or in a competition's zip.

The file is read in blocks of whole lines (`csv_lines`), after a look at its head (`csv_header`). A block of plain lines
is parsed by array arithmetic or by NumPy (`csv_plain`). Any other block goes through the csv module, field by field,
which either understands it (quotes, spaces, leading zeros) or finds the exact line and column of the fault
(`csv_careful`).
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, counted
from hitofude.inputs.dataset import RawImages, SubmissionTemplate
from hitofude.inputs.formats.archive import Place, open_file, reading
from hitofude.inputs.formats.columns import Columns
from hitofude.inputs.formats.csv_careful import Values, parse_carefully, parse_pixel_texts
from hitofude.inputs.formats.csv_header import Head
from hitofude.inputs.formats.csv_lines import BLOCK_BYTES, Lines
from hitofude.inputs.formats.csv_plain import CsvTable, parse_numbers, parse_plain, parse_whole_floats
from hitofude.inputs.layout import ReadOptions, check_pixel_count, lay_out

NO_OPTIONS = ReadOptions()
NO_LABELS = (
    "there are no column names, and as many columns as pixels, so none is the label, and training needs one. Name the "
    "file of the labels with --labels, or the label's column by its number, such as --label 0."
)
PROBES, PROBE_BYTES = 32, 1 << 15
HELD_BLOCKS = 1000
"""The blocks that are kept until a file's values are judged; then it is a file of bytes with faults."""


@dataclass(frozen=True)
class CsvFile:
    """A CSV file, opened when it is read."""

    name: str
    open: Callable[[], BinaryIO]

    def read(self, options: ReadOptions, columns: Columns | None = None) -> RawImages:
        """Read the whole file. columns: of a file without a header. Raise InputError with line and column.

        Memory: the images, a sixteenth more while they are read, and some blocks.
        """
        with reading(self.name), self.open() as stream:
            reader = _Reader(stream, self.name, options, columns, self.probe)
            rows, texts = _GrowingRows(), list[list[NDArray[np.str_] | None]]()
            for table in reader.tables():
                if not texts:
                    check_pixel_count(table.pixels.shape[1], self.name, options)
                rows.add(table.pixels)
                texts.append(list(table.texts))
            joined = (_joined(column) for column in zip(*texts, strict=True))
            laid_out = lay_out(rows.array(), self.name, options, in_place=True)
            raw = reader.raw(laid_out.images, *joined)
            return replace(raw, reading=(*raw.reading, *laid_out.reading), planes=laid_out.planes)

    def stream(self, options: ReadOptions, columns: Columns | None = None) -> Iterator[RawImages]:
        """Read in pieces of some rows each; their lines are counted from the file's beginning."""
        with reading(self.name), self.open() as stream:
            reader = _Reader(stream, self.name, options, columns, self.probe)
            first = reader.first_row
            for table in reader.tables():
                laid_out = lay_out(table.pixels, self.name, options)
                options = replace(options, planes=laid_out.planes)  # the first rows decide for all
                yield replace(reader.raw(laid_out.images, *table.texts), first_row=first)
                first += len(laid_out.images)

    def probe(self) -> list[str]:
        """Return some lines from all over the file."""
        found: list[bytes] = []
        with self.open() as stream:
            if not isinstance(stream.raw if isinstance(stream, io.BufferedReader) else None, io.FileIO):
                while chunk := stream.read(1 << 20):
                    found += chunk[:PROBE_BYTES].split(b"\n")[1:-1]
            else:
                size = stream.seek(0, io.SEEK_END)
                for place in range(0, size, max(size // PROBES, PROBE_BYTES)):
                    stream.seek(place)
                    found += stream.read(PROBE_BYTES).split(b"\n")[1:-1]
        return [line.decode("utf-8", errors="replace") for line in found if line.strip()]

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
                raise InputError(
                    f"{self.name}, line {number}: expected {counted(len(header), 'field')}, found {len(row)}."
                )
        return SubmissionTemplate(tuple(name.strip() for name in header), tuple(row[0] for _, row in rows[1:]))


def csv_file(path: Place) -> CsvFile:
    """A CSV file on the disk or in a zip, packed or not."""
    return CsvFile(str(path), lambda: open_file(path))


def stream_csv(
    stream: BinaryIO, name: str, options: ReadOptions = NO_OPTIONS, *, columns: Columns | None = None
) -> Iterator[CsvTable]:
    """Read a CSV file in pieces of some rows each.

    name: the file, for messages. options: the names of the columns of text; a file need not have them. columns: of a
    file without a header line.

    Raise InputError with line, column, the value found and a remedy, after the pieces before the fault.
    """
    yield from _Reader(stream, name, options, columns).tables()


class _Reader:
    """An open CSV file whose columns are known."""

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        options: ReadOptions,
        columns: Columns | None = None,
        probe: Callable[[], list[str]] | None = None,
    ) -> None:
        """Raise InputError for a header that names no table of images."""
        self._lines, self._options = Lines(stream, name), options
        if columns is None:
            self.columns = Head(self._lines, options, probe).settle()
        else:
            self._lines.first()
            self.columns = columns
        self.first_row = self._lines.line
        self._values = Values(name)
        self._in_one: Columns | None = None
        """The pixels in a column that holds all of them, as columns of their own."""

    def raw(self, images: NDArray[Any], *texts: NDArray[np.str_] | None) -> RawImages:
        """Return images (N, C, H, W) of this file with their labels, ids, groups, folds, usage and weights."""
        labels, ids, groups, folds, usage, weights = texts
        name, columns = self._lines.name, self.columns
        missing = self._options.missing_labels if columns.has_names else NO_LABELS
        return RawImages(
            name, images, labels, ids, "line", self.first_row, missing, groups, folds,
            reading=columns.reading, left_aside=columns.left_aside(Path(name).name),
            label_column=columns.label_column, id_column=columns.id_column, usage=usage, weights=weights,
        )  # fmt: skip

    def tables(self) -> Iterator[CsvTable]:
        """The rows up to the first wrong value. Raise InputError for all wrong values at the end of the file.

        Rows with numbers that are no bytes are kept back until it is known whether the file is one of such numbers.
        """
        np.empty(32 * BLOCK_BYTES, dtype=np.uint8)  # grows glibc's M_MMAP_THRESHOLD: memory is reused, a third faster
        values, held, has_rows = self._values, list[CsvTable](), False
        try:
            for block, line in self._lines.blocks():
                held.append(self._parse(block, line))
                has_rows = True
                is_settled = values.odd_rows == 0 or values.settle()
                if values.are_good and is_settled:
                    yield from held
                if is_settled or len(held) > HELD_BLOCKS:
                    held.clear()
        except InputError:
            values.check()  # they come before this error
            yield from held
            raise
        values.check()
        if not has_rows:
            raise InputError(f"{values.name}: there are no rows below the header. Is the file complete?")
        yield from held

    def _parse(self, block: bytes, line: int) -> CsvTable:
        columns, values = self.columns, self._values
        if columns.are_in_one:
            return self._parse_in_one(block, line)
        return _parse(block, columns, values, line)

    def _parse_in_one(self, block: bytes, line: int) -> CsvTable:
        """Parse a block whose pixels are in one column of text."""
        count = None if self._in_one is None else len(self._in_one.names)
        pixels, texts = parse_pixel_texts(block, self.columns, self._values, line, count)
        if self._in_one is None:
            column, count = self.columns.names[self.columns.pixels[0]], pixels.partition(b"\n")[0].count(b",") + 1
            names = tuple(f"{column}', number '{i + 1}" for i in range(count))
            self._in_one = Columns(names, ",", tuple(range(count)), None, None, has_names=False)
        return replace(texts, pixels=_parse(pixels, self._in_one, self._values, line).pixels)


def _parse(block: bytes, columns: Columns, values: Values, line: int) -> CsvTable:
    if values.settle():
        plain = parse_numbers(block, columns)
    else:
        plain = parse_plain(block, columns) or parse_whole_floats(block, columns)
    if plain is not None:
        values.add_rows(len(plain.pixels))
        return plain
    return parse_carefully(block, columns, values, line)


class _GrowingRows:
    """Rows of an array that grows in place, by a sixteenth at a time."""

    def __init__(self) -> None:
        self._rows: NDArray[Any] | None = None
        self._count = 0

    def add(self, rows: NDArray[Any]) -> None:
        """rows: (n, P), all with the same P."""
        if self._rows is None:
            self._rows = np.empty(rows.shape, rows.dtype)
        kind = np.result_type(self._rows, rows)
        if kind != self._rows.dtype:
            self._rows = self._rows.astype(kind)
        end = self._count + len(rows)
        if end > len(self._rows):
            self._rows.resize((max(end, len(self._rows) * 17 // 16), self._rows.shape[1]), refcheck=False)
        self._rows[self._count : end] = rows
        self._count = end

    def array(self) -> NDArray[Any]:
        """(N, P) all rows; nothing is added after it."""
        if self._rows is None:
            return np.empty((0, 0), dtype=np.uint8)
        self._rows.resize((self._count, self._rows.shape[1]), refcheck=False)
        return self._rows


def _joined(texts: tuple[NDArray[np.str_] | None, ...]) -> NDArray[np.str_] | None:
    known = [array for array in texts if array is not None]
    return np.concatenate(known) if known else None
