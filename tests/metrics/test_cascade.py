"""The member that answers clear images alone, chosen by rows that it did not train on."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.calibration import Cascade, join_members
from hitofude.metrics.cascade import choose_cascade

ROWS, CLASSES = 20_000, 3


def answers(
    labels: NDArray[np.int64], confidence: NDArray[np.float64], wrong: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(N, classes), right with these confidences but in some rows."""
    predicted = labels.copy()
    predicted[wrong] = (labels[wrong] + 1) % CLASSES
    probabilities = np.repeat((1 - confidence)[:, None] / (CLASSES - 1), CLASSES, axis=1)
    probabilities[np.arange(len(labels)), predicted] = confidence
    return probabilities.astype(np.float32)


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, CLASSES, ROWS)


@pytest.fixture(scope="module")
def confidence() -> NDArray[np.float64]:
    """Rising with the row, 0.5 to 1."""
    return np.linspace(0.5, 0.999, ROWS)


def test_one_answers_clear_images_and_all_the_others() -> None:
    members = np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.2, 0.8], [0.2, 0.8]]], dtype=np.float32)
    joined = join_members(members, None, Cascade(0, 0.7, 0.5, 0.0))
    assert joined == pytest.approx(np.array([[0.9, 0.1], [0.4, 0.6]]))


def test_two_halves_answer_from_the_confidence_on_that_allows_one_wrong_row(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    """20,000 rows allow two changes in 10,000 · 2; one is always added, so a single row may be wrong."""
    wrong = np.array([100, 5_000, 9_000])
    probabilities = answers(labels, confidence, wrong)
    rows = [np.arange(0, ROWS, 2), np.arange(1, ROWS, 2)]
    found = choose_cascade(labels, rows, [probabilities[own] for own in rows], "aa", [1, 1], 1e-4)
    assert found is not None
    assert confidence[5_000] < found.threshold <= confidence[5_001]
    assert found.alone == pytest.approx(1 - 5_001 / ROWS)
    assert found.changed <= 1e-4


def test_members_that_held_the_same_rows_out_need_no_labels(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    """Both are wrong alike in many rows, where all members together would be wrong too."""
    shared = np.arange(0, ROWS, 100)
    first = answers(labels, confidence, shared)
    second = answers(labels, np.full(ROWS, 0.999), np.append(shared, 7_001))
    second[8_001] = np.roll(second[8_001], 1)
    every = np.arange(ROWS)
    found = choose_cascade(labels, [every, every], [first, second], "ab", [1, 2], 1e-4)
    assert found is not None
    assert found.first == 0
    assert confidence[7_001] < found.threshold <= confidence[7_002]


def test_the_cheaper_kind_is_asked_first_by_a_member_trained_on_all_rows(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    probabilities, every, none = answers(labels, confidence, np.arange(0)), np.arange(ROWS), np.arange(0)
    rows = [every, every, none, none]
    found = choose_cascade(labels, rows, [probabilities[own] for own in rows], "abab", [5, 2, 5, 2], 1e-4)
    assert found is not None
    assert found.first == 3


@pytest.mark.parametrize("most_changed", [0.0, 0.9 / ROWS])
def test_all_are_asked_if_nothing_may_change_or_the_rows_are_too_few(
    labels: NDArray[np.int64], confidence: NDArray[np.float64], most_changed: float
) -> None:
    probabilities, every = answers(labels, confidence, np.arange(0)), np.arange(ROWS)
    assert choose_cascade(labels, [every, every], [probabilities] * 2, "aa", [1, 1], most_changed) is None


def test_all_are_asked_if_few_rows_are_clear(labels: NDArray[np.int64], confidence: NDArray[np.float64]) -> None:
    probabilities = answers(labels, confidence, np.arange(0, ROWS, 20))
    rows = [np.arange(0, ROWS, 2), np.arange(1, ROWS, 2)]
    assert choose_cascade(labels, rows, [probabilities[own] for own in rows], "aa", [1, 1], 1e-4) is None
