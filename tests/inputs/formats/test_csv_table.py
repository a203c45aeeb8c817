"""CSV files: the variants that are accepted, the order of the pixels, and the exact location of each error."""

import io
import shlex
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hitofude.errors import InputError
from hitofude.inputs.formats import csv_lines
from hitofude.inputs.formats.columns import Columns, find_columns
from hitofude.inputs.formats.csv_plain import CsvTable, parse_plain
from hitofude.inputs.formats.csv_table import csv_file, stream_csv
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.sources import open_source


def read(text: str | bytes, label: str | None = None) -> CsvTable:
    content = text.encode() if isinstance(text, str) else text
    return join(stream_csv(io.BytesIO(content), "mine.csv", ReadOptions(label)))


def join(tables: Iterable[CsvTable]) -> CsvTable:
    pixels, labels, ids = zip(*((table.pixels, table.labels, table.ids) for table in tables), strict=True)
    labels, ids = (None if texts[0] is None else np.concatenate(texts) for texts in (labels, ids))
    return CsvTable(np.concatenate(pixels), labels, ids)


def test_a_plain_file() -> None:
    table = read("label,pixel0,pixel1\n7,0,255\n3,10,9\n")
    assert table.pixels.tolist() == [[0, 255], [10, 9]]
    assert table.labels is not None
    assert table.labels.tolist() == ["7", "3"]
    assert table.ids is None


def test_pixel_columns_are_ordered_by_their_numbers() -> None:
    assert read("pixel2,pixel10,label,pixel1\n2,10,0,1\n").pixels.tolist() == [[1, 2, 10]]


def test_row_by_column_names_are_ordered_too() -> None:
    assert read("label,2x1,1x2,1x1,2x2\n0,21,12,11,22\n").pixels.tolist() == [[11, 12, 21, 22]]


def test_labels_may_be_any_text_in_any_column() -> None:
    table = read("pixel0,species,pixel1\n1,猫 cat,2\n3,dog,4\n", label="species")
    assert table.labels is not None
    assert table.labels.tolist() == ["猫 cat", "dog"]
    assert table.pixels.tolist() == [[1, 2], [3, 4]]


def test_an_id_column_is_found() -> None:
    table = read("id,pixel0\nx7,1\nx8,2\n")
    assert table.ids is not None
    assert table.ids.tolist() == ["x7", "x8"]


@pytest.mark.parametrize(
    "text",
    [
        "label,pixel0,pixel1\n1,2,3\n4,5,6",
        "label,pixel0,pixel1\r\n1,2,3\r\n4,5,6\r\n",
        "\ufefflabel,pixel0,pixel1\n1,2,3\n4,5,6\n\n\n",
        "label,pixel0,pixel1\r1,2,3\r4,5,6\r",
        "label;pixel0;pixel1\n1;2;3\n4;5;6\n",
        "label|pixel0|pixel1\n1|2|3\n4|5|6\n",
        "# label,pixel0,pixel1\n1,2,3\n4,5,6\n",
        "label\tpixel0\tpixel1\n1\t2\t3\n4\t5\t6\n",
        '"label","pixel0","pixel1"\n"1","2","3"\n"4",5,6\n',
        "label, pixel0, pixel1\n1, 2, 3\n4,05,0006\n",
        'label, "pixel0","pixel1"\n"1", "2",3\n4,5, "6" \n',
    ],
)
def test_variants_of_the_same_table_read_the_same(text: str) -> None:
    table = read(text)
    assert table.pixels.tolist() == [[2, 3], [5, 6]]
    assert table.labels is not None
    assert table.labels.tolist() == ["1", "4"]


