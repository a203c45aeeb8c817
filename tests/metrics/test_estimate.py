"""The estimate of the whole ensemble, on draws in which the truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.estimate import Estimate, estimate_ensemble
from hitofude.metrics.metrics import Accuracy

CLASSES, MEMBERS = 5, 4


def answers(labels: NDArray[np.int64], members: int, seed: int, clearness: float = 4) -> NDArray[np.float32]:
    """(members, N, classes) probabilities: an image's own noise, which all see, and each member's."""
    generator = np.random.default_rng(seed)
    own = generator.normal(0, 1.0, (len(labels), CLASSES))
    each = generator.normal(0, 1.0, (members, len(labels), CLASSES))
    logits = clearness * np.eye(CLASSES)[labels] + own + each
    powers = np.exp(logits)
    probabilities: NDArray[np.float32] = (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)
    return probabilities


def simulated(seed: int, clearness: float = 4, rows: int = 4_000, images: int = 4_000) -> tuple[Estimate, float]:
    """The estimate, and the whole ensemble's true accuracy on images to predict of another clearness."""
    labels, hidden = np.random.default_rng(seed).integers(0, CLASSES, (2, rows))
    folds = np.array_split(np.arange(rows), MEMBERS)
    out_of_fold = answers(labels, 1, seed + 1)[0]
    of_test = answers(hidden[:images], MEMBERS, seed + 2, clearness)
    right = (of_test.mean(axis=0).argmax(axis=1) == hidden[:images]).mean()
    return estimate_ensemble(labels, out_of_fold, folds, of_test), float(right)


def test_the_interval_holds_the_true_score_of_the_whole() -> None:
    inside = [estimate.interval[0] <= true <= estimate.interval[1] for estimate, true in map(simulated, range(40))]
    assert np.mean(inside) >= 0.9


def test_the_gain_is_about_the_true_one_and_out_of_fold_alone_is_too_low() -> None:
    found = [simulated(seed) for seed in range(20)]
    error = np.mean([estimate.value - true for estimate, true in found])
    without_gain = np.mean([estimate.out_of_fold.value - true for estimate, true in found])
    assert abs(error) < 0.4 * abs(without_gain)
    assert without_gain < 0


def test_harder_images_to_predict_are_noticed_without_their_labels() -> None:
    found = [simulated(seed, clearness=3.6) for seed in range(40)]
    errors = [abs(estimate.value - true) for estimate, true in found]
    errors_of_out_of_fold = [abs(estimate.out_of_fold.value + estimate.gain - true) for estimate, true in found]
    assert all(estimate.ease < 0 for estimate, _ in found)
    assert np.mean(errors) < 0.5 * np.mean(errors_of_out_of_fold)
    assert np.mean([estimate.interval[0] <= true <= estimate.interval[1] for estimate, true in found]) >= 0.9


def test_one_member_gains_nothing() -> None:
    labels = np.random.default_rng(0).integers(0, CLASSES, 500)
    members = answers(labels, 1, 1)
    out_of_fold = members[0].copy()
    out_of_fold[100:] = np.nan
    estimate = estimate_ensemble(labels, out_of_fold, [np.arange(100)], members)
    assert estimate.gain == 0
    assert estimate.out_of_fold.total == 100


def test_fewer_images_to_predict_make_the_score_less_certain() -> None:
    few, many = (Estimate(Accuracy(990, 1000), 0.001, 0.0, images) for images in (100, 10_000))
    width = [high - low for low, high in (few.interval, many.interval)]
    assert width[0] > 2 * width[1]


@pytest.mark.parametrize("right", [0, 1000])
def test_an_interval_stays_within_zero_and_one(right: int) -> None:
    low, high = Estimate(Accuracy(right, 1000), 0.0, 0.0, 50).interval
    assert 0 <= low < high <= 1


def test_an_estimate_is_shown_in_a_line() -> None:
    shown = repr(Estimate(Accuracy(990, 1000), 0.001, 0.0, 28_000))
    assert shown == "Estimate(0.9910, 95 % interval 0.9827 to 0.9954, for 28,000 images)"
