from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.class_weights import read_class_weights


def write(folder: Path, text: str) -> Path:
    path = folder / "weights.csv"
    path.write_text(text)
    return path


def test_weights_are_read_by_class_in_any_spelling_of_a_number(tmp_path: Path) -> None:
    path = write(tmp_path, "class,weight,note\n7.0,2,often confused\n3,0.5,\n")
    assert read_class_weights(path, ("3", "7", "8")) == {"7": 2.0, "3": 0.5}


def test_another_word_than_balanced_is_refused() -> None:
    with pytest.raises(InputError, match=r"--class-weights even: there is no such file. Write balanced, or name a CSV"):
        read_class_weights(Path("even"), ("three", "eight"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,weight\neigth,2\n", "line 2: 'eigth' is not one of the classes.*'eight'"),
        ("class,weight\neight,2\neight,3\n", "line 3: duplicate class 'eight'"),
        ("class,weight\neight,0\n", "line 2: the weight '0' is not a number above 0"),
        ("class,weight\neight,much\n", "line 2: the weight 'much' is not a number above 0"),
        ("class,weight\neight,inf\n", "line 2: the weight 'inf' is not a number above 0"),
        ("class,weight\n", "expected a line such as three,2.5"),
        ("label,weight\neight,2\n", "line 1: there is no column 'class'"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_class_weights(write(tmp_path, text), ("three", "eight"))