def test_a_quoted_label_may_hold_the_separator() -> None:
    table = read('label,pixel0\n"a,b",2\n')
    assert table.labels is not None
    assert table.labels.tolist() == ["a,b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,pixel0,pixel1\n1,2,3\n1,2\n", r"line 3: 2 fields, expected 3"),
        ("label,pixel0,pixel1\n1,2,3,4\n", r"line 2: 4 fields, expected 3"),
        ("label,pixel0,pixel1\n1,2,3\n\n1,2,3\n", r"line 3: the line is blank, and rows follow"),
        ("label,pixel0,pixel1\n1,2,3\n1,2,x\n", r"line 3, column 'pixel1': found 'x', expected an integer"),
        ("label,pixel0\n1,\n", r"line 2, column 'pixel0': found ''"),
        ("label,pixel0\n1,nan\n", r"line 2, column 'pixel0': found 'nan'"),
        ("label,pixel0\n1,inf\n", r"line 2, column 'pixel0': found 'inf'"),
        ('label,pixel0\n1,2\n3,"4\n5,6\n', r"line 3: a quote is not closed"),
        ('label,pixel0\n1,"2\n', r"line 2: a quote is not closed"),
        ("label,pixel0\n1,2\r3,4\n", r"line 2: a carriage return \(CR\) within the line"),
        (f'label,pixel0\n"{"x" * 200_000}",2\n', r"line 2: this is not a line of CSV \(field larger than field limit"),
        ("label,pixel0\n1,٣\n", r"line 2, column 'pixel0'"),
        ("label,pixel0,pixel0\n1,2,3\n", r"line 1: duplicate column 'pixel0'"),
        ("label,pixel0,name\n1,2,3\n", r"line 1, column 3: 'name' is neither"),
        ("label\n1\n", r"line 1: there are no pixel columns"),
        ("label,pixel0\n", r"there are no rows below the header"),
        ("", r"line 1: expected column names"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError, match=r"mine\.csv.*" + message):
        read(text)


@pytest.mark.parametrize("value", ["-1", "-0", "256", "999", "0.5", "1e2", '"256"', "4294967297"])
def test_a_number_that_is_no_byte_is_refused_among_bytes(value: str) -> None:
    rows = ["1,7"] * 20 + [f"1,{value}"] + ["1,7"] * 20
    with pytest.raises(InputError, match=rf"line 22, column 'pixel0': found '{value.strip(chr(34))}', expected an int"):
        read("\n".join(["label,pixel0", *rows]))


def test_a_file_need_not_have_labels() -> None:
    assert read("pixel0\n2\n", label="species").labels is None


def test_another_label_column_than_the_one_named_is_refused() -> None:
    with pytest.raises(InputError, match=r"line 1, column 1: 'label' is neither.*--label"):
        read("label,pixel0\n1,2\n", label="species")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label,pixel0\n1,2\ncaf\xe9,3\n", r"line 3, byte 20: found the byte 0xe9, which is not UTF-8"),
        (b"label,pixel0\n1,2\n1,\x003\n", r"line 3, byte 19: found a zero byte"),
        (b"lab\0el,pixel0\n1,2\n", r"line 1, byte 3: found a zero byte"),
        (b"\xef\xbb\xbflabel,pixel0\r\n1,2\r\n\xff,3\r\n", r"line 3, byte 22: found the byte 0xff"),
        (b"label,pixel0\r1,2\rcaf\xe9,4\r", r"byte 20: this is no text in UTF-8"),
    ],
)
def test_what_is_no_text_is_refused_with_its_byte(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(content)


def test_a_line_without_end_is_refused_before_the_memory_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "LONGEST_LINE", 1000)
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 50)
    with pytest.raises(InputError, match=r"line 3, byte [\d,]+: the line is longer than 1,000 bytes"):
        read("label,pixel0\n1,2\n1," + "0" * 5000)


def test_many_wrong_values_are_counted_and_the_first_twenty_named() -> None:
    rows = [f"1,{value},{value}" for value in ["7"] * 10 + ["x"] * 15]
    with pytest.raises(InputError) as refused:
        read("\n".join(["label,pixel0,pixel1", *rows]))
    said = str(refused.value)
    assert said.startswith(
        "mine.csv, line 12, column 'pixel0': found 'x', expected an integer from 0 to 255. 30 values"
    )
    assert said.count("found 'x'") == 1 + 20
    assert "line 21, column 'pixel1'" in said
    assert said.endswith("and 10 more")


def test_wrong_values_before_a_line_of_another_shape_are_told_first() -> None:
    with pytest.raises(InputError, match="line 2, column 'pixel0': found 'x'"):
        read("label,pixel0\n1,x\n1\n")


def test_the_line_is_right_far_into_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 64)
    lines = ["label,pixel0,pixel1", *(["1,2,3"] * 500)]
    lines[321] = "1,2,300"
    with pytest.raises(InputError, match=r"line 322, column 'pixel1': found '300'"):
        read("\n".join(lines))


