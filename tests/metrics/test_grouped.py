"""The interval of an accuracy whose rows belong together."""

import numpy as np
import pytest

from hitofude.metrics.grouped import effective_rows, grouped_accuracy
from hitofude.metrics.metrics import accuracy


def test_rows_that_are_alone_count_fully() -> None:
    is_right = np.arange(100) % 10 > 0
    assert effective_rows(is_right, np.arange(100)) == 100
    labels = is_right.astype(np.int64)
    assert grouped_accuracy(labels, np.ones(100, dtype=np.int64), None) == accuracy(
        labels, np.ones(100, dtype=np.int64)
    )


def test_rows_that_agree_entirely_count_as_their_groups() -> None:
    """400 groups of eight, each all right or all wrong; so many groups hardly need Student's quantile."""
    is_right = np.repeat(np.random.default_rng(0).random(400) < 0.8, 8)
    assert effective_rows(is_right, np.repeat(np.arange(400), 8)) == pytest.approx(400, rel=0.02)


@pytest.mark.parametrize("is_right", [np.ones(320, dtype=np.bool_), np.zeros(320, dtype=np.bool_)])
def test_if_all_rows_are_right_or_wrong_they_count_as_their_groups(is_right: np.ndarray) -> None:
    assert 30 < effective_rows(is_right, np.repeat(np.arange(40), 8)) < 40


@pytest.mark.parametrize(("agreement", "groups"), [(0.0, 40), (0.1, 40), (0.3, 40), (0.3, 10)])
def test_the_interval_covers_the_truth_of_new_groups(agreement: float, groups: int) -> None:
    """Simulated: the accuracy of a group has the beta distribution, with the mean 0.9."""
    generator, covered = np.random.default_rng(1), 0
    of_row = np.repeat(np.arange(groups), 8)
    for _ in range(400):
        strength = 1 / agreement - 1 if agreement else 1e9
        of_group = generator.beta(0.9 * strength, 0.1 * strength, groups)
        predicted = (generator.random(len(of_row)) < of_group[of_row]).astype(np.int64)
        low, high = grouped_accuracy(np.ones(len(of_row), dtype=np.int64), predicted, of_row).interval
        covered += low <= 0.9 <= high
    assert 0.92 <= covered / 400 <= 0.995
