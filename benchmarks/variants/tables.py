"""Tables as programs write them: without header, with other headers, of floats, in Excel's dialects."""

import gzip
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.variants.variant import Digits, Maker, Variant

PIXELS = 784
NAMES = [f"pixel{number}" for number in range(PIXELS)]


@dataclass(frozen=True, eq=False)
class Table:
    """The fields of a file."""

    header: Sequence[str] | None
    rows: Sequence[Sequence[Any]]
    delimiter: str = ","
    ending: str = "\n"
    before: str = ""
    after: str = ""
    encoding: str = "utf-8"
    quote: str = ""

    def bytes(self) -> bytes:
        lines = [*([] if self.header is None else [self.header]), *self.rows]
        text = self.ending.join(self.delimiter.join(f"{self.quote}{x}{self.quote}" for x in line) for line in lines)
        return f"{self.before}{text}{self.ending}{self.after}".encode(self.encoding)


@dataclass(frozen=True)
class Kind:
    """How a table of digits is written, and how it is read."""

    table: Callable[[Digits], Table]
    name: str = "train.csv"
    options: dict[str, Any] = field(default_factory=dict)
    pack: Callable[[bytes], bytes] = bytes
    labels: Callable[[int], Any] = str
    test: int = 0
    tolerance: int = 0

    def __call__(self, folder: Path, digits: Digits) -> Variant:
        path = folder / self.name
        path.write_bytes(self.pack(self.table(digits).bytes()))
        count = len(digits.labels) - self.test
        labels = [self.labels(label) for label in digits.labels[:count].tolist()]
        return Variant(path, digits.images[:count], labels, self.options, self.test, self.tolerance)


def plain(digits: Digits) -> Table:
    return Table(["label", *NAMES], first(digits.labels, digits.rows))


def first(labels: Any, rows: Any) -> list[list[Any]]:
    """The label in front of each row."""
    return [[label, *row] for label, row in zip(np.asarray(labels).tolist(), np.asarray(rows).tolist(), strict=True)]


def last(labels: Any, rows: Any) -> list[list[Any]]:
    return [[*row[1:], row[0]] for row in first(labels, rows)]


def by(**changes: Any) -> Callable[[Digits], Table]:
    """The plain table with other delimiters, line ends or encoding."""
    return lambda digits: replace(plain(digits), **changes)


def headerless(digits: Digits) -> Table:
    return Table(None, first(digits.labels, digits.rows))


def sorted_by_label(digits: Digits) -> Table:
    """As A-Z Handwritten: the first rows are all of one class."""
    order = np.argsort(digits.labels, kind="stable")
    return Table(None, first(digits.labels[order], digits.rows[order]))


def letters(digits: Digits) -> Table:
    return Table(None, first([chr(65 + label) for label in digits.labels.tolist()], digits.rows))


def mangled(digits: Digits) -> Table:
    """The file without header as pandas writes it after it took the first row for names."""
    frame = pd.read_csv(io.BytesIO(headerless(digits).bytes()))
    return Table([*frame.columns], frame.to_numpy().tolist())


def mangled_and_numbered(digits: Digits) -> Table:
    frame = pd.read_csv(io.BytesIO(headerless(digits).bytes()))
    rows = [[number, *row] for number, row in enumerate(frame.to_numpy().tolist())]
    return Table(["", *frame.columns], rows)


def counted(digits: Digits, beginning: str = "", start: int = 0) -> Table:
    return Table([f"{beginning}{i + start}" for i in range(PIXELS + 1)], first(digits.labels, digits.rows))


def counted_last(digits: Digits) -> Table:
    return Table([f"V{i + 1}" for i in range(PIXELS + 1)], last(digits.labels, digits.rows))


def counting_pixels(digits: Digits) -> Table:
    return Table(["label", *map(str, range(PIXELS))], first(digits.labels, digits.rows))


