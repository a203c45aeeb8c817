"""ARFF, the format of Weka and OpenML: a header that names the columns, and below @DATA lines of CSV.

Source of the format: Weka's manual, chapter Attribute-Relation File Format.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import Place, open_file, reading
from hitofude.inputs.formats.csv_table import CsvFile
from hitofude.inputs.layout import ReadOptions

LONGEST_LINE = 1 << 20
MOST_ATTRIBUTES = 1 << 20
_ATTRIBUTE = re.compile(r"@attribute\s+('(?:[^']*)'|\"(?:[^\"]*)\"|\S+)\s+(.*)", re.IGNORECASE)


def read_arff(path: Place, options: ReadOptions) -> RawImages:
    """Read the images and labels. The only attribute of listed values is the label, unless the options name another.

    Raise InputError for a damaged header, sparse data, and as for CSV.
    """
    with reading(str(path)), open_file(path) as stream:
        attributes = list(_attributes(stream, str(path)))
        if stream.read(1) == b"{":
            raise InputError(f"{path}: this is sparse ARFF, which is not read. Save it as CSV, such as by Weka.")
    names = [name for name, _ in attributes]
    nominal = [name for name, kind in attributes if kind.startswith("{")]
    lines: tuple[str, ...] = ()
    if options.label is None and "label" not in names and len(nominal) == 1:
        options = replace(options, label=nominal[0])
        lines = (f"{path.name}: the label is the attribute '{nominal[0]}', the only one of listed values",)

    def open_data() -> BinaryIO:
        stream = open_file(path)
        list(_attributes(stream, str(path)))
        header = ",".join(f'"{name}"' for name in names).encode() + b"\n"
        return io.BufferedReader(_WithHeader(header, stream))

    raw = CsvFile(f"{path}, below @DATA", open_data).read(replace(options, header=True))
    labels = None if raw.labels is None else np.char.strip(raw.labels, "'")
    return replace(raw, labels=labels, reading=(*lines, *raw.reading))


def _attributes(stream: BinaryIO, name: str) -> Iterator[tuple[str, str]]:
    """The names and types of the attributes; the stream is then at the data."""
    for _ in range(MOST_ATTRIBUTES):
        line = stream.readline(LONGEST_LINE)
        text = line.decode("utf-8", errors="replace").strip()
        if not line:
            break
        if text.lower().startswith("@data"):
            return
        if match := _ATTRIBUTE.match(text):
            yield match[1].strip("'\""), match[2].strip()
    raise InputError(f"{name}: the ARFF header has no line @DATA. Is the file complete?")


class _WithHeader(io.RawIOBase):
    """A stream with a line in front."""

    def __init__(self, header: bytes, stream: BinaryIO) -> None:
        self._header, self._stream = header, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._header[: len(buffer)] or self._stream.read(len(buffer))
        self._header = self._header[len(buffer) :]
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()
