"""The layout of images: sizes that users type, and images that are joined."""

import numpy as np
import pytest

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.layout import join_images, parse_shape


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
