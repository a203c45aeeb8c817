"""Parquet files: pixels as columns, as lists, as pictures; and the errors for others."""

import io
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.formats import archive, parquet
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, open_source, read_images


def columns_of(images: ImageSet) -> dict[str, Any]:
    pixels = images.images.reshape(len(images), -1)
    return {"label": images.known_labels()} | {f"pixel{i}": values for i, values in enumerate(pixels.T)}


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def test_columns_of_pixels_read_as_the_csv_does(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 70)
    path = written(tmp_path / "train.parquet", columns_of(dataset.train), row_group_size=100)
    for found in (open_source(path), open_source(tmp_path)):
        assert found.train.fingerprint == dataset.train.fingerprint
    assert np.array_equal(read_images(path, image_shape=(1, 28, 28)).images, dataset.train.images)


def test_a_frame_of_pandas_with_its_index_and_named_labels(tmp_path: Path) -> None:
    frame = pd.DataFrame({"kind": ["b", "a", "b"], "p0": [1, 2, 203]}, index=[5, 6, 7]).astype({"kind": "category"})
    frame.to_parquet(tmp_path / "frame.parquet")
    found = open_source(tmp_path / "frame.parquet", label="kind").train
    assert found.classes == ("a", "b")
    assert found.images.ravel().tolist() == [1, 2, 203]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_column_of_lists(axes: int, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3) if axes == 3 else (5, 4, 4)).astype(np.uint8)
    lists = images.reshape(5, 16) if axes == 1 else images
    path = written(tmp_path / "lists.parquet", {"image": lists.tolist(), "label": list("abcab"), "note": list("vwxyz")})
    expected = images.transpose(0, 3, 1, 2) if axes == 3 else images[:, None]
    assert np.array_equal(open_source(path).train.images, expected)


@pytest.mark.parametrize("as_struct", [True, False])
def test_pictures_as_hugging_face_has_them(as_struct: bool, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 9, 7)).astype(np.uint8)
    content = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "png")
        content.append({"bytes": stream.getvalue(), "path": None} if as_struct else stream.getvalue())
    path = written(tmp_path / "mnist.parquet", {"image": content, "label": [3, 1, 3, 1]})
    found = open_source(path).train
    assert np.array_equal(found.images, images[:, None])
    assert found.classes == ("1", "3")


def test_images_of_another_size_are_named_in_a_later_batch_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    path = written(tmp_path / "sizes.parquet", {"label": list("abc"), "image": [[1] * 4, [2] * 4, [3] * 9]})
    with pytest.raises(InputError, match=r"row 3: 3x3 pixels, but .*row 1 has 2x2"):
        open_source(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": ["a", "b"], "pixel0": [1, None]}, "row 2, column 'pixel0': there is no value"),
        ({"label": ["a", None], "pixel0": [1, 2]}, "row 2, column 'label': there is no value"),
        ({"label": ["a", "b"], "pixel0": [1.5, math.nan]}, "row 2, column 'pixel0': found nan"),
        ({"label": ["a", "b"], "pixel0": ["1", "2"]}, "column 'pixel0': found the type string"),
        ({"label": [1.0, math.nan], "pixel0": [1, 2]}, r"row 2, column 'label': there is no value \(NaN\)"),
        ({"label": [[1], [2]], "pixel0": [1, 2]}, "both|found the type list"),
        ({"pixel0": [1, 2]}, "no column 'label'.*--label"),
        ({"label": ["a", "b"]}, "no pixel columns"),
        ({"label": ["a", "b"], "pixel0": [1, 2], "pixel1": [1, 2]}, "2 pixel columns; that is not a square number"),
        ({"label": ["a", "b"], "image": [[1, 2], [1]]}, "column 'image': the lists have from 1 to 2 values"),
        ({"label": ["a", "b"], "image": [[1], [None]]}, "row 2, column 'image': there is no value"),
        ({"label": ["a", "b"], "image": [[[1, 2]], [[3, None]]]}, "row 2, column 'image': there is no value"),
        ({"label": ["a", "b"], "image": [[1.0], [math.inf]]}, r"column 'image', row 2, pixel \[0\]: found inf"),
        ({"label": ["a", "b"], "image": [[1], [2]], "other": [[1], [2]]}, "both hold images"),
        ({"label": ["a", "b"], "image": [b"x", b"y"]}, "row 1: this is not a picture"),
        ({"label": ["a", ""], "pixel0": [1, 2]}, "row 2: the label is blank"),
        ({"label": [], "pixel0": []}, "there are no rows in it"),
    ],
)
def test_a_wrong_table_is_refused_with_row_and_column(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_source(written(tmp_path / "wrong.parquet", columns))


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_file_that_is_cut_short_is_named(share: float, tmp_path: Path, dataset: Dataset) -> None:
    path = written(tmp_path / "cut.parquet", columns_of(dataset.train))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"cut.parquet: this is not a Parquet file, or it is damaged"):
        open_source(path)


def test_a_file_that_grows_without_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 0)
    path = written(tmp_path / "bomb.parquet", {"label": [1] * 10**6, "pixel0": [0] * 10**6})
    with pytest.raises(InputError, match="zip bomb"):
        open_source(path)


def test_without_pyarrow_the_line_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "train.parquet", {"label": [1, 2], "pixel0": [1, 2]})
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"-m pip install .*\[parquet\]"):
        open_source(path)
