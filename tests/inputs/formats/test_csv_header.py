"""A first line of data is told from a header, and a header that pandas made of data is data again."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats import csv_lines
from hitofude.inputs.formats.csv_header import unmangle
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.layout import ReadOptions


def read(folder: Path, text: str, **options: object) -> RawImages:
    path = folder / "train.csv"
    path.write_text(text)
    return csv_file(path).read(ReadOptions(**options))  # type: ignore[arg-type]


def labels(raw: RawImages) -> list[str] | None:
    return None if raw.labels is None else raw.labels.tolist()


def pixels(raw: RawImages) -> list[list[int]]:
    return raw.images.reshape(len(raw.images), -1).tolist()  # type: ignore[no-any-return]


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12))
def test_a_row_that_pandas_took_for_names_is_found_again(row: list[int]) -> None:
    mangled = [*pd.read_csv(io.StringIO(",".join(map(str, row)) + "\n" + ",".join("0" * len(row)))).columns]
    found = unmangle(mangled)
    assert found == (list(map(str, row)) if len(set(row)) < len(row) else None)


@pytest.mark.parametrize(
    "header", ["0,0.1,7,0.2,7.1", "0,0_duplicated_0,7,0_duplicated_1,7_duplicated_0", "X0,X0.1,X7,X0.2,X7.1"]
)
def test_pandas_polars_and_r_each_have_their_way(header: str) -> None:
    assert unmangle(header.split(",")) == ["0", "0", "7", "0", "7"]


@pytest.mark.parametrize("first", ["letter", "0", "0.0"])
def test_names_of_pandas_that_were_changed_stay_names(tmp_path: Path, first: str) -> None:
    """A row that pandas took for names cannot be found again once one of them was changed."""
    header = [first, *(f"0.{i + (first == '0')}" for i in range(1, 26))]
    raw = read(tmp_path, "\n".join(",".join(line) for line in (header, ["5"] + ["0"] * 25, ["3"] + ["9"] * 25)))
    assert (labels(raw), pixels(raw)) == (["5", "3"], [[0] * 25, [9] * 25])


@pytest.mark.parametrize("header", ["0,0.2,0.3", "label,pixel0,pixel1", "0.1,0.2", "0,1,2"])
def test_other_headers_are_none_of_pandas(header: str) -> None:
    assert unmangle(header.split(",")) is None


@pytest.mark.parametrize(
    ("text", "expected", "said"),
    [
        ("5,0,7,0,9\n3,0,2,0,9\n", ["5", "3"], "train.csv has no header: column 1 is the label"),
        ("0,7,0,0,5\n0,2,0,0,3\n", ["5", "3"], "train.csv has no header: column 5 is the label"),
        ("a,0,7,0,9\nb,0,2,0,9\n", ["a", "b"], "train.csv has no header: column 1 is the label"),
        ("0,7,0,9\n0,2,0,9\n", None, "train.csv has no header: its 4 columns are pixels"),
    ],
)
def test_a_file_without_header_is_read_and_it_is_said(
    tmp_path: Path, text: str, expected: list[str] | None, said: str
) -> None:
    raw = read(tmp_path, text)
    assert (labels(raw), raw.reading, len(raw.images)) == (expected, (said,), 2)


def test_labels_that_are_sorted_are_known_by_the_whole_file(tmp_path: Path) -> None:
    """As in A-Z Handwritten, whose first 13,869 rows are all of one class, and whose last pixel is always black."""
    rows = [f"{label},{','.join(str(255 * (pixel % 7 > 4)) for pixel in range(1024))}" for label in (0, 1)]
    raw = read(tmp_path, f"{rows[0]}\n" * 500 + f"{rows[1]}\n" * 500)
    assert raw.label_column == "0"
    assert labels(raw) == ["0"] * 500 + ["1"] * 500


def test_if_both_ends_may_be_the_label_the_remedy_names_them(tmp_path: Path) -> None:
    text = "0,9,9,9,1\n1,9,9,9,0\n" * 5
    with pytest.raises(InputError, match=r"line 1: one of the columns must be the label.*--label 0 or --label 4\."):
        read(tmp_path, text)
    assert labels(read(tmp_path, text, label="0")) == ["0", "1"] * 5
    assert labels(read(tmp_path, text, label="4")) == labels(read(tmp_path, text, label="5")) == ["1", "0"] * 5


def test_columns_that_are_no_square_are_refused_with_their_number(tmp_path: Path) -> None:
    text = "3,0,0,0,0,0,9\n4,0,0,0,0,0,9\n"
    with pytest.raises(InputError, match="line 1: there are no column names, and 7 columns are no square images"):
        read(tmp_path, text)
    assert labels(read(tmp_path, text, shape=(2, 3))) == ["3", "4"]


def test_the_user_may_say_that_there_is_a_header_or_none(tmp_path: Path) -> None:
    text = "1,2,3,4\n5,6,7,8\n9,10,11,12\n"
    assert len(read(tmp_path, text).images) == 2  # numbers from 1 on are names
    assert len(read(tmp_path, text, header=False).images) == 3
    assert len(read(tmp_path, "7,2,5,4\n5,6,7,8\n", header=True).images) == 1
    with pytest.raises(InputError, match=r"line 1, column '1': found 'label', expected an integer"):
        read(tmp_path, "label,pixel0,pixel1,pixel2\n5,6,7,8\n", header=False)


def test_a_label_by_name_needs_a_header(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column names, so there is no 'species'.*--label 0.*--label 4"):
        read(tmp_path, "5,0,7,0,9\n3,0,2,0,9\n", label="species")


def test_a_file_to_predict_may_have_the_label_or_not(tmp_path: Path) -> None:
    how = {"like": (1, 2, 2), "usual_label": "0"}
    assert pixels(read(tmp_path, "5,0,7,0,9\n", **how)) == pixels(read(tmp_path, "0,7,0,9\n", **how)) == [[0, 7, 0, 9]]


def test_a_header_that_only_counts_hides_the_label(tmp_path: Path) -> None:
    raw = read(tmp_path, "V1,V2,V3,V4,V5\n0,7,0,0,5\n0,2,0,0,3\n")
    assert (labels(raw), raw.label_column) == (["5", "3"], "V5")
    assert raw.reading == ("train.csv: column 'V5' is the label",)


@pytest.mark.parametrize(
    "text",
    [
        '"label","pixel0"\n"1",5,7\n"2",6,8\n"3",5,9\n',  # R
        "label,pixel0\na,5,7\nb,6,8\nc,5,9\n",
        "label,pixel0\n5,7,\n6,8,\n5,9,\n",  # a delimiter at each line's end
        "label,pixel0,\n5,7,\n6,8,\n5,9,\n",
        "label;pixel0;;\n5;7;;\n6;8;;\n5;9;;\n;;;\n;;;\n",
        "sep=;\nlabel;pixel0\n5;7\n6;8\n5;9\n",
        "label pixel0".replace(" ", "|") + "\n5|7\n6|8\n5|9\n",
    ],
)
def test_programs_leave_more_than_the_table(tmp_path: Path, text: str) -> None:
    raw = read(tmp_path, text)
    assert (labels(raw), pixels(raw)) == (["5", "6", "5"], [[7], [8], [9]])


def test_an_index_without_header_is_left_aside(tmp_path: Path) -> None:
    raw = read(tmp_path, "0,5,0,7,0,9\n1,3,0,2,0,9\n2,5,0,1,0,9\n")
    assert (labels(raw), raw.left_aside) == (["5", "3", "5"], ("train.csv: column '0'",))


def test_an_empty_row_between_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 3: the line is blank, and rows follow"):
        read(tmp_path, "label;pixel0\n5;7\n;\n6;8\n")


def test_lines_are_counted_from_a_line_that_names_the_separator(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 4, column 'pixel0': found 'x'"):
        read(tmp_path, "sep=;\nlabel;pixel0\n5;7\n6;x\n")


def test_images_of_a_file_without_header_are_those_with_one(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (30, 16)).tolist()
    rows = [f"{number % 3},{','.join(map(str, row))}" for number, row in enumerate(values)]
    header = ",".join(["label", *(f"pixel{i}" for i in range(16))])
    bare, named = (read(tmp_path, "\n".join(lines)) for lines in (rows, [header, *rows]))
    assert np.array_equal(bare.images, named.images)
    assert labels(bare) == labels(named)


def test_a_shard_without_header_is_read_block_by_block_as_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 50)
    text = "".join(f"{number % 3},{number},0,7,{number % 2}\n" for number in range(100))
    whole = read(tmp_path, text, like=(1, 2, 2), usual_label="0")
    options = ReadOptions(like=(1, 2, 2), usual_label="0")
    pieces = list(csv_file(tmp_path / "train.csv").stream(options))
    assert np.array_equal(np.concatenate([piece.images for piece in pieces]), whole.images)
    assert [piece.first_row for piece in pieces[:2]] == [1, 1 + len(pieces[0].images)]