def by_row_and_column(pattern: str) -> Callable[[Digits], Table]:
    names = [pattern.format(row, column) for row in range(28) for column in range(28)]
    return lambda digits: Table([*names, "target"], last(digits.labels, digits.rows))


def columns_first(digits: Digits) -> Table:
    """The columns in the order of x, then y: the names tell the way back."""
    order = np.arange(PIXELS).reshape(28, 28).T.ravel()
    names = [f"{number // 28 + 1}x{number % 28 + 1}" for number in order.tolist()]
    return Table(["label", *names], first(digits.labels, digits.rows[:, order]))


def with_columns(names: Sequence[str], values: Callable[[int], Sequence[Any]]) -> Callable[[Digits], Table]:
    """The plain table with more columns in front."""

    def made(digits: Digits) -> Table:
        table = plain(digits)
        rows = [[*values(number), *row] for number, row in enumerate(table.rows)]
        return Table([*names, *(table.header or ())], rows)

    return made


def with_sign(digits: Digits) -> Table:
    """As Chinese MNIST: a number, and beside it its sign."""
    rows = [[*row, "零一二三四五六七八九"[row[-1]]] for row in last(digits.labels, digits.rows)]
    return Table([*(f"pixel_{i}" for i in range(PIXELS)), "label", "character"], rows)


def floats(write: Callable[[float], str], labels: Callable[[int], str] = str) -> Callable[[Digits], Table]:
    """The plain table with each pixel written another way."""

    def made(digits: Digits) -> Table:
        texts: dict[int, str] = {value: write(value) for value in range(256)}
        rows = [[labels(row[0]), *(texts[value] for value in row[1:])] for row in plain(digits).rows]
        return Table(["label", *NAMES], rows)

    return made


def saved_by_numpy(delimiter: str, format: str) -> Callable[[bytes], bytes]:
    def packed(content: bytes) -> bytes:
        stream = io.BytesIO()
        np.savetxt(stream, np.loadtxt(io.BytesIO(content), delimiter=","), delimiter=delimiter, fmt=format)
        return stream.getvalue()

    return packed


def in_one_column(write: Callable[[NDArray[np.uint8]], str], *, usage: bool = False) -> Callable[[Digits], Table]:
    """As fer2013: all pixels of an image in one field."""

    def made(digits: Digits) -> Table:
        parts = ["Training"] * 40 + ["PublicTest"] * 10 + ["PrivateTest"] * 10
        texts = [write(row) for row in digits.rows]
        rows = [[*row, part][: 2 + usage] for *row, part in zip(digits.labels.tolist(), texts, parts, strict=True)]
        return Table(["emotion", "pixels", "Usage"][: 2 + usage], rows)

    return made


def spaced(row: NDArray[np.uint8]) -> str:
    return " ".join(map(str, row.tolist()))


def row_names(digits: Digits) -> Table:
    """As R's write.csv: names of rows in front, all text quoted; the header has a name less than the rows fields."""
    table = plain(digits)
    rows = [[f'"{number}"', *row] for number, row in enumerate(table.rows, 1)]
    return Table([f'"{name}"' for name in table.header or ()], rows)


