"""Columns are found by their names and, if these do not tell, by their content; others are left aside, and named."""

from typing import Any

import pytest

from hitofude.errors import InputError
from hitofude.inputs.formats.columns import (
    Columns,
    Rows,
    column_number,
    find_columns,
    pixels_and_label,
)
from hitofude.inputs.formats.label_column import label_by_content
from hitofude.inputs.layout import ReadOptions


class Content:
    """Rows that are known."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def choose_label(self, first: int, last: int) -> int:
        raise AssertionError("the names tell")


def found(names: str, row: str = "", **options: object) -> Columns:
    content = Content([row.split(",")] * 3) if row else None
    return find_columns(names.split(","), "train.csv, line 1", ReadOptions(**options), content=content)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("pixel_1_0,pixel_0_1,pixel_0_0,pixel_1_1", (2, 1, 0, 3)),
        ("1x2,2x1,1x1,2x2", (2, 0, 1, 3)),
        ("r1c0,r0c1,r0c0,r1c1", (2, 1, 0, 3)),
        ("row_1_col_0,row_0_col_1,row_0_col_0,row_1_col_1", (2, 1, 0, 3)),
        ("x1y0,x0y1,x0y0,x1y1", (2, 0, 1, 3)),
        ("3,1,2,0", (3, 1, 2, 0)),
        ("r0,r1,g0,g1,b0,b1", (0, 2, 4, 1, 3, 5)),
        ("0.3,0.1,0.2,0", (0, 1, 2, 3)),
    ],
)
def test_pixels_are_put_in_the_order_of_their_names(names: str, order: tuple[int, ...]) -> None:
    assert found(names).pixels == order


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "level_0", "Unnamed: 0.1"][:4])
def test_numbers_of_rows_are_left_aside(name: str) -> None:
    columns = found(f"{name},label,pixel0,pixel1")
    assert (columns.ignored, columns.label, columns.pixels) == ((0,), 1, (2, 3))


def test_the_columns_that_are_left_aside_are_named() -> None:
    assert found(",Unnamed: 0,index,label,pixel0").left_aside("train.csv") == (
        "train.csv: columns 'Unnamed: 0', 'index'",
        "train.csv: 1 column without a name",
    )


def test_a_text_beside_the_label_is_left_aside() -> None:
    columns = found("pixel0,label,character", "7,3,三")
    assert (columns.label, columns.ignored) == (1, (2,))


@pytest.mark.parametrize("name", ["Writer", "user_id", "PatientID", "user id", "the group"])
def test_a_column_that_looks_like_a_group_is_left_aside_with_the_option_for_it(name: str) -> None:
    hint = {"the group": "", "user id": "; if its rows belong together: --groups 'user id'"}
    expected = hint.get(name, f"; if its rows belong together: --groups {name}")
    columns = found(f"{name},label,pixel0", "anna,3,7")
    assert columns.left_aside("train.csv") == (f"train.csv: column '{name}'{expected}",)


@pytest.mark.parametrize("options", [{"ignore": ("writer",)}, {"groups": "school"}, {"folds": "school"}])
def test_such_a_column_has_no_option_beside_it_if_the_user_has_said_what_belongs_together(options: Any) -> None:
    columns = found("writer,school,label,pixel0", "anna,x,3,7", **options)
    assert columns.ignored
    assert "--groups" not in " ".join(columns.left_aside("train.csv"))


def test_a_number_beside_the_label_is_refused_with_the_option_that_leaves_it_aside() -> None:
    with pytest.raises(InputError, match=r"column 3: 'the writer' is neither.*--ignore 'the writer'"):
        found("label,pixel0,the writer", "3,7,12")
    assert found("label,pixel0,the writer", "3,7,12", ignore=("the writer",)).ignored == (2,)


def test_a_column_to_ignore_must_exist_but_not_in_a_file_to_predict() -> None:
    with pytest.raises(InputError, match=r"there is no column 'writr', which --ignore names\. Did you mean 'writer'"):
        found("label,pixel0,writer", ignore=("writr",))
    assert found("pixel0", ignore=("writer",), like=(1, 1, 1)).pixels == (0,)


@pytest.mark.parametrize("name", ["target", "class", "Character", "emotion", "labels"])
def test_a_usual_label_is_found_and_said(name: str) -> None:
    columns = found(f"pixel0,{name}")
    assert (columns.label, columns.reading) == (1, (f"train.csv: column '{name}' is the label",))


def test_of_two_usual_labels_one_must_be_named() -> None:
    with pytest.raises(InputError, match=r"'class' and 'target' may each be the label.*--label class.*--ignore target"):
        found("class,target,pixel0")
    assert found("class,target,pixel0", label="class", ignore=("target",)).label == 0


def test_a_label_of_the_runs_files_is_known_in_files_to_predict() -> None:
    assert found("species,pixel0", usual_label="species", like=(1, 1, 1)).label == 0
    assert found("label,pixel0", usual_label="species", like=(1, 1, 1)).label == 0
    assert found("pixel0", usual_label="species", like=(1, 1, 1)).label is None


def test_a_number_that_names_the_label_names_a_pixel_where_there_is_no_label() -> None:
    assert found("0,1,2,3,4", label="0", like=(1, 2, 2)).label == 0
    assert found("0,1,2,3", label="0", like=(1, 2, 2)).label is None


def test_a_long_name_is_shortened() -> None:
    with pytest.raises(InputError) as refused:
        found("label,pixel0," + "x" * 5000, "1,2,3")
    assert len(str(refused.value)) < 500
    assert str(refused.value).endswith("--ignore 2.")


def test_another_separator_is_guessed_at() -> None:
    with pytest.raises(InputError, match=r"found one column, 'label:pixel0:pixel1'; expected.* separated by commas"):
        found("label:pixel0:pixel1")


@pytest.mark.parametrize(
    ("text", "count", "position"),
    [("0", 785, 0), ("784", 785, 784), ("785", 785, 784), ("786", 785, None), ("label", 785, None), ("-1", 785, None)],
)
def test_columns_are_numbered_from_zero(text: str, count: int, position: int | None) -> None:
    assert column_number(text, count) == position


@pytest.mark.parametrize(
    ("first", "last", "label"),
    [
        ("cat dog cat dog", "0 0 7 255", 0),
        ("0 0 0 0", "3 1 4 1", 1),  # a pixel at the edge is always black
        ("0.5 0 1 0.25", "3 1 4 1", 1),
        ("3 1 4 1 5 2 0 2 3 1", "0 0 0 0 0 0 0 0 0 200", 0),  # a pixel that is seldom white
        ("-1.0 -1.0 -0.3 -1.0", "6.0 5.0 4.0 7.0", 1),
        (" ".join(map(str, range(0, 256, 2))), " ".join(str(i % 24) for i in range(128)), 1),  # photos
        ("0 1 0 1", "1 0 1 0", None),
        ("0 0", "0 0", None),
        ("a b", "c d", None),
    ],
)
def test_the_label_is_told_from_a_pixel_by_its_content(first: str, last: str, label: int | None) -> None:
    rows = [[a, "9", b] for a, b in zip(first.split(), last.split(), strict=True)]
    assert label_by_content(rows, 0, 2) == (None if label is None else 2 * label)


@pytest.mark.parametrize(
    ("count", "options", "expected"),
    [
        (784, ReadOptions(), (784, False)),
        (785, ReadOptions(), (784, True)),
        (786, ReadOptions(), None),
        (3073, ReadOptions(), (3072, True)),
        (769, ReadOptions(shape=(24, 32)), (768, True)),
        (3073, ReadOptions(shape=(32, 32, 3)), (3072, True)),
        (785, ReadOptions(like=(1, 28, 28)), (784, True)),
        (785, ReadOptions(like=(1, 8, 8)), None),
    ],
)
def test_one_column_more_than_pixels_is_a_label(
    count: int, options: ReadOptions, expected: tuple[int, bool] | None
) -> None:
    assert pixels_and_label(count, options) == expected
