"""The layout of images: sizes that users type, and images that are joined."""

import numpy as np
import pytest

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.layout import ReadOptions, is_transposed, join_images, lay_out, parse_shape


@pytest.mark.parametrize(
    ("text", "shape"), [(None, None), ("24x32", (24, 32)), ("9x9x1", (9, 9, 1)), ("24x32x3", (24, 32, 3))]
)
def test_a_size_is_height_by_width_and_channels(text: str | None, shape: tuple[int, ...] | None) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["", "28", "28x0", "28x28x2", "28 x 28", "28x28\n", "28X28", "99999x1"])
def test_any_other_text_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(RecipeError, match="expected HEIGHTxWIDTH"):
        parse_shape(text)


def test_grey_images_beside_colour_get_three_channels() -> None:
    grey, colour = np.full((2, 1, 4, 5), 7, np.uint8), np.full((1, 3, 4, 5), 9, np.uint8)
    joined = join_images([grey, colour], ["a", "b"])
    assert joined.flags.c_contiguous
    assert joined.shape == (3, 3, 4, 5)
    assert (joined[:2] == 7).all()
    assert join_images([grey], ["a"]).shape == (2, 1, 4, 5)


def test_images_of_another_size_are_named() -> None:
    images = [np.zeros((1, 1, 4, 5), np.uint8), np.zeros((1, 1, 5, 4), np.uint8)]
    with pytest.raises(InputError, match=r"b: 5x4 pixels, but a has 4x5\. All images must have the same size"):
        join_images(images, ["a", "b"])


COLUMNS_FIRST = ReadOptions(transpose=True)


def test_images_stored_columns_first_are_read_upright() -> None:
    upright = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 1, 3, 5)
    stored = np.ascontiguousarray(upright.swapaxes(2, 3))
    options = ReadOptions(shape=(3, 5), transpose=True)
    assert np.array_equal(lay_out(stored.reshape(2, 15), "a", options).images, upright)
    assert np.array_equal(lay_out(stored[:, 0], "a", COLUMNS_FIRST).images, upright)
    like = ReadOptions(like=(1, 3, 5), transpose=True)
    assert np.array_equal(lay_out(stored, "a", like).images, upright)


def test_the_array_given_is_changed_only_if_that_is_allowed() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (5000, 3, 3), dtype=np.uint8)
    kept = stored.copy()
    rows = stored.reshape(5000, 9)
    for found in (lay_out(stored, "a", COLUMNS_FIRST).images, lay_out(rows, "a", COLUMNS_FIRST).images):
        assert np.array_equal(found[:, 0], kept.swapaxes(1, 2))
    assert np.array_equal(stored, kept)
    found = lay_out(rows, "a", COLUMNS_FIRST, in_place=True).images
    assert np.array_equal(found[:, 0], kept.swapaxes(1, 2))
    assert np.shares_memory(found, stored)


@pytest.mark.parametrize(
    ("name", "is_so"),
    [
        ("emnist-letters-train.csv", True),
        ("/data/x/EMNIST-balanced-test.csv.gz", True),
        ("emnist.zip/emnist-digits-train-images-idx3-ubyte.gz", True),
        ("matlab/emnist-byclass.mat", True),
        ("/home/emnist/train.csv", False),
        ("kmnist-train.csv", False),
        ("femnist.csv", False),
        ("emnist.parquet", False),
    ],
)
def test_files_of_emnist_are_known_by_their_names(name: str, is_so: bool) -> None:
    assert is_transposed(name, ReadOptions()) == is_so
    assert is_transposed(name, COLUMNS_FIRST)
    assert not is_transposed(name, ReadOptions(transpose=False))
