"""Any CSV file is read with the content that pandas finds in it, or refused at its first wrong line."""

import io
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hitofude.errors import InputError
from hitofude.inputs.formats import csv_lines
from hitofude.inputs.formats.csv_plain import CsvTable
from hitofude.inputs.formats.csv_table import stream_csv
from tests.inputs.formats.test_csv_table import join

BYTES = [b",", b";", b"\n", b"\r", b'"', b" ", b"x", b"-", b".", b"7", b"99", b"\0", b"\xff", b"\xe3\x81\x82", b""]
NUMBER = r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)"
SLOW = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Fuzzed:
    """A file's bytes, and the block size to read it with."""

    content: bytes
    block_bytes: int


@st.composite
def mutated_files(draw: st.DrawFn) -> Fuzzed:
    """A valid file with up to three random edits; so few rows that one of other numbers makes it a file of numbers."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(st.integers(0, 255), min_size=width, max_size=width), min_size=1, max_size=6))
    header = ["label", *(f"pixel{number}" for number in range(width - 1))] if width > 1 else ["pixel0"]
    content = "\n".join(",".join(map(str, fields)) for fields in (header, *rows)).encode() + b"\n"
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 2)))
        content = content[:start] + draw(st.sampled_from(BYTES)) + content[end:]
    return Fuzzed(content, draw(st.integers(1, 60)))


def read(content: bytes, block_bytes: int) -> CsvTable:
    before, csv_lines.BLOCK_BYTES = csv_lines.BLOCK_BYTES, block_bytes
    try:
        return join(stream_csv(io.BytesIO(content), "mine.csv"))
    finally:
        csv_lines.BLOCK_BYTES = before


def table_of(content: bytes) -> pd.DataFrame:
    """The file as pandas reads it, all fields as text."""
    text = content.decode("utf-8-sig").replace("\r\n", "\n")
    text = text if "\n" in text else text.replace("\r", "\n")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    header, *rows = text.split("\n")
    while rows and not rows[-1].strip(delimiter):
        rows.pop()  # empty rows at the end
    if all(row.endswith(delimiter) and row.count(delimiter) == header.count(delimiter) + 1 for row in rows):
        rows = [row[:-1] for row in rows]  # pandas takes the first column for an index
    text = "\n".join([header, *rows])
    frame = pd.read_csv(io.StringIO(text), dtype=str, sep=delimiter, skipinitialspace=True, keep_default_na=False)
    return frame.map(str.strip).rename(columns=str.strip)


@given(file=mutated_files())
@SLOW
def test_what_is_accepted_is_what_pandas_reads(file: Fuzzed) -> None:
    try:
        table = read(file.content, file.block_bytes)
    except InputError:
        return
    frame = table_of(file.content)
    others = {"label", "id", *(name for name in frame if is_left_aside(frame, name))}
    pixels = sorted((name for name in frame if name.lower() not in others), key=numbers_in)
    assert table.pixels.tolist() == frame[pixels].astype(np.float32).to_numpy().tolist()
    if table.labels is not None:
        assert table.labels.tolist() == frame[next(name for name in frame if name.lower() == "label")].tolist()


def is_left_aside(frame: pd.DataFrame, name: str) -> bool:
    """Whether a column has no name, or no number in it; in a column of pixels that would be refused."""
    return name.startswith("Unnamed: ") or not frame[name].str.fullmatch(NUMBER).any()


def numbers_in(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


@given(file=mutated_files())
@SLOW
def test_the_line_that_is_refused_is_the_first_that_is_wrong(file: Fuzzed) -> None:
    """The lines before it are accepted alone; without them it is refused as the first below the header.

    The header itself may be refused then: other rows decide which columns are left aside.
    """
    lines = file.content.split(b"\n")
    line = line_refused(file)
    if line is None:
        return
    if line > 1:
        header, rest = lines[0], lines[line - 1 :]
        moved = Fuzzed(b"\n".join([header, *rest]), file.block_bytes)
        assert line_refused(moved) in (1, 2) or all_have_a_column_more(header, rest)
    if line > 2:
        before = Fuzzed(b"\n".join([*lines[: line - 1], b""]), file.block_bytes)
        assert line_refused(before) in (None, 1)


def all_have_a_column_more(header: bytes, rows: list[bytes]) -> bool:
    """Whether each row has a field more than the header: such a column without a name is left aside."""
    delimiter = max((b",", b";", b"\t"), key=header.count)
    filled = [row for row in rows if row.strip(b"\r" + delimiter)]
    return {row.count(delimiter) for row in filled} == {header.count(delimiter) + 1}


def line_refused(file: Fuzzed) -> int | None:
    """The line in the error; None if the file is accepted, has no rows or is not UTF-8."""
    try:
        read(file.content, file.block_bytes)
    except InputError as error:
        message = str(error)
    else:
        return None
    found = re.search(r"line (\d+)", message)
    assert found or "no rows" in message or "UTF-16" in message
    return int(found[1]) if found else None