@settings(deadline=None, max_examples=50)
@given(
    values=st.lists(st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=1, max_size=30),
    block_bytes=st.integers(1, 200),
)
def test_any_table_reads_as_pandas_reads_it(values: list[list[int]], block_bytes: int) -> None:
    frame = pd.DataFrame(values, columns=["label", "pixel0", "pixel1", "pixel2"])
    text = frame.to_csv(index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_lines, "BLOCK_BYTES", block_bytes)
        table = read(text)
    assert table.pixels.tolist() == frame.iloc[:, 1:].to_numpy().tolist()
    assert table.labels is not None
    assert table.labels.tolist() == frame["label"].astype(str).tolist()


def test_a_block_may_be_longer_than_the_longest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "LONGEST_LINE", 20)
    assert read("label,pixel0\n" + "1,2\n" * 50).pixels.tolist() == [[2]] * 50


@pytest.mark.parametrize("block_bytes", [1, 5, 9, 17, 1000])
def test_a_blank_line_is_told_wherever_a_block_ends(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", block_bytes)
    with pytest.raises(InputError, match=r"^mine\.csv, line 4: the line is blank, and rows follow"):
        read("label,pixel0\n1,2\n3,4\n\n\n5,6\n\n7,8\n")
    assert read("label,pixel0\n1,2\n3,4\n\n\n").pixels.tolist() == [[2], [4]]


def test_a_quoted_file_keeps_the_ids_of_all_rows_of_a_block() -> None:
    table = read('id,pixel0\n"a",1\n"b",2\n')
    assert table.ids is not None
    assert table.ids.tolist() == ["a", "b"]


def test_a_quoted_pixel_may_be_white() -> None:
    assert read('label,pixel0\n1,"255"\n').pixels.tolist() == [[255]]


@pytest.mark.parametrize("block_bytes", [40, 1000])
def test_rows_before_a_byte_that_is_no_text_are_judged_first(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", block_bytes)
    with pytest.raises(InputError, match=r"^mine\.csv, line 3, column 'pixel0': found 'x'"):
        read("label,pixel0\n1,2\n3,x\n4,5\n6,\0\n7,8\n")


def columns_of(*names: str) -> Columns:
    return find_columns(names, "mine.csv, line 1", ReadOptions())


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.sampled_from("7x猫")), min_size=1))
def test_a_plain_block_needs_no_csv_module(rows: list[tuple[int, int, str]]) -> None:
    block = "".join(f"{first},{label},{second}\n" for first, second, label in rows).encode()
    parsed = parse_plain(block, columns_of("pixel0", "label", "pixel1"))
    assert parsed is not None
    assert parsed.pixels.tolist() == [[first, second] for first, second, _ in rows]
    assert parsed.labels is not None
    assert parsed.labels.tolist() == [label for *_, label in rows]


@pytest.mark.parametrize(
    "value", ["256", "260", "300", "999", "0255", "", "x", "1 ", ":", "/", '"1"', "-1", "猫", "1\r"]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_block_with_an_odd_pixel_is_left_to_the_csv_module(value: str, place: int) -> None:
    fields = [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]]
    fields[place][place] = value
    block = "".join(",".join(line) + "\n" for line in fields).encode()
    assert parse_plain(block, columns_of("pixel0", "pixel1", "pixel2")) is None


def test_lines_of_different_lengths_that_are_right_together_are_left_to_it_too() -> None:
    assert parse_plain(b"1,2,3\n4\n", columns_of("pixel0", "pixel1")) is None


def test_a_quoted_file_keeps_ids_labels_and_separators_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 5)
    table = read('id;label;pixel0\n"a;1";"x";1\n"b";"y;z";2\n"c";"x";3\n')
    assert table.ids is not None
    assert table.labels is not None
    assert table.ids.tolist() == ["a;1", "b", "c"]
    assert table.labels.tolist() == ["x", "y;z", "x"]
    assert (table.ids.dtype.kind, table.labels.dtype.kind, table.pixels.dtype) == ("U", "U", np.uint8)
    assert table.pixels.tolist() == [[1], [2], [3]]


