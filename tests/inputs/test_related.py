"""Groups and given folds: from a column, a file or an array of every kind of source."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import describe_dataset
from hitofude.inputs.duplicates import find_copies
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.related import related_rows
from hitofude.inputs.sources import Dataset, open_source
from tests.conftest import Call, write_csv
from tests.inputs.formats.test_idx import idx_bytes

WRITERS = np.array([f"writer {row % 7}" for row in range(300)])


def frame_of(images: ImageSet) -> pd.DataFrame:
    """The images as a data frame, with writers and fold numbers between label and pixels."""
    pixels = images.images.reshape(len(images), -1)
    table = pd.DataFrame(pixels, columns=[f"pixel{i}" for i in range(784)])
    table.insert(0, "label", images.known_labels())
    table.insert(1, "Writer", WRITERS)
    table.insert(2, "fold", np.arange(300) % 3)
    return table


def saved_as_csv(table: pd.DataFrame, folder: Path) -> Path:
    table.to_csv(folder / "train.csv", index=False)
    return folder / "train.csv"


def saved_as_parquet(table: pd.DataFrame, folder: Path) -> Path:
    table.to_parquet(folder / "train.parquet")
    return folder / "train.parquet"


def saved_as_npz(table: pd.DataFrame, folder: Path) -> Path:
    pixels = table.filter(like="pixel").to_numpy()
    arrays = {"labels": table["label"].to_numpy(), "Writer": WRITERS, "fold": table["fold"].to_numpy()}
    np.savez(folder / "train.npz", images=pixels, **arrays)
    return folder / "train.npz"


@pytest.mark.parametrize("save", [saved_as_csv, saved_as_parquet, saved_as_npz, lambda table, _: table])
def test_a_column_of_groups_or_folds_is_neither_a_pixel_nor_a_label(
    digits: ImageSet, tmp_path: Path, save: Callable[[pd.DataFrame, Path], Path]
) -> None:
    found = open_source(save(frame_of(digits), tmp_path), groups="Writer", folds="fold")
    assert np.array_equal(found.train.images, digits.images)
    assert found.train.classes == digits.classes
    assert found.groups is not None
    assert found.groups.tolist() == WRITERS.tolist()
    assert found.folds is not None
    assert found.folds.tolist() == [str(row % 3) for row in range(300)]


def test_an_unnamed_column_of_text_is_refused_as_before(digits: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'fold' is neither a pixel"):
        open_source(saved_as_csv(frame_of(digits), tmp_path))


def test_a_file_of_ids_and_groups_may_have_any_order_and_the_test_images_too(dataset: Dataset, tmp_path: Path) -> None:
    lines = [f"{row + 1},{WRITERS[row]}" for row in range(300)]
    path = tmp_path / "writers.csv"
    path.write_text("\n".join(["id,writer", *reversed(lines)]))
    found = open_source(dataset, groups=path)
    assert found.groups is not None
    assert found.groups.tolist() == WRITERS.tolist()


def test_idx_files_take_groups_from_a_file(digits: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(digits.images[:, 0]))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(digits.known_labels().astype(np.uint8)))
    path = tmp_path / "folds.csv"
    path.write_text("\n".join(["id,fold", *(f"{row + 1},{row % 4}" for row in range(300))]))
    found = open_source(tmp_path, folds=str(path))
    assert found.folds is not None
    assert np.unique(found.folds).tolist() == ["0", "1", "2", "3"]


def test_an_array_gives_a_group_for_each_row(digits: ImageSet) -> None:
    found = open_source((digits.images, digits.known_labels()), groups=pd.Series(WRITERS), folds=np.arange(300) % 2)
    assert found.groups is not None
    assert found.groups.tolist() == WRITERS.tolist()
    assert "groups      7, of 42 to 43 training images" in describe_dataset(found)


def test_rows_keep_their_groups_if_some_are_taken(digits: ImageSet) -> None:
    train = open_source((digits.images, digits.known_labels()), groups=WRITERS).train.take(np.array([5, 1]))
    assert train.groups is not None
    assert train.groups.tolist() == ["writer 5", "writer 1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,group\n1,a\n2,b\n", r"no group for 1 of the 3 training images, such as the one with the id '3'"),
        ("id,group\n1,a\n2,\n3,b\n", r"line 3: the group is blank"),
        ("id,group\n1,a\n2,b\n2,b\n3,c\n", r"line 4: duplicate id '2', after line 3"),
        ("id,group\n1,a\n2,b\n3,c\n9,c\n", r"line 5: there is no training image with the id '9'.*'1' to '3'"),
        ("group,image\na,1\n", r"line 1: there is no column 'id'"),
        ("id,writer,sex\n1,a,f\n", r"line 1: there is no column 'group'.*writer, sex"),
    ],
)
def test_faults_of_a_file_are_named_by_line(digits: ImageSet, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        open_source((digits.images[:3], digits.known_labels()[:3]), groups=path)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", "b"], "groups: found 2 values for 3 training rows"),
        (["a", "", "b"], "groups, row 2: the group is blank"),
        ([0.5, 1.5, 2.5], "groups, row 1: found 0.5; expected a whole number or text"),
        ("writer", r"no column 'writer', which --groups names, nor a file"),
    ],
)
def test_faults_of_an_array_or_a_name_are_explained(digits: ImageSet, groups: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source((digits.images[:3], digits.known_labels()[:3]), groups=groups)  # type: ignore[arg-type]


def test_a_blank_group_in_the_training_file_is_named_by_line(digits: ImageSet, tmp_path: Path) -> None:
    table = frame_of(digits.take(np.arange(300)))
    table.loc[4, "Writer"] = ""
    with pytest.raises(InputError, match=r"train\.csv, line 6: the group is blank"):
        open_source(saved_as_csv(table, tmp_path), groups="Writer", folds="fold")


def test_the_label_column_is_no_group(digits: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'label' is the label column; --groups needs another"):
        open_source(write_csv(tmp_path / "train.csv", digits), groups="label")


def test_groups_and_copies_are_joined(digits: ImageSet) -> None:
    """A copy in another group joins both groups; uniform images, which show nothing, join none."""
    images = np.concatenate([digits.images[:4], digits.images[:1], np.zeros((2, 1, 28, 28), dtype=np.uint8)])
    train = ImageSet(images, np.zeros(7, dtype=np.int64), np.arange(7).astype(np.str_), ("a",))
    given: NDArray[np.str_] = np.array(["a", "a", "b", "c", "c", "d", "e"])
    found = related_rows(given, find_copies(train), 7)
    assert found is not None
    assert [int(number) for number in found] == [0, 0, 1, 0, 0, 2, 3]


def test_without_copies_and_groups_every_row_is_alone(digits: ImageSet) -> None:
    assert related_rows(None, find_copies(digits), 300) is None


def test_the_command_takes_columns_and_files(digits: ImageSet, tmp_path: Path, call: Call) -> None:
    path = saved_as_csv(frame_of(digits), tmp_path)
    code, out, _ = call("data", "check", path, "--groups", "Writer", "--folds", "fold")
    assert code == 0
    assert "groups      7, of 42 to 43 training images\nfolds       3, of 100 to 100 training images" in out
    code, _, err = call("data", "check", path, "--groups", "writers", "--folds", "fold")
    assert code == 2
    assert "there is no column 'writers', which --groups names" in err


def test_the_sample_has_no_columns(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"sample: there is no column 'writer'.*a CSV file with the columns id and group"
    ):
        open_source("sample", groups="writer")
    with pytest.raises(InputError, match=r"missing\.csv: there is no such file"):
        open_source("sample", groups=tmp_path / "missing.csv")


def noisy(images: int, side: int, share: float) -> ImageSet:
    """One pattern with a share of noise of its own in each image."""
    generator = np.random.default_rng(0)
    pattern, noise = generator.uniform(0, 255, (1, 1, side, side)), generator.uniform(0, 255, (images, 1, side, side))
    pixels = ((1 - share) * pattern + share * noise).round().astype(np.uint8)
    return ImageSet(pixels, np.arange(images) % 2, np.arange(images).astype(np.str_), ("a", "b"))


def test_images_that_are_all_alike_are_no_copies() -> None:
    alike = noisy(100, 16, share=0.02)
    assert len(find_copies(alike).links()[0]) > 100
    assert related_rows(None, find_copies(alike), 100) is None
    twice = alike.take(np.r_[np.arange(100), 5])
    groups = related_rows(None, find_copies(twice), 101)
    assert groups is not None
    assert np.flatnonzero(groups == groups[5]).tolist() == [5, 100]


def test_images_of_few_pixels_have_identical_copies_alone() -> None:
    tiny = noisy(100, 5, share=0.02)
    assert not find_copies(tiny).links().size
    assert find_copies(tiny.take(np.array([0, 1, 0]))).links().tolist() == [[2], [0]]
