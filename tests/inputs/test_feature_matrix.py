"""Scikit-learn's X becomes images of bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hitofude.errors import InputError
from hitofude.inputs.feature_matrix import choose_image_shape, to_images
from hitofude.inputs.scale import PixelScale


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_whole_numbers_up_to_255_are_bytes_whatever_their_type(dtype: type) -> None:
    values = np.array([[0, 7, 254], [128, 1, 30]], dtype=dtype)
    assert np.array_equal(PixelScale.of(values).to_bytes(values), values)


@pytest.mark.parametrize(
    "values", [[0.0, 0.5, 1.0], [-1, 0, 1], [0, 8, 16], [False, True], [0.0, 127.5, 255.0], [-5000, 0, 5000]]
)
def test_anything_else_is_stretched_from_its_least_to_its_greatest(values: list[float]) -> None:
    found = PixelScale.of(np.array(values)).to_bytes(np.array(values))
    assert (found[0], found[-1]) == (0, 255)
    assert len(values) == 2 or abs(int(found[1]) - 127.5) <= 0.5


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_order_is_kept_and_no_number_is_too_large(values: np.ndarray) -> None:
    found = PixelScale.of(values).to_bytes(values)
    assert (np.diff(found[np.argsort(values)].astype(int)) >= 0).all()


def test_what_lies_beyond_the_training_range_is_cut_off() -> None:
    assert PixelScale(0, 1).to_bytes(np.array([-3.0, 0.5, 9.0])).tolist() == [0, 128, 255]
    assert PixelScale(0, 255).to_bytes(np.array([-3.0, 0.4, 300.0])).tolist() == [0, 0, 255]


def test_numbers_that_are_all_the_same_become_black() -> None:
    assert not PixelScale.of(np.full(5, 0.3)).to_bytes(np.full(5, 0.3)).any()


@pytest.mark.parametrize(("pixels", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (784, 28), (785, 29)])
def test_rows_become_the_least_square_that_holds_them(pixels: int, side: int) -> None:
    assert choose_image_shape((3, pixels), None) == (1, side, side)


def test_stacks_of_images_keep_their_shape() -> None:
    assert choose_image_shape((9, 20, 24), None) == choose_image_shape((9, 480), (20, 24)) == (1, 20, 24)
    assert choose_image_shape((9, 3, 20, 24), (3, 20, 24)) == choose_image_shape((9, 1440), (3, 20, 24)) == (3, 20, 24)


@pytest.mark.parametrize(
    ("shape", "wanted", "message"),
    [
        ((9, 480), (20, 20), "480 pixels a row, and image_shape=.* needs 400"),
        ((9, 20, 24), (24, 20), r"\(1, 20, 24\)"),
        ((9, 28, 28, 3), None, r"X\.transpose\(0, 3, 1, 2\)"),
        ((9, 2, 28, 28), None, "2 channels; expected 1"),
        ((9, 1, 1, 28, 28), None, "Expected"),
        ((9, 784), (28.0, 28.0), "image_shape has images of"),
        ((9, 784), (-28, -28), "image_shape has images of"),
        ((9, 784), (), "image_shape has images of"),
    ],
)
def test_images_of_another_shape_are_refused(shape: tuple[int, ...], wanted: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_image_shape(shape, wanted)


def test_what_is_missing_is_black_behind_the_last_pixel() -> None:
    images = to_images(np.arange(1, 24, dtype=np.uint8)[None], (1, 5, 5))
    assert images.ravel().tolist() == [*range(1, 24), 0, 0]


def test_images_too_small_for_a_network_get_a_margin() -> None:
    images = to_images(np.full((2, 9), 7, dtype=np.uint8), (1, 3, 3))
    assert images.shape == (2, 1, 4, 4)
    assert images.sum() == 2 * 9 * 7