def zipped(name: str) -> Callable[[bytes], bytes]:
    def packed(content: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return stream.getvalue()

    return packed


def ends_of_rows(text: str) -> Callable[[Digits], Table]:
    """Empty columns behind the last."""
    return lambda digits: replace(plain(digits), delimiter=";", ending=f"{text}\r\n", before="\ufeff")


VARIANTS: dict[str, Maker] = {
    "with a header": Kind(plain),
    "without header, the label first": Kind(headerless, "A_Z Handwritten Data.csv"),
    "without header, the label last": Kind(lambda digits: Table(None, last(digits.labels, digits.rows))),
    "without header, gzipped": Kind(headerless, "train.csv.gz", pack=gzip.compress),
    "without header, in a zip": Kind(headerless, "data.zip", pack=zipped("train.csv")),
    "without header, --label 0": Kind(headerless, options={"label": "0"}),
    "without header, the last as --label 785": Kind(
        lambda digits: Table(None, last(digits.labels, digits.rows)), options={"label": "785"}
    ),
    "without header, --no-header": Kind(headerless, options={"header": False}),
    "without header, letters": Kind(letters, labels=lambda label: chr(65 + label)),
    "without header, semicolons": Kind(lambda digits: replace(headerless(digits), delimiter=";")),
    "pandas took a row for names": Kind(mangled),
    "pandas took a row for names, and wrote its index": Kind(mangled_and_numbered),
    "numbered by pandas": Kind(counted),
    "numbered V1 to V785, the label last": Kind(counted_last),
    "numbered Column1 to Column785": Kind(lambda digits: counted(digits, "Column", 1)),
    "pixels numbered 0 to 783": Kind(counting_pixels),
    "pixel_0_0 and target": Kind(by_row_and_column("pixel_{}_{}")),
    "r0c0 and target": Kind(by_row_and_column("r{}c{}")),
    "1x1 in another order": Kind(columns_first),
    "an index of pandas": Kind(with_columns([""], lambda number: [number])),
    "Unnamed: 0": Kind(with_columns(["Unnamed: 0"], lambda number: [number])),
    "two indices": Kind(with_columns(["Unnamed: 0", "index"], lambda number: [number, number])),
    "row names of R": Kind(row_names),
    "a number to ignore": Kind(with_columns(["writer"], lambda number: [number % 7]), options={"ignore": ["writer"]}),
    "a label and its sign": Kind(with_sign),
    "5.0": Kind(floats(lambda value: f"{value}.0", lambda label: f"{label}.0")),
    "savetxt": Kind(headerless, pack=saved_by_numpy(" ", "%.18e")),
    "savetxt with commas": Kind(headerless, pack=saved_by_numpy(",", "%.18e")),
    "savetxt of integers, aligned": Kind(headerless, pack=saved_by_numpy(" ", "%4d")),
    "0..1": Kind(floats(lambda value: f"{value / 255:.4f}")),
    "0..1 as short as can be": Kind(floats(lambda value: f"{value / 255:.6g}")),
    "0..1 in full": Kind(floats(lambda value: repr(value / 255))),
    "0..1 with decimal commas": Kind(
        lambda digits: replace(floats(lambda value: f"{value / 255:.5f}".replace(".", ","))(digits), delimiter=";")
    ),
    "-1..1": Kind(floats(lambda value: f"{value / 127.5 - 1:.6f}")),
    "Excel, BOM and semicolons": Kind(by(delimiter=";", ending="\r\n", before="\ufeff")),
    "Excel, sep=;": Kind(by(delimiter=";", ending="\r\n", before="sep=;\r\n")),
    "Excel, BOM and sep=,": Kind(by(ending="\r\n", before="\ufeffsep=,\r\n")),
    "Excel, UTF-16 and tabs": Kind(by(delimiter="\t", ending="\r\n", encoding="utf-16"), "train.txt"),
    "Excel, UTF-16 big endian": Kind(by(delimiter="\t", before="\ufeff", encoding="utf-16-be"), "train.txt"),
    "Excel, empty columns": Kind(ends_of_rows(";;;")),
    "Excel, empty rows": Kind(by(after=(";" * PIXELS + "\n") * 3, delimiter=";")),
    "tabs": Kind(by(delimiter="\t"), "train.tsv"),
    "bars": Kind(by(delimiter="|"), "train.txt"),
    "all quoted": Kind(by(quote='"')),
    "all pixels in one column": Kind(in_one_column(spaced)),
    "all pixels in one column, quoted, with commas": Kind(
        in_one_column(lambda row: f'"{", ".join(map(str, row.tolist()))}"')
    ),
    "all pixels in one column, as a list": Kind(in_one_column(lambda row: f'"{row.tolist()}"')),
    "all pixels in one column, with Usage": Kind(in_one_column(spaced, usage=True), "fer2013.csv", test=20),
}
