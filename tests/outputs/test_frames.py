"""Probabilities as data frames of both packages."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray

import hitofude
from hitofude.errors import InputError, RecipeError
from hitofude.inputs.dataset import Dataset
from hitofude.outputs.frames import labelled_frame
from hitofude.runs.result import RunResult

PACKAGES = {"pandas": pd, "polars": pl}
PIXELS = [f"pixel{i}" for i in range(784)]


@pytest.fixture(scope="module")
def pixels(dataset: Dataset) -> NDArray[np.uint8]:
    """(10, 784), as many rows as there are classes."""
    assert dataset.test is not None
    return dataset.test.images[:10].reshape(10, -1)


@pytest.mark.parametrize("kind", PACKAGES)
def test_predict_gives_a_frame_with_a_column_for_each_class(
    kind: str, finished: RunResult, pixels: NDArray[np.uint8]
) -> None:
    frame = hitofude.predict(finished.folder.path, pixels, device="cpu", output=kind)  # type: ignore[call-overload]
    assert isinstance(frame, PACKAGES[kind].DataFrame)
    assert list(frame.columns) == [str(digit) for digit in range(10)]
    expected = hitofude.predict(finished.folder.path, pixels, device="cpu")
    assert np.array_equal(frame.to_numpy(), expected)
    assert frame.to_numpy().dtype == np.float32


def test_a_frame_of_pandas_keeps_its_index(finished: RunResult, pixels: NDArray[np.uint8]) -> None:
    index = pd.Index([f"image {number}" for number in range(10)], name="image")
    frame = hitofude.predict(finished.folder.path, pd.DataFrame(pixels, columns=PIXELS, index=index), output="pandas")
    assert frame.index.equals(index)
    assert frame.index.name == "image"
    of_polars = hitofude.predict(finished.folder.path, pl.DataFrame(pixels, schema=PIXELS), output="pandas")
    assert of_polars.index.tolist() == list(range(10))


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_result_gives_its_predictions_as_the_files_have_them(kind: str, finished: RunResult) -> None:
    frame = finished.test_frame(kind)  # type: ignore[arg-type]
    assert list(frame.columns) == ["id", "label", *(f"probability_{digit}" for digit in range(10))]
    assert finished.test_ids is not None
    assert finished.test_predictions is not None
    assert frame["id"].to_list() == finished.test_ids.tolist()
    assert frame["label"].to_list() == finished.test_predictions.tolist()
    assert np.array_equal(frame[list(frame.columns)[2:]].to_numpy(), finished.test_probabilities)


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_result_gives_its_training_rows_with_their_given_labels(kind: str, finished: RunResult) -> None:
    frame = finished.out_of_fold_frame(kind)  # type: ignore[arg-type]
    assert frame["label"].to_list() == [finished.classes[label] for label in finished.labels]
    assert np.array_equal(frame["probability_3"].to_numpy(), finished.out_of_fold_probabilities[:, 3])


@pytest.mark.parametrize("kind", PACKAGES)
def test_classes_may_be_called_id_and_label(kind: str) -> None:
    texts, probabilities = np.array(["1", "2"]), np.eye(2, dtype=np.float32)
    frame = labelled_frame(kind, texts, np.array(["id", "label"]), probabilities, ("id", "label"))
    assert list(frame.columns) == ["id", "label", "probability_id", "probability_label"]


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_missing_package_is_named_with_pips_command_before_anything_is_predicted(
    kind: str, finished: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(InputError, match=rf"need the package {kind}: .* -m pip install {kind}$"):
        hitofude.predict(finished.folder.path / "missing", np.zeros((1, 784)), output=kind)  # type: ignore[call-overload]


def test_another_kind_of_frame_is_refused_with_the_nearest(finished: RunResult) -> None:
    with pytest.raises(RecipeError, match=r"There are no frames of 'panda'\. Did you mean 'pandas'"):
        finished.test_frame("panda")  # type: ignore[arg-type]
