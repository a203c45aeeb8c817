"""How good the whole ensemble will be on the test images, before anyone scores it.

A training row is predicted by the few members that never saw it, a test image by all. So the out-of-fold accuracy is
that of a part of the ensemble, and too low for the whole. Two things are read off the test images, which need no labels
for it. What the whole gains: where a part and the whole answer differently, the calibrated probability of the whole's
answer less that of the part's. And whether the test images are harder than the training images: how much less sure,
on average, the same parts are of them (difference of confidences, D. Guillory et al. 2021, arXiv:2107.03315). No label
of a test image is looked at, and nothing is chosen by it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.metrics import Z_95, Accuracy, accuracy, answered, wilson_interval

MOST_PARTS = 200


@dataclass(frozen=True)
class Estimate:
    """The expected accuracy on the test images, with a 95 % interval for their score."""

    out_of_fold: Accuracy
    """Of the parts."""
    gain: float
    """What the whole ensemble adds."""
    ease: float
    """What the images to predict add, below zero where they are harder than the training images."""
    images: int
    """How many are to be predicted."""

    @property
    def value(self) -> float:
        return min(1.0, max(0.0, self.out_of_fold.value + self.gain + self.ease))

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, of as many rows as give the chance of both draws, training rows and test images; half of the gain
        is taken for the error of the gain, and half of the ease for its own.
        """
        rows = 1 / (1 / self.out_of_fold.total + 1 / self.images)
        low, high = wilson_interval(self.value * rows, rows)
        of_gain, of_ease = Z_95 * self.gain / 2, Z_95 * self.ease / 2
        below, above = (math.hypot(side, of_gain, of_ease) for side in (self.value - low, high - self.value))
        return max(0.0, self.value - below), min(1.0, self.value + above)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.4f} (95 % interval {low:.4f} to {high:.4f})"


def estimate_ensemble(
    labels: NDArray[np.int64],
    out_of_fold: NDArray[np.float32],
    held_out: Sequence[NDArray[np.int64]],
    members: NDArray[np.float32],
) -> Estimate:
    """The expected accuracy of the mean of all members.

    labels: (N,); out_of_fold: (N, classes), NaN in rows that every member saw; held_out: for each member, the rows it
    never saw; members: (M, test images, classes).
    """
    known = answered(out_of_fold)
    labels, out_of_fold = labels[known], out_of_fold[known]
    temperature = fit_temperature(labels, out_of_fold)
    whole = with_temperature(members.mean(axis=0), temperature)
    parts, rows = _parts(held_out, len(known))
    found = [_compare(members[part].mean(axis=0), whole, temperature) for part in parts]
    gain, sureness = np.average(found, axis=0, weights=rows)
    return Estimate(
        accuracy(labels, out_of_fold.argmax(axis=1)),
        gain=float(gain),
        ease=float(sureness) - _confidence(with_temperature(out_of_fold, temperature)),
        images=len(whole),
    )


def _compare(part: NDArray[np.float32], whole: NDArray[np.float32], temperature: float) -> tuple[float, float]:
    """What the calibrated whole gains over a part of the ensemble, and how sure that part is when calibrated."""
    of_part = np.take_along_axis(whole, part.argmax(axis=1)[:, None], axis=1)[:, 0]
    return float((whole.max(axis=1) - of_part).mean()), _confidence(with_temperature(part, temperature))


def _confidence(probabilities: NDArray[np.float32]) -> float:
    """The mean probability of the likeliest class."""
    return float(probabilities.max(axis=1).mean(dtype=np.float64))


def _parts(held_out: Sequence[NDArray[np.int64]], count: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """The different sets of members that held the same rows out, the most frequent ones, and the rows of each."""
    is_held_out = np.zeros((count, len(held_out)), dtype=np.bool_)
    for member, rows in enumerate(held_out):
        is_held_out[rows, member] = True
    sets, counts = np.unique(is_held_out, axis=0, return_counts=True)
    order = [place for place in np.argsort(-counts, kind="stable") if sets[place].any()][:MOST_PARTS]
    return [sets[place].nonzero()[0] for place in order], counts[order]
