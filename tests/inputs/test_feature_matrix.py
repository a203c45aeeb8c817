"""Scikit-learn's X becomes images of bytes."""

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.feature_matrix import choose_image_shape, to_images


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
