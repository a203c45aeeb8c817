"""Estimate the accuracy of the whole ensemble on the test images, without their labels.

A training row is predicted only by the group of members that held it out, a test image by all members. So the
out-of-fold accuracy is that of such groups, and too low for the whole ensemble. What is known of the groups, though,
calibrates the ensemble: at the right temperature, the ensemble's probabilities of the groups' answers on the test
images must average to the groups' accuracy. Its mean confidence at that temperature is its expected accuracy.

Two parts are added to the out-of-fold accuracy. The ease of the test images: the same groups' mean confidence on them
less that on the training images (difference of confidences, D. Guillory et al. 2021, arXiv:2107.03315). And the gain of
the ensemble over its groups at the temperature. Nothing is chosen by these figures. benchmarks/estimates.py compares
estimates and intervals with the truth of hundreds of trainings, on which the constants below were chosen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.grouped import grouped_accuracy
from hitofude.metrics.metrics import Z_95, Accuracy, answered, wilson_interval
from hitofude.metrics.whole_ensemble import MemberGroup, member_groups

FEWEST_ROWS = 100
LEAST_ACCURACY = 0.3
"""Fewer held-out rows, or a lower accuracy on them, allow no estimate: ensembles of such networks gain erratically."""
LARGEST_EASE = 0.05
"""The ease, if it is no chance, beyond which the test images are of another kind than the training images."""
SPREAD = 0.5
"""The standard deviation expected between the logarithms of the ensemble's temperature and the groups'."""
GAIN_ERROR = 0.3
"""The standard error of the gain, as a share of it, from benchmarks/estimates.py."""


@dataclass(frozen=True, repr=False)
class Estimate:
    """The expected accuracy on the test images, with a 95 % interval for their score."""

    out_of_fold: Accuracy
    """The accuracy of the groups."""
    gain: float
    """The additional accuracy of the whole ensemble."""
    ease: float
    """The additional accuracy on the test images; negative if they are harder than the training images."""
    ease_by_chance: float
    """The ease that chance alone explains, two standard errors."""
    interval: tuple[float, float]
    """The interval for the score: it accounts for the draws of training rows and test images, and for the gain."""
    images: int
    """The number of test images."""

    @property
    def value(self) -> float:
        return min(1.0, max(0.0, self.out_of_fold.value + self.gain + self.ease))

    @property
    def doubt(self) -> str | None:
        """The reason why the estimate cannot be trusted, if there is one."""
        if self.out_of_fold.total < FEWEST_ROWS:
            return f"only {self.out_of_fold.total} training images were held out; {FEWEST_ROWS} are needed"
        if self.out_of_fold.value < LEAST_ACCURACY:
            return f"the networks are too weak: {self.out_of_fold.value:.0%} of the held-out training images are right"
        if abs(self.ease) > max(LARGEST_EASE, 2 * self.ease_by_chance):
            harder = "easier" if self.ease > 0 else "harder"
            change = f"the networks' mean confidence differs by {self.ease:+.3f}"
            return f"the images to predict look much {harder} than the training images: {change}"
        return None

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4f} (95 % interval {low:.4f} to {high:.4f})"

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Estimate({self.value:.4f}, 95 % interval {low:.4f} to {high:.4f}, for {self.images:,} images)"


def estimate_ensemble(
    labels: NDArray[np.int64],
    out_of_fold: NDArray[np.float32],
    held_out: NDArray[np.bool_],
    members: NDArray[np.float32],
    related: NDArray[np.int64] | None = None,
) -> Estimate:
    """Estimate the accuracy of the mean of all members.

    labels: (N,); out_of_fold: (N, classes), NaN in rows that every member trained on; held_out: (N, members) whether a
    member held a row out; members: (M, test images, classes). All probabilities uncalibrated.
    related: (N,) the number of each row's group, if rows belong together; see hitofude.metrics.grouped.
    """
    known = answered(out_of_fold)
    labels, out_of_fold = labels[known], out_of_fold[known]
    found = grouped_accuracy(labels, out_of_fold.argmax(axis=1), None if related is None else related[known])
    temperature = fit_temperature(labels, out_of_fold)
    votes, confidence = _answers(members, member_groups(held_out), temperature)
    confidences = with_temperature(out_of_fold, temperature).max(axis=1)
    ease = confidence - float(confidences.mean(dtype=np.float64))
    by_chance = 2 * float(confidences.std()) * math.sqrt(1 / found.independent_rows + 1 / len(votes))
    ensemble = _Ensemble(members.mean(axis=0), votes, temperature, found.independent_rows)
    value, low, high = (share + ease + ensemble.gain(share + ease) for share in (found.value, *found.interval))
    gain = value - found.value - ease
    below, above = (max(side, 0.5 / len(votes)) for side in _from_images(value, len(votes)))
    of_gain, of_ease = Z_95 * GAIN_ERROR * gain, max(0.0, abs(ease) - by_chance)
    below, above = (math.hypot(*parts, of_gain, of_ease) for parts in ((value - low, below), (high - value, above)))
    interval = max(0.0, min(1.0, value) - below), min(1.0, max(0.0, value) + above)
    return Estimate(found, gain, ease, by_chance, interval, images=len(votes))


class _Ensemble:
    """The whole ensemble's probabilities of test images, and its groups' answers."""

    def __init__(
        self, probabilities: NDArray[np.float32], votes: NDArray[np.float32], temperature: float, rows: float
    ) -> None:
        """probabilities: (N, classes), uncalibrated; votes: (N, classes) the share of the groups with this answer.

        temperature: of the groups; rows: the held-out rows that their accuracy was found on.
        """
        self._probabilities, self._votes, self._temperature, self._rows = probabilities, votes, temperature, rows

    def gain(self, of_groups: float) -> float:
        """Return the gain over the groups if their accuracy on the test images is `of_groups`."""
        from scipy.optimize import minimize_scalar

        share = min(max(of_groups, 0.5 / self._rows), 1 - 0.5 / self._rows)
        variance = share * (1 - share) / self._rows

        def unlikeliness(log_ratio: float) -> float:
            """Minus twice the log posterior of a temperature, given as its log ratio to the groups'."""
            _, found = self._at(log_ratio)
            return (found - of_groups) ** 2 / variance + (log_ratio / SPREAD) ** 2

        found = minimize_scalar(unlikeliness, bounds=(-2.0, 1.0), method="bounded", options={"xatol": 1e-3})
        whole, groups = self._at(float(found.x))
        return whole - groups

    def _at(self, log_ratio: float) -> tuple[float, float]:
        """Return the ensemble's mean probabilities of its own answers and of the groups' at a temperature."""
        calibrated = with_temperature(self._probabilities, self._temperature * math.exp(log_ratio))
        of_groups = np.einsum("nc,nc->n", calibrated, self._votes).mean(dtype=np.float64)
        return _confidence(calibrated), float(of_groups)


def _answers(
    members: NDArray[np.float32], groups: Sequence[MemberGroup], temperature: float
) -> tuple[NDArray[np.float32], float]:
    """Return the groups' answers as (N, classes) shares, and their mean confidence at the temperature."""
    votes, confidence = np.zeros(members.shape[1:], dtype=np.float32), 0.0
    images = np.arange(len(votes))
    for group in groups:
        probabilities = members[group.members].mean(axis=0)
        votes[images, probabilities.argmax(axis=1)] += group.share
        confidence += group.share * _confidence(with_temperature(probabilities, temperature))
    return votes, confidence


def _from_images(value: float, images: int) -> tuple[float, float]:
    """Return how far below and above the accuracy the score of so many images may lie."""
    share = min(max(value, 0.0), 1.0)
    low, high = wilson_interval(share * images, images)
    return share - low, high - share


def _confidence(probabilities: NDArray[np.float32]) -> float:
    """Return the mean of the highest probabilities."""
    return float(probabilities.max(axis=1).mean(dtype=np.float64))
