"""Copies of images: all planted ones are found, with real images of several kinds, and nothing else."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.distance import cdist
from skimage import data

from hitofude.inputs.duplicates import MOST_DIFFERENCE, NEAR, NEAR_EDGES, find_copies, find_duplicates
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.related import related_rows
from hitofude.inputs.sources import sample

Images = NDArray[np.uint8]


def with_images(digits: ImageSet, *more: NDArray[np.uint8]) -> ImageSet:
    """Append images to the digits, with the first digit's label."""
    images = np.concatenate([digits.images, *(image[None] for image in more)])
    labels = np.concatenate([digits.known_labels(), np.full(len(more), digits.known_labels()[0])])
    return replace(digits, images=images, labels=labels, ids=np.arange(len(images)).astype(np.str_))


def of_images(images: Images) -> ImageSet:
    return ImageSet(images, np.zeros(len(images), dtype=np.int64), np.arange(len(images)).astype(np.str_), ("a",))


def noisy(image: NDArray[np.uint8], seed: int, levels: int = 5) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-levels, levels + 1, image.shape)
    return (image.astype(np.int64) + noise).clip(0, 255).astype(np.uint8)


def as_jpeg(image: NDArray[np.uint8], quality: int = 90) -> NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(image[0]).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))[None]


def cut(photograph: NDArray[np.uint8], side: int = 28) -> Images:
    """Cut a photograph (H, W, C) into patches (N, C, side, side)."""
    height, width, channels = photograph.shape
    rows, columns = height // side, width // side
    tiles = photograph[: rows * side, : columns * side].reshape(rows, side, columns, side, channels)
    return tiles.transpose(0, 2, 4, 1, 3).reshape(-1, channels, side, side)


SETS: dict[str, Callable[[], Images]] = {
    "2,000 digits": lambda: sample().train.images[:2000],
    "inverted": lambda: 255 - sample().train.images[:2000],
    "faint": lambda: (120 + sample().train.images[:2000] // 32).astype(np.uint8),
    "a retina": lambda: cut(data.retina()[200:1200, 200:1200]),
    "bricks": lambda: cut(data.brick()[..., None]),
    "a cup of coffee": lambda: cut(data.coffee()),
}


@pytest.mark.parametrize("images", SETS.values(), ids=SETS.keys())
def test_different_images_are_no_duplicates(images: Callable[[], Images]) -> None:
    assert find_duplicates(of_images(images())) == []


def test_an_identical_image_is_found_with_its_first_occurrence(digits: ImageSet) -> None:
    found = find_duplicates(with_images(digits, digits.images[7], digits.images[7]))
    assert [(item.row, item.earlier_row, item.difference) for item in found] == [(300, 7, 0.0), (301, 7, 0.0)]


CHANGES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "noisy": lambda image: noisy(image, 0),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "brighter": lambda image: (image * 1.1).clip(0, 255).astype(np.uint8),
    "shifted": lambda image: (image.astype(np.int64) + 10).clip(0, 255).astype(np.uint8),
    "JPEG": as_jpeg,
}


