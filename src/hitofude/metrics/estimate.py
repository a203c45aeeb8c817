"""Estimate the accuracy of the whole ensemble on the test images, without their labels.

A training row is predicted only by the group of members that held it out, a test image by all members. So the
out-of-fold accuracy is that of such groups, and too low for the whole ensemble. Two corrections come from the test
images. The gain of the ensemble: on images that a group and the ensemble classify differently, the difference of the
calibrated probabilities of the two classes. And the ease of the test images: the same groups' mean confidence on them
less that on the training images (difference of confidences, D. Guillory et al. 2021, arXiv:2107.03315). Nothing is
chosen by these figures.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.metrics import Z_95, Accuracy, accuracy, answered, wilson_interval

MOST_GROUPS = 200


@dataclass(frozen=True, repr=False)
class Estimate:
    """The expected accuracy on the test images, with a 95 % interval for their score."""

    out_of_fold: Accuracy
    """The accuracy of the groups."""
    gain: float
    """The additional accuracy of the whole ensemble."""
    ease: float
    """The additional accuracy on the test images; negative if they are harder than the training images."""
    images: int
    """The number of test images."""

    @property
    def value(self) -> float:
        return min(1.0, max(0.0, self.out_of_fold.value + self.gain + self.ease))

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval for both samples, training rows and test images, and half of the gain and half of the ease
        as their standard errors.
        """
        rows = 1 / (1 / self.out_of_fold.total + 1 / self.images)
        low, high = wilson_interval(self.value * rows, rows)
        of_gain, of_ease = Z_95 * self.gain / 2, Z_95 * self.ease / 2
        below, above = (math.hypot(side, of_gain, of_ease) for side in (self.value - low, high - self.value))
        return max(0.0, self.value - below), min(1.0, self.value + above)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4f} (95 % interval {low:.4f} to {high:.4f})"

    def __repr__(self) -> str:
        low, high = self.interval
        return f"Estimate({self.value:.4f}, 95 % interval {low:.4f} to {high:.4f}, for {self.images:,} images)"


def estimate_ensemble(
    labels: NDArray[np.int64],
    out_of_fold: NDArray[np.float32],
    held_out: Sequence[NDArray[np.int64]],
    members: NDArray[np.float32],
) -> Estimate:
    """Estimate the accuracy of the mean of all members.

    labels: (N,); out_of_fold: (N, classes), NaN in rows that every member trained on; held_out: for each member, the
    rows it held out; members: (M, test images, classes).
    """
    known = answered(out_of_fold)
    labels, out_of_fold = labels[known], out_of_fold[known]
    temperature = fit_temperature(labels, out_of_fold)
    whole = with_temperature(members.mean(axis=0), temperature)
    groups, rows = _groups(held_out, len(known))
    found = [_gain_and_confidence(members[group].mean(axis=0), whole, temperature) for group in groups]
    gain, confidence = np.average(found, axis=0, weights=rows)
    return Estimate(
        accuracy(labels, out_of_fold.argmax(axis=1)),
        gain=float(gain),
        ease=float(confidence) - _confidence(with_temperature(out_of_fold, temperature)),
        images=len(whole),
    )


def _gain_and_confidence(
    group: NDArray[np.float32], whole: NDArray[np.float32], temperature: float
) -> tuple[float, float]:
    """Return the gain of the calibrated ensemble over a group of members, and the group's calibrated confidence."""
    of_group = np.take_along_axis(whole, group.argmax(axis=1)[:, None], axis=1)[:, 0]
    return float((whole.max(axis=1) - of_group).mean()), _confidence(with_temperature(group, temperature))


def _confidence(probabilities: NDArray[np.float32]) -> float:
    """Return the mean of the highest probabilities."""
    return float(probabilities.max(axis=1).mean(dtype=np.float64))


def _groups(held_out: Sequence[NDArray[np.int64]], count: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Return the groups of members that held out the same rows, and the number of their rows; largest first."""
    is_held_out = np.zeros((count, len(held_out)), dtype=np.bool_)
    for member, rows in enumerate(held_out):
        is_held_out[rows, member] = True
    groups, counts = np.unique(is_held_out, axis=0, return_counts=True)
    order = [index for index in np.argsort(-counts, kind="stable") if groups[index].any()][:MOST_GROUPS]
    return [groups[index].nonzero()[0] for index in order], counts[order]
