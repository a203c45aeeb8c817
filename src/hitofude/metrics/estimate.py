"""Estimate the accuracy of the whole ensemble on the test images, without their labels.

A training row is predicted only by the group of members that held it out, a test image by all members. So the out-of-
fold accuracy is that of such groups, and too low for the whole ensemble. Two corrections come from the test images.
The gain of the ensemble: on images that a group and the ensemble classify differently, the difference of the
ensemble's calibrated probabilities of the two classes. It has a temperature of its own, from what is known of the
groups (hitofude.metrics.whole_ensemble): at theirs the gain of weak networks would be half the true one. And the ease
of the test images: the groups' mean confidence on them less that on the training images (difference of confidences, D.
Guillory et al. 2021, arXiv:2107.03315).

Nothing is chosen by these figures. benchmarks/estimates.py compares estimates and intervals with the truth of hundreds
of trainings, on which the constants below were chosen.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import counted
from hitofude.language.translation import note, say
from hitofude.metrics.calibration import Cascade, fit_temperature, join_members, with_temperature
from hitofude.metrics.grouped import grouped_accuracy
from hitofude.metrics.metrics import Z_95, Accuracy, answered, wilson_interval
from hitofude.metrics.whole_ensemble import Temperatures, member_groups

FEWEST_ROWS = 100
LEAST_ACCURACY = 0.3
"""Fewer held-out rows, or a lower accuracy on them, allow no estimate: ensembles of such networks gain erratically."""
LARGEST_EASE = 0.05
"""The ease, if it is no chance, beyond which the test images are of another kind than the training images."""
GAIN_ERROR = 0.4
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
            return note(
                "only {found} training images were held out; {needed} are needed",
                found=self.out_of_fold.total, needed=FEWEST_ROWS,
            )  # fmt: skip
        if self.out_of_fold.value < LEAST_ACCURACY:
            return note(
                "the networks are too weak: {share:.0%} of the held-out training images are right",
                share=self.out_of_fold.value,
            )
        if abs(self.ease) > max(LARGEST_EASE, 2 * self.ease_by_chance):
            harder = "easier" if self.ease > 0 else "harder"
            return note(
                "the images to predict look much {harder} than the training images: the networks' mean confidence "
                "differs by {ease:+.3f}",
                harder=harder, ease=self.ease,
            )  # fmt: skip
        return None

    def __str__(self) -> str:
        low, high = self.interval
        return say("{value:.4f} (95 % interval {low:.4f} to {high:.4f})", value=self.value, low=low, high=high)

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Estimate({self.value:.4f}, 95 % interval {low:.4f} to {high:.4f}, for {counted(self.images, 'image')})"


@dataclass(frozen=True, eq=False)
class EnsembleAnswers:
    """The raw answers of members to rows that they held out, and to the test images."""

    out_of_fold: NDArray[np.float32]
    """(N, classes), the mean over the members that held a row out; NaN in rows that all of them trained on."""
    held_out: NDArray[np.bool_]
    """(N, M), which members held a row out."""
    members: NDArray[np.float32]
    """(M, test images, classes)"""


def estimate_ensemble(
    labels: NDArray[np.int64],
    answers: EnsembleAnswers,
    temperatures: Temperatures,
    related: NDArray[np.int64] | None = None,
    cascade: Cascade | None = None,
    unseen: EnsembleAnswers | None = None,
) -> Estimate:
    """Estimate the accuracy of all members together.

    labels: (N,). answers: of all members. temperatures: from fit_temperatures of the same. related: (N,) the number of
    each row's group, if rows belong together; see hitofude.metrics.grouped. cascade: the rule by which all members
    answer. unseen: if members learned from the test images, the answers of those that did not. The ease is by these,
    because the others are surer of images that they learned; it is 0 if there are none.
    """
    known, images = answered(answers.out_of_fold), answers.members.shape[1]
    predicted = answers.out_of_fold[known].argmax(axis=1)
    found = grouped_accuracy(labels[known], predicted, None if related is None else related[known])
    gain = _gain(answers, temperatures, cascade)
    ease = _ease(labels, answers if unseen is None else unseen)
    confidences = with_temperature(answers.out_of_fold[known], temperatures.out_of_fold).max(axis=1)
    by_chance = 2 * float(confidences.std()) * math.sqrt(1 / found.independent_rows + 1 / images)
    value = min(1.0, max(0.0, found.value + ease + gain))
    of_gain, of_ease = Z_95 * GAIN_ERROR * gain, max(0.0, abs(ease) - by_chance)
    from_rows, from_images = _sides(found.value, found.interval), _sides(value, _interval_of(value, images))
    below, above = (math.hypot(*both, of_gain, of_ease) for both in zip(from_rows, from_images, strict=True))
    return Estimate(found, gain, ease, by_chance, (max(0.0, value - below), min(1.0, value + above)), images)


def estimate_alike(
    labels: NDArray[np.int64], out_of_fold: NDArray[np.float32], images: int, related: NDArray[np.int64] | None = None
) -> Estimate:
    """Estimate the accuracy of members on all rows, if they predict without those that held rows out.

    They are expected to be as accurate as those, without a gain. labels, out_of_fold, related: as for
    estimate_ensemble; images: the number of test images.
    """
    known = answered(out_of_fold)
    answers = out_of_fold[known].argmax(axis=1)
    found = grouped_accuracy(labels[known], answers, None if related is None else related[known])
    rows, score = _sides(found.value, found.interval), _sides(found.value, _interval_of(found.value, images))
    below, above = (math.hypot(*both) for both in zip(rows, score, strict=True))
    return Estimate(found, 0.0, 0.0, 0.0, (max(0.0, found.value - below), min(1.0, found.value + above)), images)


def _gain(answers: EnsembleAnswers, temperatures: Temperatures, cascade: Cascade | None) -> float:
    """Return the gain of the calibrated ensemble over the groups, on the test images."""
    whole, gain = join_members(answers.members, temperatures.ensemble, cascade), 0.0
    for group in member_groups(answers.held_out):
        of_group = join_members(answers.members[group.members], None).argmax(axis=1)
        of_answers = np.take_along_axis(whole, of_group[:, None], axis=1)[:, 0]
        gain += group.share * float((whole.max(axis=1) - of_answers).mean(dtype=np.float64))
    return gain


def _ease(labels: NDArray[np.int64], answers: EnsembleAnswers) -> float:
    """Return the groups' mean confidence on the test images less that on the rows that they held out."""
    if not len(answers.members):
        return 0.0
    known = answered(answers.out_of_fold)
    temperature = fit_temperature(labels[known], answers.out_of_fold[known])
    confidence = 0.0
    for group in member_groups(answers.held_out):
        of_group = join_members(answers.members[group.members], temperature)
        confidence += group.share * float(of_group.max(axis=1).mean(dtype=np.float64))
    own = with_temperature(answers.out_of_fold[known], temperature).max(axis=1)
    return confidence - float(own.mean(dtype=np.float64))


def _interval_of(value: float, images: int) -> tuple[float, float]:
    """Return the interval for the score of so many images, half an image wide at least to each side."""
    low, high = wilson_interval(value * images, images)
    return min(low, value - 0.5 / images), max(high, value + 0.5 / images)


def _sides(value: float, interval: tuple[float, float]) -> tuple[float, float]:
    return value - interval[0], interval[1] - value