@pytest.mark.parametrize("invert", [False, True], ids=["light on dark", "dark on light"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_slightly_changed_copy_is_near(
    digits: ImageSet, change: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], invert: bool
) -> None:
    images = replace(digits, images=255 - digits.images) if invert else digits
    copy = change(images.images[40])
    (found,) = find_duplicates(with_images(images, copy))
    assert (found.row, found.earlier_row) == (300, 40)
    expected = np.sqrt(((copy.astype(float) - images.images[40]) ** 2).mean())
    assert found.difference == pytest.approx(expected)
    assert found.difference > 0


def test_a_much_fainter_image_is_no_copy(digits: ImageSet) -> None:
    assert find_duplicates(with_images(digits, digits.images[40] // 8)) == []


def test_all_pairs_are_those_of_an_exhaustive_search_and_copies_of_one_image(digits: ImageSet) -> None:
    originals = [3, 3, 3, 90, 150, 7, 7]
    copies = [noisy(digits.images[row], seed, 40) for seed, row in enumerate(originals)]
    found = find_copies(with_images(digits, *copies, digits.images[9]))
    images = np.concatenate([digits.images, *(copy[None] for copy in copies), digits.images[9:10]]).astype(float)
    centered = images - images.mean(axis=(2, 3), keepdims=True)
    steps = [np.diff(images, axis=axis).reshape(len(images), -1) for axis in (2, 3)]
    expected = close(centered.reshape(len(images), -1), NEAR) | close(np.concatenate(steps, axis=1), NEAR_EDGES)
    flat = images.reshape(len(images), -1)
    expected &= cdist(flat, flat) <= MOST_DIFFERENCE * np.sqrt(flat.shape[1])
    later, earlier = np.nonzero(np.tril(expected, -1))
    pairs = set(zip(found.rows, found.earlier, strict=True))
    assert pairs >= set(zip(later, earlier, strict=True))
    assert len(later) > 0
    origin = [*range(300), *originals, 9]
    assert all(origin[one] == origin[other] for one, other in pairs)


@pytest.mark.parametrize("quality", [95, 80])
def test_copies_in_smooth_photographs_stand_out_though_other_images_are_near(quality: int) -> None:
    """The copies are as far apart as different patches elsewhere in the photograph."""
    images = cut(data.moon()[..., None])
    strongest = np.argsort(-images.std(axis=(1, 2, 3)))[:40]
    copies = np.stack([as_jpeg(images[row], quality) for row in strongest])
    found = find_duplicates(of_images(np.concatenate([images, copies])))
    assert [(item.row, item.earlier_row) for item in found] == [
        (len(images) + number, row) for number, row in enumerate(strongest)
    ]


def test_all_of_a_burst_but_its_first_are_listed(digits: ImageSet) -> None:
    """Each is compared with its nearest alone, and these may all come later."""
    burst = np.stack([digits.images[0], *(noisy(digits.images[0], seed, 16) for seed in range(28))])
    images = np.concatenate([digits.images[1:], burst])
    order = np.random.default_rng(0).permutation(len(images))
    expected = np.flatnonzero(order >= 299)[1:]
    assert [item.row for item in find_duplicates(of_images(images[order]))] == expected.tolist()


def close(vectors: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.sqrt(np.maximum(2 - 2 * directions @ directions.T, 0)) <= limit


def test_copies_of_copies_are_one_group_and_others_are_alone(digits: ImageSet) -> None:
    many = [noisy(digits.images[7], seed) for seed in range(30)]
    groups = related_rows(
        None, find_copies(with_images(digits, *many, digits.images[5]), digits.take(np.arange(9))), 331
    )
    assert groups is not None
    assert len(groups) == 331
    assert len(set(groups.tolist())) == 300
    assert set(groups[300:330]) == {groups[7]}
    assert groups[330] == groups[5]


def test_a_training_image_in_the_test_set_is_a_leak(digits: ImageSet) -> None:
    test = digits.take(np.array([250, 5]))
    found = find_duplicates(digits.take(np.arange(200)), test)
    assert [(item.split, item.row, item.earlier_split, item.earlier_row) for item in found] == [("test", 1, "train", 5)]
    assert found[0].is_leak


@pytest.mark.parametrize("count", [1, 2, 9])
def test_black_images_are_identical_and_few_suffice(digits: ImageSet, count: int) -> None:
    black = replace(digits.take(np.arange(count)), images=np.zeros((count, 1, 28, 28), dtype=np.uint8))
    assert [(item.row, item.earlier_row) for item in find_duplicates(black)] == [(row, 0) for row in range(1, count)]


def test_uniform_images_of_different_brightness_are_no_copies() -> None:
    grey = np.repeat(np.arange(100, 110, dtype=np.uint8), 64).reshape(10, 1, 8, 8)
    assert find_duplicates(of_images(grey)) == []


def test_large_colour_images_are_compared_by_a_randomized_decomposition() -> None:
    """More pixels than the exact decomposition takes."""
    images = np.random.default_rng(0).integers(0, 256, (200, 3, 24, 24)).astype(np.uint8)
    images[150:] = [noisy(image, seed) for seed, image in enumerate(images[:50])]
    found = find_duplicates(of_images(images))
    assert [(item.row, item.earlier_row) for item in found] == [(150 + row, row) for row in range(50)]
