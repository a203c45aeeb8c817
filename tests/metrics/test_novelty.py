"""The score of novelty: distances from the classes against SciPy's, thresholds that hold what they promise."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis

from hitofude.learning.features import NoveltyScore
from hitofude.metrics.novelty import Familiar, Novelty, threshold_of

LABELS = np.repeat(np.arange(3), 400)


@pytest.fixture(scope="module")
def features() -> NDArray[np.float32]:
    """(1200, 6) of three classes with one spread, whose directions are not those of the axes."""
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(len(LABELS), 6)) @ generator.normal(size=(6, 6))
    return (mixed + 5 * LABELS[:, None]).astype(np.float32)


def scores(familiar: Familiar, features: NDArray[np.float32], probability: float = 1.0) -> NDArray[np.float32]:
    sure = torch.full((len(features), 1), probability)
    return NoveltyScore(familiar)(torch.from_numpy(features), sure)[:, 0].numpy()


def test_the_score_is_the_mean_squared_distance_of_mahalanobis_if_all_classes_spread_alike(
    features: NDArray[np.float32],
) -> None:
    familiar = Familiar.fit(features, LABELS)
    means = np.stack([features[label == LABELS].mean(axis=0) for label in range(3)])
    inverse = np.linalg.inv(np.cov((features - means[LABELS]).T))
    expected = [np.log(min(mahalanobis(row, mean, inverse) for mean in means) ** 2 / 6) for row in features[::50]]
    assert scores(familiar, features[::50]) == pytest.approx(expected, abs=0.2)


def test_features_far_from_all_classes_score_higher_than_any_known_ones(features: NDArray[np.float32]) -> None:
    familiar = Familiar.fit(features, LABELS)
    assert scores(familiar, features + 100).min() > scores(familiar, features).max()


def test_a_class_of_narrow_spread_is_left_sooner(features: NDArray[np.float32]) -> None:
    narrow = features.copy()
    narrow[LABELS == 0] = (
        features[LABELS == 0].mean(axis=0) + 0.1 * (narrow - features[LABELS == 0].mean(axis=0))[LABELS == 0]
    )
    familiar = Familiar.fit(narrow, LABELS)
    step = np.full((1, 6), 1.0, dtype=np.float32)
    of_narrow, of_wide = (narrow[label == LABELS].mean(axis=0, keepdims=True) - step for label in (0, 1))
    assert scores(familiar, of_narrow) > scores(familiar, of_wide)


def test_doubt_is_the_negative_logarithm_of_the_highest_probability(features: NDArray[np.float32]) -> None:
    familiar = Familiar.fit(features, LABELS)
    added = scores(familiar, features[:5], 0.25) - scores(familiar, features[:5])
    assert added == pytest.approx(np.full(5, np.log(4)), abs=1e-5)


def test_fewer_rows_than_features_are_no_obstacle() -> None:
    few = np.random.default_rng(1).normal(size=(8, 50)).astype(np.float32)
    familiar = Familiar.fit(few, np.arange(8) % 2)
    assert np.isfinite(scores(familiar, few)).all()


def test_constant_features_are_no_obstacle(features: NDArray[np.float32]) -> None:
    constant = np.concatenate([features, np.zeros_like(features)], axis=1)
    assert np.isfinite(scores(Familiar.fit(constant, LABELS), constant + 1)).all()


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_threshold_holds_for_new_scores_of_the_same_kind(level: float) -> None:
    """On average over draws the promised share is answered, as split conformal prediction guarantees."""
    generator = np.random.default_rng(2)
    shares = [
        (generator.normal(size=500) <= threshold_of(generator.normal(size=200), level)).mean() for _ in range(300)
    ]
    assert level - 0.005 <= np.mean(shares) <= level + 0.012


def test_a_threshold_is_a_held_out_score() -> None:
    held_out = np.arange(99, dtype=np.float32)
    assert threshold_of(held_out, 0.95) == 94
    assert threshold_of(held_out, 0.999) == 98
    assert Novelty(0, Familiar.fit(np.eye(2, dtype=np.float32), np.array([0, 1])), held_out).thresholds() == {
        "0.9": 89.0, "0.95": 94.0, "0.97": 96.0, "0.99": 98.0,
    }  # fmt: skip
