"""Labels in Python are read as the same labels in a CSV file, whatever their type; missing ones have one message."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from hitofude.errors import InputError
from hitofude.estimator import HitofudeClassifier
from hitofude.inputs.formats.labels import label_texts
from hitofude.inputs.sources import open_source

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 36)).astype(np.uint8)
LABELS: dict[str, list[Any]] = {
    "text": ["b", "a", "b", "a"],
    "integers": [3, 5, 3, 5],
    "floats": [3.0, 5.0, 3.0, 5.0],
    "booleans": [True, False, True, False],
    "dates": [date(2026, 1, 2), date(2025, 1, 2)] * 2,
}
MISSING = {
    "none": ["a", "b", None, "a"],
    "nan": [1.0, 2.0, np.nan, 1.0],
    "nan among text": ["a", "b", np.nan, "a"],
    "a nullable integer": pd.array([1, 2, None, 1], dtype="Int64"),
    "a nullable boolean": pd.array([True, False, None, True], dtype="boolean"),
    "a nullable string": pd.array(["a", "b", None, "a"], dtype="string"),
    "a category": pd.Categorical(["a", "b", None, "a"]),
    "a time": pd.to_datetime(["2026-01-01", "2026-01-02", None, "2026-01-01"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_any_type_have_the_names_of_a_csv_file(kind: str, tmp_path: Path) -> None:
    labels = LABELS[kind]
    frame = pd.DataFrame(PIXELS).rename(columns=lambda i: f"pixel{i}").assign(label=labels)
    frame.to_csv(tmp_path / "train.csv", index=False)
    expected = open_source(tmp_path / "train.csv").train
    polars = pl.DataFrame({**{f"pixel{i}": PIXELS[:, i] for i in range(36)}, "label": labels})
    for source in ((PIXELS, labels), (PIXELS, np.array(labels)), (PIXELS, pd.Series(labels)), frame, polars):
        found = open_source(source).train
        assert found.classes == expected.classes
        assert np.array_equal(found.known_labels(), expected.known_labels())


@pytest.mark.parametrize("kind", MISSING)
def test_a_missing_label_has_one_message_whatever_its_type(kind: str) -> None:
    labels = MISSING[kind]
    message = "row 3: there is no value. Fill it in, or leave the row out"
    with pytest.raises(InputError, match=f"the labels of images, {message}"):
        open_source((PIXELS, labels))
    frame = pd.DataFrame(PIXELS).rename(columns=lambda i: f"pixel{i}").assign(label=labels)
    with pytest.raises(InputError, match=f"column 'label', {message}"):
        open_source(frame)
    with pytest.raises(ValueError, match=f"y, {message}"):
        HitofudeClassifier().fit(PIXELS, labels)


def test_several_missing_labels_are_counted() -> None:
    with pytest.raises(InputError, match="row 2, and in 2 more: there is no value"):
        label_texts(np.array(["a", None, None, None], dtype=object), "y")


@pytest.mark.parametrize("labels", [[0.5, 1.0], np.array([0.5, 1.0]), [1.0, float("inf")]])
def test_numbers_to_predict_are_no_labels(labels: Any) -> None:
    with pytest.raises(InputError, match="expected a whole number or text"):
        label_texts(np.asarray(labels, dtype=getattr(labels, "dtype", object)), "y")


@pytest.mark.parametrize("kind", ["Array", "List", "deep Array", "pandas", "deep pandas"])
def test_a_column_of_images_in_a_frame_is_read_as_from_a_file(kind: str, tmp_path: Path) -> None:
    images = PIXELS.reshape(4, 6, 6)
    frames: dict[str, Any] = {
        "Array": lambda: pl.DataFrame({"image": PIXELS}, schema={"image": pl.Array(pl.UInt8, 36)}),
        "List": lambda: pl.DataFrame({"image": PIXELS.tolist()}),
        "deep Array": lambda: pl.DataFrame({"image": images}, schema={"image": pl.Array(pl.UInt8, (6, 6))}),
        "pandas": lambda: pd.DataFrame({"image": list(PIXELS)}),
        "deep pandas": lambda: pd.DataFrame({"image": list(images)}),
    }
    frame = frames[kind]()
    is_polars = isinstance(frame, pl.DataFrame)
    labelled = frame.with_columns(label=pl.Series(list("baba"))) if is_polars else frame.assign(label=list("baba"))
    for found in (open_source(labelled).train, open_source((frame, list("baba"))).train):
        assert np.array_equal(found.images[:, 0], images)
        assert found.classes == ("a", "b")
    if kind != "deep pandas":
        labelled.write_parquet(tmp_path / "a.parquet") if is_polars else labelled.to_parquet(tmp_path / "a.parquet")
        assert open_source(tmp_path / "a.parquet").train.fingerprint == found.fingerprint


def test_two_columns_of_images_are_refused() -> None:
    with pytest.raises(InputError, match="the columns 'a' and 'b' both hold images"):
        open_source(pd.DataFrame({"a": list(PIXELS), "b": list(PIXELS), "label": list("abab")}))
