"""Lines for people: folded between words below the value's column, and never within a path or a command."""

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from hitofude.inputs.direction import isolate
from hitofude.language.translation import speaking
from hitofude.outputs.display.tables import Column, draw_table
from hitofude.outputs.display.wrapping import NOT_AT_END, NOT_AT_START, fill, tell, terminal_width, wrap

FACT = "source   sample: 4,000 images of 28x28 in 10 classes to learn from, and 1,000 to predict"


def test_a_line_continues_below_the_column_of_its_value() -> None:
    assert wrap(FACT, 50).splitlines() == [
        "source   sample: 4,000 images of 28x28 in 10",
        "         classes to learn from, and 1,000 to",
        "         predict",
    ]


@pytest.mark.parametrize("width", [10, 24, 40, 80])
def test_only_spaces_are_changed(width: int) -> None:
    folded = wrap(FACT, width)
    assert folded.split() == FACT.split()
    assert all(cell_len(line) <= width or len(line.split()) == 1 for line in folded.splitlines())


def test_a_line_that_fits_and_one_into_a_file_stay_whole() -> None:
    assert wrap(FACT, len(FACT)) == wrap(FACT, None) == FACT


def test_warnings_continue_below_their_text() -> None:
    assert wrap("warning: this is slow because", 24).splitlines() == ["warning: this is slow", "         because"]


def test_wide_characters_take_two_columns() -> None:
    assert wrap("class    にほんご にほんご", 24).splitlines() == ["class    にほんご", "         にほんご"]


def test_names_written_from_right_to_left_are_not_broken_and_their_marks_take_no_column() -> None:
    name = isolate("שבע שבע")
    assert wrap(f"class    abcdef {name}", 23) == f"class    abcdef {name}"
    assert wrap(f"class    abcdefg {name}", 23).splitlines() == ["class    abcdefg", f"         {name}"]
    quoted = "'שבע ב'"
    assert wrap(f"class    abcdef {quoted}", 23) == f"class    abcdef {isolate(quoted)}"
    assert draw_table([Column("label", [name, "seven"]), Column("", ["1", "2"])]).splitlines()[1:] == [
        f"{name}  1",
        "seven    2",
    ]


def test_a_path_with_spaces_is_not_broken(tmp_path: Path) -> None:
    path = tmp_path / "my own runs"
    path.mkdir()
    assert (
        str(path)
        in wrap(f"report   the one in {path}, which is finished", 30).replace("\n         ", "\n").split("\n")[1]
    )


@pytest.mark.parametrize(
    "command",
    [
        "hitofude export RUN SOURCE --onnx model.onnx",
        "/usr/bin/python -m pip install 'fastapi>=0.115' uvicorn",
        "pip install -U hitofude",
        "'runs/my first run'",
    ],
)
def test_a_command_within_a_sentence_is_not_broken(command: str) -> None:
    lines = wrap(f"hitofude: there is a package missing here: {command}", 50).splitlines()
    assert lines[-1].strip() == command


def test_a_line_that_is_a_command_stays_whole() -> None:
    command = "  hitofude run digit-recognizer.zip --preset best"
    assert wrap(command, 20) == command


def test_without_a_terminal_there_is_no_width_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setenv("COLUMNS", "40")  # of a terminal, which this is not
    assert terminal_width(stream) is None
    tell(FACT, stream)
    monkeypatch.setenv("HITOFUDE_COLUMNS", "50")
    assert terminal_width(stream) == 50
    tell(FACT, stream)
    assert stream.getvalue() == f"{FACT}\n{wrap(FACT, 50)}\n"


TABLE = [
    Column("run", ["a", "runs/b"]),
    Column("finished", ["2026-01-02", "-"], dispensable=1),
    Column("rows", ["42,000", "300"], right=True, dispensable=2),
    Column("note", ["", ""]),
]


def test_a_table_is_aligned_without_its_empty_columns() -> None:
    assert draw_table(TABLE).splitlines() == [
        "run     finished      rows",
        "a       2026-01-02  42,000",
        "runs/b  -              300",
    ]


@pytest.mark.parametrize(("width", "titles"), [(26, 3), (25, 2), (18, 2), (17, 1), (3, 1)])
def test_a_narrow_terminal_does_without_the_dispensable_columns(width: int, titles: int) -> None:
    assert len(draw_table(TABLE, width).splitlines()[0].split()) == titles


JAPANESE = (
    "OOF 正解率  0.9915（95 % 区間 0.9881〜0.9939、4,000 行中 34 行が誤り）。"
    "各行を、その行で学習していないメンバーが予測"
)


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_japanese_is_folded_anywhere_but_before_punctuation(width: int) -> None:
    with speaking("ja"):
        first, *others = wrap(JAPANESE, width).splitlines()
    assert all(cell_len(line) <= width for line in (first, *others))
    assert not [line for line in others if line.strip()[0] in NOT_AT_START]
    assert not [line for line in (first, *others) if line[-1] in NOT_AT_END]
    assert {cell_len(line) - cell_len(line.lstrip()) for line in others} == {12}
    assert re.sub(r"\s", "", "".join([first, *others])) == re.sub(r"\s", "", JAPANESE)


def test_a_path_in_japanese_text_stays_whole() -> None:
    with speaking("ja"):
        lines = wrap("対象     runs/日本語の長い名前のフォルダー/report.html にある報告です", 40).splitlines()
    assert "runs/日本語の長い名前のフォルダー/report.html" in lines[0]


def test_a_fraction_makes_no_path_of_a_japanese_sentence() -> None:
    with speaking("ja"):
        assert wrap("既定のスケジュール、80/20 の分割", 24).splitlines() == ["既定のスケジュール、", "  80/20 の分割"]


def test_a_text_is_filled_behind_its_beginning() -> None:
    assert fill("four folds, then five", 18, "fast  ").splitlines() == ["fast  four folds,", "      then five"]
