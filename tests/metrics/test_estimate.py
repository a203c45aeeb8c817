"""The estimate of the whole ensemble, on draws in which the truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.estimate import EnsembleAnswers, Estimate, estimate_ensemble
from hitofude.metrics.metrics import Accuracy
from hitofude.metrics.whole_ensemble import fit_temperatures

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


def estimated(
    labels: NDArray[np.int64],
    out_of_fold: NDArray[np.float32],
    held_out: NDArray[np.bool_],
    members: NDArray[np.float32],
) -> Estimate:
    temperatures = fit_temperatures(labels, out_of_fold, held_out, members)
    return estimate_ensemble(labels, EnsembleAnswers(out_of_fold, held_out, members), temperatures)


def simulated(
    seed: int, clearness: float = 4, rows: int = 4_000, images: int = 4_000, of_training: float = 4
) -> tuple[Estimate, float]:
    """The estimate, and the whole ensemble's true accuracy on images to predict, which may be of another clearness."""
    generator = np.random.default_rng(seed)
    labels, hidden = generator.integers(0, CLASSES, rows), generator.integers(0, CLASSES, images)
    held_out = (np.arange(rows) * MEMBERS // rows)[:, None] == np.arange(MEMBERS)
    out_of_fold = answers(labels, 1, seed + 1, of_training)[0]
    of_test = answers(hidden, MEMBERS, seed + 2, clearness)
    right = (of_test.mean(axis=0).argmax(axis=1) == hidden).mean()
    return estimated(labels, out_of_fold, held_out, of_test), float(right)


def test_the_interval_holds_the_true_score_of_the_whole() -> None:
    inside = [estimate.interval[0] <= true <= estimate.interval[1] for estimate, true in map(simulated, range(20))]
    assert np.mean(inside) >= 0.9


def test_the_gain_is_about_the_true_one_and_out_of_fold_alone_is_too_low() -> None:
    found = [simulated(seed) for seed in range(20)]
    error = np.mean([estimate.value - true for estimate, true in found])
    without_gain = np.mean([estimate.out_of_fold.value - true for estimate, true in found])
    assert abs(error) < 0.4 * abs(without_gain)
    assert without_gain < 0


def test_harder_images_to_predict_are_noticed_without_their_labels() -> None:
    found = [simulated(seed, clearness=3.6) for seed in range(20)]
    errors = [abs(estimate.value - true) for estimate, true in found]
    errors_of_out_of_fold = [abs(estimate.out_of_fold.value + estimate.gain - true) for estimate, true in found]
    assert all(estimate.ease < -estimate.ease_by_chance for estimate, _ in found)
    assert np.mean(errors) < 0.5 * np.mean(errors_of_out_of_fold)
    assert np.mean([estimate.interval[0] <= true <= estimate.interval[1] for estimate, true in found]) >= 0.9


def test_weak_networks_gain_much_and_the_estimate_knows() -> None:
    found = [simulated(seed, clearness=1.5, of_training=1.5) for seed in range(20)]
    gains = [true - estimate.out_of_fold.value for estimate, true in found]
    errors = [estimate.value - true for estimate, true in found]
    assert np.mean(gains) > 0.05
    assert abs(np.mean(errors)) < 0.25 * np.mean(gains)
    assert np.mean([estimate.interval[0] <= true <= estimate.interval[1] for estimate, true in found]) >= 0.9


def test_members_that_learned_the_images_do_not_make_them_look_easier() -> None:
    """Two members for each fold, of which the second learned from the images to predict, and is surer of them."""
    labels, hidden = (np.random.default_rng(seed).integers(0, CLASSES, 4_000) for seed in (0, 1))
    held_out = (np.arange(4_000) * MEMBERS // 4_000)[:, None] == np.arange(MEMBERS)
    out_of_fold, of_test = answers(labels, 1, 2)[0], answers(hidden, MEMBERS, 3)
    surer = of_test**2 / (of_test**2).sum(axis=2, keepdims=True)
    unseen = EnsembleAnswers(out_of_fold, held_out, of_test)
    both = EnsembleAnswers(out_of_fold, np.tile(held_out, 2), np.concatenate([of_test, surer]))
    none = EnsembleAnswers(out_of_fold, held_out[:, :0], of_test[:0])
    temperatures = fit_temperatures(labels, out_of_fold, both.held_out, None)
    usual = estimate_ensemble(labels, unseen, temperatures)
    assert estimate_ensemble(labels, both, temperatures).ease > usual.ease + usual.ease_by_chance
    assert estimate_ensemble(labels, both, temperatures, unseen=unseen).ease == pytest.approx(usual.ease)
    assert estimate_ensemble(labels, both, temperatures, unseen=none).ease == 0


def test_one_member_gains_nothing() -> None:
    labels = np.random.default_rng(0).integers(0, CLASSES, 500)
    members = answers(labels, 1, 1)
    out_of_fold = members[0].copy()
    out_of_fold[100:] = np.nan
    estimate = estimated(labels, out_of_fold, (np.arange(500) < 100)[:, None], members)
    assert estimate.gain == pytest.approx(0, abs=1e-9)
    assert estimate.out_of_fold.total == 100


def test_fewer_images_to_predict_make_the_score_less_certain() -> None:
    few, many = (simulated(0, images=images)[0].interval for images in (100, 4_000))
    assert few[1] - few[0] > 1.5 * (many[1] - many[0])


@pytest.mark.parametrize("clearness", [-9, 30])
def test_an_interval_stays_within_zero_and_one(clearness: float) -> None:
    estimate, true = simulated(0, clearness, rows=200, images=50, of_training=clearness)
    low, high = estimate.interval
    assert 0 <= low <= estimate.value <= high <= 1
    assert low <= true <= high
    assert low < high


def estimate_of(rows: int, ease: float = 0.0, by_chance: float = 0.001) -> Estimate:
    return Estimate(Accuracy(rows - rows // 100, rows), 0.001, ease, by_chance, (0.9827, 0.9954), images=28_000)


def test_an_estimate_from_few_rows_or_for_other_images_is_doubted_with_the_reason() -> None:
    assert estimate_of(1_000).doubt is None
    assert estimate_of(1_000, ease=-0.04).doubt is None
    assert "only 60 training images were held out" in str(estimate_of(60).doubt)
    assert "much harder than the training images" in str(estimate_of(1_000, ease=-0.2).doubt)
    assert estimate_of(1_000, ease=-0.06, by_chance=0.05).doubt is None


def test_an_estimate_is_shown_in_a_line() -> None:
    assert repr(estimate_of(1_000)) == "Estimate(0.9910, 95 % interval 0.9827 to 0.9954, for 28,000 images)"
