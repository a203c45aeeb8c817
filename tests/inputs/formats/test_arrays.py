"""Arrays and data frames in Python, with their axes in any usual order."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import torch

from hitofude.errors import InputError
from hitofude.inputs.formats.arrays import raw_from_arrays
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.sources import Dataset, open_source

SIDE = 6
FLAT = np.random.default_rng(0).integers(0, 256, (8, SIDE * SIDE)).astype(np.uint8)
GREY = FLAT.reshape(8, 1, SIDE, SIDE)
COLOUR = np.random.default_rng(1).integers(0, 256, (8, 3, SIDE, SIDE + 1)).astype(np.uint8)
LABELS = ["b", "a"] * 4


@pytest.mark.parametrize(
    "array", [FLAT, FLAT.astype(np.int64), FLAT.tolist(), GREY[:, 0], GREY, GREY[:, 0, :, :, None]]
)
def test_grey_images_in_every_shape(array: Any) -> None:
    found = open_source((array, LABELS)).train
    assert np.array_equal(found.images, GREY)
    assert (found.classes, found.known_labels().tolist()) == (("a", "b"), [1, 0] * 4)
    assert found.images.flags.c_contiguous


@pytest.mark.parametrize("array", [COLOUR, COLOUR.transpose(0, 2, 3, 1), COLOUR.transpose(0, 2, 3, 1).reshape(8, -1)])
def test_colour_images_in_every_shape(array: Any) -> None:
    assert np.array_equal(open_source((array, LABELS), shape=(SIDE, SIDE + 1, 3)).train.images, COLOUR)


def test_a_frame_has_the_columns_of_a_csv_file_in_any_order() -> None:
    frame = pd.DataFrame(FLAT).rename(columns=lambda i: f"pixel{i}")[[f"pixel{i}" for i in range(35, -1, -1)]]
    frame["label"], frame["id"] = LABELS, [f"n{i}" for i in range(8)]
    alone, apart = open_source(frame), open_source((frame.drop(columns="label"), pd.Series(LABELS, dtype="category")))
    for found in (alone, apart):
        assert np.array_equal(found.train.images, GREY)
        assert found.train.ids[0] == "n0"
        assert found.train.known_labels().tolist() == [1, 0] * 4


def test_images_to_predict_stand_beside_those_to_learn_from(dataset: Dataset) -> None:
    assert dataset.test is not None
    labels = dataset.train.known_labels()
    found = open_source((dataset.train.images, labels), test=dataset.test.images.reshape(50, -1))
    assert found.test is not None
    assert found.train.fingerprint == dataset.train.fingerprint
    assert np.array_equal(found.test.images, dataset.test.images)


def test_arrays_that_cannot_be_written_to_are_copied() -> None:
    """PyTorch warns of read-only arrays."""
    fixed = GREY.copy()
    fixed.flags.writeable = False
    assert open_source((fixed, LABELS)).train.images.flags.writeable


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((FLAT, LABELS[:3]), "8 images, but 3 labels"),
        (
            (np.where(np.arange(36) == 7, np.nan, FLAT), LABELS),
            r"row 1, pixel \[7\]: found nan, expected a number. 8 values",
        ),
        ((FLAT * 1j, LABELS), "found the type complex128; expected numbers"),
        ((FLAT[:, :35], LABELS), "35 pixel columns; that is not a square number"),
        (([[1, 2], [3]], LABELS), "cannot be converted to an array"),
        ((FLAT, [None, *LABELS[1:]]), "row 1: there is no value. Fill it in"),
        ((FLAT, [float("nan"), *LABELS[1:]]), "row 1: there is no value. Fill it in"),
        (FLAT, r"\(images, labels\)"),
        (pd.DataFrame(FLAT), "there is no column 'label'"),
        (pd.DataFrame({"label": LABELS, "pixel0": [0.5] * 7 + [np.inf]}), "row 8, column 'pixel0': found inf"),
        (pd.DataFrame({"label": LABELS, "pixel0": ["a"] * 8}), "expected numbers"),
        (pd.DataFrame({"label": LABELS, "weight": [1] * 8}), "'weight' is neither a pixel"),
        (pd.DataFrame({"label": [None, *LABELS[1:]], "pixel0": [0] * 8}), "column 'label', row 1: there is no value"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_source(source)


@pytest.mark.parametrize("shape", [(6,), (6, 6, 2), (0, 6), (6, 6, 3, 1)])
def test_a_shape_that_is_none_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(height, width\)"):
        open_source((FLAT, LABELS), shape=shape)


def test_a_frame_without_names_is_read_as_a_file_without_header() -> None:
    values = np.random.default_rng(0).integers(0, 256, (40, 16))
    labels = np.arange(40) % 3
    raw = raw_from_arrays(pd.DataFrame(np.column_stack([labels, values])), None, "images", ReadOptions())
    assert np.array_equal(raw.images.reshape(40, 16), values)
    assert raw.labels is not None
    assert raw.labels.tolist() == labels.astype(str).tolist()
    assert raw.reading == ("images: column '0' is the label",)


def test_a_frame_may_hold_all_pixels_in_one_column() -> None:
    frame = pd.DataFrame({"emotion": [3, 4], "pixels": ["0 12 255 7", "1 2 3 4"], "Usage": ["Training", "PublicTest"]})
    raw = raw_from_arrays(frame, None, "images", ReadOptions())
    assert raw.images.reshape(2, 4).tolist() == [[0, 12, 255, 7], [1, 2, 3, 4]]
    assert raw.usage is not None
    with pytest.raises(InputError, match="column 'pixels', row 2: expected 4 numbers as in the first row"):
        raw_from_arrays(frame.assign(pixels=["0 12 255 7", "1 2 3"]), None, "images", ReadOptions())


@pytest.mark.parametrize(
    "make",
    [
        lambda x: scipy.sparse.csr_matrix(x),
        lambda x: torch.tensor(x, dtype=torch.float32, requires_grad=True),
        lambda x: torch.tensor(x).bfloat16(),
        lambda x: pd.DataFrame(x).astype("Int64"),
        lambda x: pd.DataFrame(x).astype(object),
        lambda x: pd.DataFrame(x).astype(str),
    ],
    ids=["sparse", "gradients", "bfloat16", "nullable", "objects", "text"],
)
def test_numbers_of_other_libraries_types_are_read(make: Any) -> None:
    pixels = np.arange(0, 192, 2, dtype=np.uint8).reshape(6, 16)
    found, expected = (open_source((images, list("ababab"))) for images in (make(pixels), pixels))
    assert np.array_equal(found.train.images, expected.train.images)


def test_labels_as_bytes_and_tensors_are_read() -> None:
    images = np.arange(64, dtype=np.uint8).reshape(4, 4, 4)
    assert open_source((images, np.array([b"cat", b"dog"] * 2))).train.classes == ("cat", "dog")
    pairs = torch.utils.data.TensorDataset(torch.tensor(images), torch.tensor([7, 3, 7, 3]))
    assert open_source(tuple(zip(*pairs, strict=True))).train.classes == ("3", "7")


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        (pl.DataFrame({"label": [1]}).lazy(), r"Give source\.collect\(\)"),
        ({"image": [], "label": []}, r"\(source\['images'\], source\['labels'\]\); it holds image, label"),
        ([(np.zeros((4, 4)), 1)], r"give tuple\(zip\(\*source\)\)"),
    ],
    ids=["lazy", "dict", "pairs"],
)
def test_other_sources_are_refused_with_their_conversion(source: Any, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        open_source(source)
