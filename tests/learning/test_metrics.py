import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from hitofude.learning.metrics import accuracy, cross_entropy, wilson_interval


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


def test_cross_entropy_is_scikit_learns_image_by_image() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), size=40).astype(np.float32)
    labels = np.random.default_rng(1).integers(5, size=40)
    losses = cross_entropy(labels, probabilities)
    assert losses.shape == (40,)
    assert losses.mean() == pytest.approx(log_loss(labels, probabilities, labels=range(5)), rel=1e-5)


def test_a_probability_of_zero_costs_much_but_not_infinitely() -> None:
    assert np.isfinite(cross_entropy(np.array([0]), np.array([[0, 1]], dtype=np.float32))).all()
