"""A training set that contains the test images is refused; natural duplicates are not."""

from dataclasses import replace

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.duplicates import check_no_leak
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, sample
from hitofude.recipe import Recipe
from hitofude.runs.plan import RunPlan

ROWS = np.arange(300)


def mixed(images: ImageSet, other: ImageSet, count: int) -> ImageSet:
    """Replace the first `count` images of `other` by those of `images`."""
    pixels = np.concatenate([images.images[:count], other.images[count:]])
    return replace(other, images=pixels, labels=None)


@pytest.fixture(scope="module")
def others() -> ImageSet:
    """300 digits that are not among the training images."""
    return sample().train.take(np.arange(1000, 1300))


def test_test_images_that_are_training_images_are_refused_with_their_number(digits: ImageSet, others: ImageSet) -> None:
    with pytest.raises(InputError, match="120 of the 300 images to predict are also training images") as error:
        check_no_leak(digits, mixed(digits, others, 120))
    assert "Kaggle's Digit Recognizer is made of MNIST's images" in str(error.value)


def test_other_classes_get_no_hint_about_mnist(digits: ImageSet) -> None:
    leaves = replace(digits, classes=tuple("abcdefghij"))
    with pytest.raises(InputError) as error:
        check_no_leak(leaves, leaves)
    assert "MNIST" not in str(error.value)


@pytest.mark.parametrize("count", [0, 9])
def test_a_few_are_chance(count: int, digits: ImageSet, others: ImageSet) -> None:
    check_no_leak(digits, mixed(digits, others, count))


def test_uniform_images_and_other_sizes_do_not_count(digits: ImageSet) -> None:
    blank = replace(digits, images=np.zeros_like(digits.images))
    check_no_leak(blank, blank)
    check_no_leak(digits, replace(digits, images=digits.images[:, :, :14]))
    check_no_leak(digits, None)


def test_natural_duplicates_may_be_in_both_sets() -> None:
    """Images of four pixels, black or white: there are sixteen."""
    generator = np.random.default_rng(0)
    train, test = (
        ImageSet(generator.integers(0, 2, (500, 1, 2, 2), dtype=np.uint8), None, ROWS.astype(np.str_), ("a", "b"))
        for _ in range(2)
    )
    check_no_leak(train, test)


def test_a_run_is_refused_before_anything_is_written(digits: ImageSet, quick: Recipe) -> None:
    with pytest.raises(InputError, match="a score on them is meaningless"):
        RunPlan.prepare(quick, Dataset("mnist", digits, digits), "")


def test_the_sample_and_its_own_test_images_may_be_run(quick: Recipe) -> None:
    RunPlan.prepare(quick, sample(), "")
