"""Duplicates, compared with an exhaustive search."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.inputs.duplicates import NEAR, find_duplicates
from hitofude.inputs.image_set import ImageSet


def with_images(digits: ImageSet, *more: NDArray[np.uint8]) -> ImageSet:
    """Append images to the digits, with the first digit's label."""
    images = np.concatenate([digits.images, *(image[None] for image in more)])
    labels = np.concatenate([digits.known_labels(), np.full(len(more), digits.known_labels()[0])])
    return replace(digits, images=images, labels=labels, ids=np.arange(len(images)).astype(np.str_))


def noisy(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-5, 6, image.shape)
    return (image.astype(np.int64) + noise).clip(0, 255).astype(np.uint8)


def test_different_digits_are_no_duplicates(digits: ImageSet) -> None:
    assert find_duplicates(digits) == []


def test_an_identical_image_is_found_with_its_first_occurrence(digits: ImageSet) -> None:
    found = find_duplicates(with_images(digits, digits.images[7], digits.images[7]))
    assert [(item.row, item.earlier_row, item.difference) for item in found] == [(300, 7, 0.0), (301, 7, 0.0)]


@pytest.mark.parametrize("change", [lambda image: noisy(image, 0), lambda image: (image * 0.8).astype(np.uint8)])
def test_a_noisy_or_darker_copy_is_near(digits: ImageSet, change) -> None:  # type: ignore[no-untyped-def]
    copy = change(digits.images[40])
    (found,) = find_duplicates(with_images(digits, copy))
    assert (found.row, found.earlier_row) == (300, 40)
    expected = np.sqrt(((copy.astype(float) - digits.images[40]) ** 2).mean())
    assert found.difference == pytest.approx(expected)
    assert found.difference > 0


def test_the_nearest_is_that_of_an_exhaustive_search(digits: ImageSet) -> None:
    copies = [noisy(digits.images[row], seed) for seed, row in enumerate([3, 3, 3, 90, 150])]
    images = with_images(digits, *copies)
    directions = images.images.reshape(len(images), -1).astype(float)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = []
    for row in range(1, len(images)):
        distances = np.linalg.norm(directions[:row] - directions[row], axis=1)
        if distances.min() <= NEAR:
            expected.append((row, int(distances.argmin())))
    assert [(item.row, item.earlier_row) for item in find_duplicates(images)] == expected
    assert len(expected) == 5


def test_a_training_image_in_the_test_set_is_a_leak(digits: ImageSet) -> None:
    test = digits.take(np.array([250, 5]))
    found = find_duplicates(digits.take(np.arange(200)), test)
    assert [(item.split, item.row, item.earlier_split, item.earlier_row) for item in found] == [("test", 1, "train", 5)]
    assert found[0].is_leak


@pytest.mark.parametrize("count", [1, 2, 9])
def test_black_images_are_identical_and_few_suffice(digits: ImageSet, count: int) -> None:
    black = replace(digits.take(np.arange(count)), images=np.zeros((count, 1, 28, 28), dtype=np.uint8))
    assert [(item.row, item.earlier_row) for item in find_duplicates(black)] == [(row, 0) for row in range(1, count)]


def test_large_colour_images_are_compared_by_a_randomized_decomposition() -> None:
    """More pixels than the exact decomposition takes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 3, 24, 24)).astype(np.uint8)
    images[150:] = [noisy(image, seed) for seed, image in enumerate(images[:50])]
    found = find_duplicates(ImageSet(images, np.zeros(200, dtype=np.int64), np.arange(200).astype(np.str_), ("a",)))
    directions = images.reshape(200, -1).astype(np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    distance = np.sqrt(np.maximum(2 - 2 * directions @ directions.T, 0))
    assert {(item.row, item.earlier_row) for item in found} == set(
        zip(*np.nonzero(np.tril(distance < NEAR, -1)), strict=True)
    )
    assert len(found) == 50
