"""A column of usage, as in fer2013.csv, says which rows train; the others are predicted, with their labels kept."""

from pathlib import Path

import pytest

from hitofude.errors import InputError
from hitofude.inputs.sources import open_source, read_images


def write(path: Path, parts: list[str], *, wrong: str = "") -> Path:
    """Write 2x2 images whose first pixel is their number."""
    rows = [f"{number % 2},{number} 0 9 {200 + number},{part}" for number, part in enumerate(parts)]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n" + wrong)
    return path


def test_the_rows_of_training_train_and_the_others_are_predicted(tmp_path: Path) -> None:
    data = open_source(write(tmp_path / "fer.csv", ["Training", "PublicTest", "Training", "Training", "PrivateTest"]))
    assert data.train.images[:, 0, 0, 0].tolist() == [0, 2, 3]
    assert data.test is not None
    assert data.test.images[:, 0, 0, 0].tolist() == [1, 4]
    assert data.test.known_labels().tolist() == [1, 0]
    assert (data.train.ids.tolist(), data.test.ids.tolist()) == (["1", "3", "4"], ["2", "5"])  # rows of the file
    assert any("PrivateTest 1, PublicTest 1, Training 3" in line for line in data.reading)


def test_with_a_file_to_predict_the_other_parts_are_left_aside(tmp_path: Path) -> None:
    train = write(tmp_path / "fer.csv", ["Training", "Training", "PublicTest"])
    (tmp_path / "test.csv").write_text('pixels\n"7 0 9 200"\n')
    data = open_source(train=train, test=tmp_path / "test.csv")
    assert data.test is not None
    assert data.test.images.ravel().tolist() == [7, 0, 9, 200]
    assert data.left_aside == (f"{train}: 1 row of other parts than Training",)


def test_a_file_to_predict_is_predicted_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "fer.csv", ["Training", "PublicTest", "Training"])
    assert len(read_images(path, image_shape=(1, 2, 2))) == 3


def test_a_wrong_row_among_the_parts_has_its_line_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "fer.csv", ["Training", "PublicTest", "Training"], wrong=",1 2 3 4,Training\n")
    with pytest.raises(InputError, match=r"line 5: the label is blank"):
        open_source(path)


def test_a_file_of_one_part_is_all_for_training(tmp_path: Path) -> None:
    data = open_source(write(tmp_path / "fer.csv", ["Training"] * 4))
    assert (len(data.train), data.test) == (4, None)