def test_a_file_without_header_is_read_by_columns_that_one_knows() -> None:
    columns = columns_of("pixel1", "pixel0", "label")
    [table] = stream_csv(io.BytesIO(b"1,2,a\n3,4,b\n"), "mine.csv", columns=columns)
    assert table.pixels.tolist() == [[2, 1], [4, 3]]
    assert table.labels is not None
    assert table.labels.tolist() == ["a", "b"]


def test_wrong_values_are_listed_and_counted() -> None:
    with pytest.raises(InputError) as refused:
        read("label,pixel0\n1,x\n2,y\n")
    assert str(refused.value) == (
        "mine.csv, line 2, column 'pixel0': found 'x', expected an integer from 0 to 255. "
        "2 values are wrong; fix them:\n  line 2, column 'pixel0': found 'x'\n  line 3, column 'pixel0': found 'y'"
    )
    with pytest.raises(InputError) as refused:
        read("label,pixel0\n" + "1,x\n" * 20)
    assert "more" not in str(refused.value)
    with pytest.raises(InputError, match="… and 1 more"):
        read("label,pixel0\n" + "1,x\n" * 21)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_byte_that_is_no_text_is_placed_in_a_later_block_too(line_end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 4)
    content = line_end.join(["label,pixel0", "1,2", "3,4", "5,6\0\0", ""]).encode()
    with pytest.raises(InputError, match=rf"line 4, byte {content.index(0)}: found a zero byte, so this is not text"):
        read(content)


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read(encoding: str, mark: str) -> None:
    table = read(f"{mark}label\tpixel0\r\n猫\t2\r\n".encode(encoding))
    assert table.labels is not None
    assert (table.labels.tolist(), table.pixels.tolist()) == (["猫"], [[2]])


def test_a_header_in_other_capitals_is_understood() -> None:
    table = read("LABEL,Pixel0,ID\n7,1,x\n")
    assert table.labels is not None
    assert table.ids is not None
    assert (table.labels.tolist(), table.ids.tolist()) == (["7"], ["x"])


def test_the_images_are_in_memory_once(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text(f"7{',0' * 784}\n3{',9' * 783},0\n" * 8_000)
    tracemalloc.start()
    images = csv_file(path).read(ReadOptions()).images
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * images.nbytes + 4e6


@pytest.mark.slow
def test_the_competitions_file_reads_as_pandas_reads_it(competition: Path) -> None:
    content = zipfile.ZipFile(competition).read("train.csv")
    assert np.array_equal(read(content).pixels, pd.read_csv(io.BytesIO(content)).iloc[:, 1:].to_numpy())


@pytest.mark.parametrize(
    "start", ["# made by me\n# 2024, by hand\n", "# ", "#,"], ids=["comments", "savetxt", "number"]
)
def test_comments_before_the_table_and_a_header_behind_a_hash(start: str, tmp_path: Path) -> None:
    lines = ["label,pixel0,pixel1,pixel2,pixel3", "1,0,1,2,255", "0,9,8,7,6"]
    if start == "#,":
        lines[1:] = [f"{row},{line}" for row, line in enumerate(lines[1:])]
    path = tmp_path / "mine.csv"
    path.write_text(start + "\n".join(lines))
    found = open_source(path).train
    assert found.images.reshape(2, 4).tolist() == [[0, 1, 2, 255], [9, 8, 7, 6]]
    assert [found.classes[label] for label in found.known_labels()] == ["1", "0"]
    path.write_text(path.read_text().replace("9,8,7", "9,x,7"))
    with pytest.raises(InputError, match=f"mine.csv, line {start.count(chr(10)) + 3}"):
        open_source(path)


def test_one_hot_columns_are_refused_with_a_conversion_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(7 * np.arange(36).reshape(4, 9), columns=[f"pixel{i}" for i in range(9)]).assign(
        kind=list("abca")
    )
    pd.get_dummies(frame, columns=["kind"], dtype=int).to_csv("mine.csv", index=False)
    with pytest.raises(InputError, match=r"3 columns begin with 'kind_', as one-hot labels do") as refusal:
        open_source("mine.csv")
    _, *arguments = shlex.split(str(refusal.value).splitlines()[1])
    subprocess.run([sys.executable, *arguments], check=True)
    found = open_source("labelled.csv").train
    assert [found.classes[label] for label in found.known_labels()] == list("abca")
    assert np.array_equal(found.images.reshape(4, 9), frame.iloc[:, :9])
