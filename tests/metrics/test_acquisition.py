"""Choosing images to label: unclear ones, of several kinds, the same ones each time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.acquisition import choose_unclear, unclearness


def mixture() -> NDArray[np.float32]:
    """1,000 clear images; 40 between the classes 0 and 1, and 10 between 2 and 3, all alike within their kind."""
    generator = np.random.default_rng(0)
    kinds = [([0.97, 0.01, 0.01, 0.01], 1000), ([0.52, 0.46, 0.01, 0.01], 40), ([0.01, 0.01, 0.48, 0.5], 10)]
    rows = np.concatenate([np.tile(kind, (count, 1)) for kind, count in kinds])
    noisy = rows * generator.uniform(0.99, 1.01, rows.shape)
    return (noisy / noisy.sum(axis=1, keepdims=True)).astype(np.float32)


def test_unclearness_is_one_less_the_margin() -> None:
    probabilities = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.2, 0.1, 0.7]], dtype=np.float32)
    assert unclearness(probabilities) == pytest.approx([1, 0, 0.5])


def test_unclear_images_of_each_kind_are_chosen_first() -> None:
    chosen = choose_unclear(mixture(), 2)
    assert (chosen >= 1000).all()
    assert len({row < 1040 for row in chosen}) == 2  # one of both kinds, however rare


def test_no_image_is_chosen_twice_and_the_same_seed_chooses_the_same() -> None:
    probabilities = mixture()
    chosen = choose_unclear(probabilities, 60)
    assert len(set(chosen.tolist())) == 60
    assert np.array_equal(choose_unclear(probabilities, 60), chosen)
    assert not np.array_equal(choose_unclear(probabilities, 60, seed=1), chosen)


def test_a_draw_follows_the_squared_distances() -> None:
    probabilities = np.array([[0.5, 0.5], [0.7, 0.3], [0.9, 0.1], [1.0, 0.0]], dtype=np.float32)
    second = [int(choose_unclear(probabilities, 2, seed)[1]) for seed in range(2000)]
    gradients = np.array([[-0.5, 0.5], [-0.3, 0.3], [-0.1, 0.1], [0.0, 0.0]])
    squares = np.minimum((gradients**2).sum(axis=1), ((gradients - gradients[0]) ** 2).sum(axis=1))
    assert np.bincount(second, minlength=4) / 2000 == pytest.approx(squares / squares.sum(), abs=0.03)


def test_a_small_pool_is_chosen_whole_the_most_unclear_first() -> None:
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]], dtype=np.float32)
    assert choose_unclear(probabilities, 9).tolist() == [1, 2, 0]


def test_images_that_are_all_alike_are_chosen_too() -> None:
    alike = np.full((9, 3), 1 / 3, dtype=np.float32)
    assert sorted(choose_unclear(alike, 4).tolist())[0] == 0
    assert len(set(choose_unclear(alike, 4).tolist())) == 4
