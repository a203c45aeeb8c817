"""How good the whole ensemble will be on the test images, before anyone scores it.

A training row is predicted by the few members that never saw it, a test image by all. So the out-of-fold accuracy is
that of a part of the ensemble, and too low for the whole. What the whole gains is read off the test images, which need
no labels for it: where a part and the whole answer differently, the gain is the calibrated probability of the whole's
answer less that of the part's. No label of a test image is looked at, and nothing is chosen by it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.learning.calibration import fit_temperature, with_temperature
from hitofude.learning.metrics import Z_95, Accuracy, accuracy, wilson_interval

MOST_PARTS = 200


@dataclass(frozen=True)
class Estimate:
    """The expected accuracy on the test images, with a 95 % interval for their score."""

    out_of_fold: Accuracy
    """Of the parts."""
    gain: float
    """What the whole ensemble adds."""
    images: int
    """How many are to be predicted."""

    @property
    def value(self) -> float:
        return min(1.0, self.out_of_fold.value + self.gain)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, of as many rows as give the chance of both draws, training rows and test images; half of the gain
        is taken for the error of the gain.
        """
        rows = 1 / (1 / self.out_of_fold.total + 1 / self.images)
        low, high = wilson_interval(self.value * rows, rows)
        of_gain = Z_95 * self.gain / 2
        below, above = math.hypot(self.value - low, of_gain), math.hypot(high - self.value, of_gain)
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
    known = ~np.isnan(out_of_fold[:, 0])
    temperature = fit_temperature(labels[known], out_of_fold[known])
    whole = members.mean(axis=0)
    calibrated = with_temperature(whole, temperature)
    best = calibrated.max(axis=1)
    parts, weights = _parts(held_out, len(labels))
    gains = [
        (best - np.take_along_axis(calibrated, answer[:, None], axis=1)[:, 0]).mean()
        for answer in (members[part].mean(axis=0).argmax(axis=1) for part in parts)
    ]
    return Estimate(
        accuracy(labels[known], out_of_fold[known].argmax(axis=1)),
        float(np.average(gains, weights=weights)),
        len(whole),
    )


def _parts(held_out: Sequence[NDArray[np.int64]], count: int) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """The different sets of members that held the same rows out, the most frequent ones, and the rows of each."""
    is_held_out = np.zeros((count, len(held_out)), dtype=np.bool_)
    for member, rows in enumerate(held_out):
        is_held_out[rows, member] = True
    sets, counts = np.unique(is_held_out, axis=0, return_counts=True)
    order = [place for place in np.argsort(-counts, kind="stable") if sets[place].any()][:MOST_PARTS]
    return [sets[place].nonzero()[0] for place in order], counts[order]
