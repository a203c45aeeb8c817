"""Weights of the training rows: from a column, a file or an array of every kind of source."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from hitofude.errors import InputError
from hitofude.inputs.dataset import describe_dataset
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source, read_images
from tests.conftest import Call
from tests.inputs.test_related import saved_as_csv, saved_as_parquet

WEIGHTS = np.linspace(0, 2.5, 300)
"""They survive being written as text."""


def frame_of(images: ImageSet) -> pd.DataFrame:
    """The images as a data frame, with weights between label and pixels."""
    table = pd.DataFrame(images.images.reshape(len(images), -1), columns=[f"pixel{i}" for i in range(784)])
    table.insert(0, "label", images.known_labels())
    table.insert(1, "Weight", WEIGHTS)
    return table


def saved_as_npz(table: pd.DataFrame, folder: Path) -> Path:
    pixels = table.filter(like="pixel").to_numpy()
    np.savez(folder / "train.npz", images=pixels, labels=table["label"].to_numpy(), Weight=WEIGHTS[:, None])
    return folder / "train.npz"


def as_image_column(table: pd.DataFrame, _: Path) -> pl.DataFrame:
    pixels = table.filter(like="pixel").to_numpy()
    return pl.DataFrame({"image": pl.Series(pixels, dtype=pl.Array(pl.Int64, 784)), "label": table["label"].to_numpy(),
                         "Weight": WEIGHTS})  # fmt: skip


@pytest.mark.parametrize(
    "save", [saved_as_csv, saved_as_parquet, saved_as_npz, lambda table, _: table, as_image_column]
)
def test_a_column_of_weights_is_neither_a_pixel_nor_a_label(
    digits: ImageSet, tmp_path: Path, save: Callable[[pd.DataFrame, Path], Path]
) -> None:
    found = open_source(save(frame_of(digits), tmp_path), sample_weight="Weight")
    assert np.array_equal(found.train.images, digits.images)
    assert found.train.weights is not None
    assert np.array_equal(found.train.weights, WEIGHTS)
    assert "weights     from 0 to 2.5; 1 row of weight 0 is not learned from" in describe_dataset(found)


def test_a_column_without_a_header_is_named_by_its_number(digits: ImageSet, tmp_path: Path) -> None:
    frame_of(digits).to_csv(tmp_path / "train.csv", header=False, index=False)
    found = open_source(tmp_path / "train.csv", sample_weight="1", label="0").train
    assert found.weights is not None
    assert np.array_equal(found.weights, WEIGHTS)
    assert np.array_equal(found.images, digits.images)


def test_images_to_predict_may_have_the_column_too(digits: ImageSet, tmp_path: Path) -> None:
    path = saved_as_csv(frame_of(digits).assign(Weight="?"), tmp_path)
    found = read_images(path, image_shape=(1, 28, 28), sample_weight="Weight")
    assert np.array_equal(found.images, digits.images)


def test_a_file_gives_weights_by_ids_in_any_order(digits: ImageSet, tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text("\n".join(["id,weight", *(f"{row + 1},{WEIGHTS[row]}" for row in reversed(range(300)))]))
    found = open_source((digits.images, digits.known_labels()), sample_weight=path).train
    assert found.weights is not None
    assert np.array_equal(found.weights, WEIGHTS)
    assert found.take(np.array([5, 1])).weights == pytest.approx(WEIGHTS[[5, 1]])


@pytest.mark.parametrize("weights", [np.full(300, 7), [1.0] * 300, pd.Series(np.ones(300))])
def test_rows_that_all_weigh_alike_have_no_weights(digits: ImageSet, weights: object) -> None:
    assert open_source((digits.images, digits.known_labels()), sample_weight=weights).train.weights is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"sample_weight: found the shape \(2,\) for 3 training rows; expected \(3,\)"),
        (np.ones((3, 1)), r"found the shape \(3, 1\)"),
        ([1, -0.5, 1], r"sample_weight, row 2: found -0\.5, expected a number from 0 up"),
        ([1, 1, float("nan")], "row 3: found nan"),
        ([1, float("inf"), 1], "row 2: found inf"),
        ([1, "a", 1], "sample_weight: expected numbers"),
        ([0, 0, 0], "All weights are zero"),
        ("worth", r"no column 'worth', which --weights names.*columns id and weight"),
    ],
)
def test_faults_of_an_array_or_a_name_are_explained(digits: ImageSet, weights: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source((digits.images[:3], digits.known_labels()[:3]), sample_weight=weights)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,weight\n1,1\n2,x\n3,2\n", r"weights\.csv, the image with the id '2': the weight 'x' is not a number"),
        ("id,weight\n1,1\n2,-1\n3,2\n", r"the weight '-1' is not a number from 0 up"),
        ("id,weight\n1,1\n2,1\n", r"no weight for 1 of the 3 training images, such as the one with the id '3'"),
        ("id,weight\n1,0\n2,0\n3,0\n", "All weights are zero"),
    ],
)
def test_faults_of_a_file_are_named(digits: ImageSet, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "weights.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        open_source((digits.images[:3], digits.known_labels()[:3]), sample_weight=path)


def test_the_command_takes_a_column_and_names_a_fault_by_its_line(digits: ImageSet, tmp_path: Path, call: Call) -> None:
    table = frame_of(digits)
    code, out, _ = call("data", "check", saved_as_csv(table, tmp_path), "--weights", "Weight")
    assert code == 0
    assert "weights     from 0 to 2.5; 1 row" in out
    wrong = table.astype({"Weight": object})
    wrong.loc[4, "Weight"] = "heavy"
    code, _, err = call("data", "check", saved_as_csv(wrong, tmp_path), "--weights", "Weight")
    assert code == 2
    assert "train.csv, line 6: the weight 'heavy' is not a number from 0 up." in err
