"""Metrics against scikit-learn and SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import log_loss

from hitofude.metrics.metrics import (
    accuracy,
    agreement,
    class_scores,
    confusion_matrix,
    cross_entropy,
    mcnemar,
    wilson_interval,
)


def test_the_interval_is_wilsons() -> None:
    # Brown, Cai and DasGupta 2001 and any calculator: 8 of 10.
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


@given(total=st.integers(1, 10**6), share=st.floats(0, 1))
def test_the_interval_holds_the_share_and_stays_within_0_and_1(total: int, share: float) -> None:
    right = round(share * total)
    low, high = wilson_interval(right, total)
    assert 0 <= low <= right / total <= high <= 1


def test_accuracy_counts_the_right_ones() -> None:
    found = accuracy(np.array([1, 2, 3, 3]), np.array([1, 2, 3, 4]))
    assert (found.right, found.total, found.value) == (3, 4, 0.75)
    assert "1 of 4 wrong" in str(found)


def test_an_accuracy_is_shown_in_a_line() -> None:
    shown = repr(accuracy(np.zeros(42_000, np.int64), (np.arange(42_000) < 189).astype(np.int64)))
    assert shown == "Accuracy(0.9955, 95 % interval 0.9948 to 0.9961, 189 of 42,000 wrong)"


def test_cross_entropy_is_scikit_learns_image_by_image() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), size=40).astype(np.float32)
    labels = np.random.default_rng(1).integers(5, size=40)
    losses = cross_entropy(labels, probabilities)
    assert losses.shape == (40,)
    assert losses.mean() == pytest.approx(log_loss(labels, probabilities, labels=range(5)), rel=1e-5)


def test_a_probability_of_zero_costs_much_but_not_infinitely() -> None:
    assert np.isfinite(cross_entropy(np.array([0]), np.array([[0, 1]], dtype=np.float32))).all()


@pytest.fixture
def answered() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels of five classes and answers; the last class is never answered."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 5, 400), generator.integers(0, 4, 400)


def test_the_confusion_matrix_is_scikit_learns(answered: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    assert np.array_equal(confusion_matrix(*answered, 5), sklearn_metrics.confusion_matrix(*answered))


def test_the_scores_of_classes_are_scikit_learns(answered: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    expected = sklearn_metrics.precision_recall_fscore_support(*answered, zero_division=0)
    scores = class_scores(confusion_matrix(*answered, 5))
    found = np.array([(score.precision, score.recall, score.f1, score.rows) for score in scores]).T
    assert np.allclose(found, np.stack(expected))


def test_agreement_is_the_share_of_equal_answers() -> None:
    assert agreement(np.array([[0, 1, 2, 2], [0, 1, 1, 1]])).tolist() == [[1, 0.5], [0.5, 1]]


def test_mcnemar_is_symmetric_and_1_for_equal_models() -> None:
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar(0, 0) == mcnemar(4, 4) == 1


@pytest.mark.parametrize("total", [1, 2, 17, 600, 100_000])
@pytest.mark.parametrize("share", [0, 0.1, 0.45, 0.499, 0.5, 1])
def test_mcnemar_is_scipys_binomial_test(total: int, share: float) -> None:
    first = round(share * total)
    assert mcnemar(first, total - first) == pytest.approx(binomtest(first, total).pvalue, rel=1e-9, abs=1e-300)
