"""The calibration of probabilities: a temperature, and how well confidence and accuracy agree."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import cross_entropy, mean_of_members

SURE = 0.9
"""The calibrated probability from which a digit in a photo is accepted. By benchmarks/photos.py 95 % of the digits
reach it, and 49 % of printed letters; 60 % of these reach 0.8."""

COLDEST, HOTTEST = 0.05, 20.0
"""The temperatures that are searched."""


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy of rows grouped by confidence; they are equal in calibrated predictions."""

    rows: tuple[int, ...]
    """The number of rows in each group; the groups divide 0..1 evenly."""
    confidence: tuple[float, ...]
    """The mean probability of the predicted class; 0 in an empty group."""
    accuracy: tuple[float, ...]
    """The share of right predictions; 0 in an empty group."""

    @property
    def expected_calibration_error(self) -> float:
        """The mean difference between confidence and accuracy over all rows (M. Naeini et al. 2015)."""
        groups = zip(self.rows, self.confidence, self.accuracy, strict=True)
        return sum(rows * abs(confidence - right) for rows, confidence, right in groups) / sum(self.rows)


def reliability(labels: NDArray[np.int64], probabilities: NDArray[np.float32], groups: int = 10) -> Reliability:
    """Group rows by confidence. labels: (N,), N ≥ 1; probabilities: (N, classes)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    group = (confidence * groups).astype(np.int64).clip(max=groups - 1)
    rows = np.bincount(group, minlength=groups)
    right = np.bincount(group, weights=probabilities.argmax(axis=1) == labels, minlength=groups)
    summed = np.bincount(group, weights=confidence, minlength=groups)
    filled = rows.clip(min=1)
    return Reliability(tuple(rows.tolist()), tuple((summed / filled).tolist()), tuple((right / filled).tolist()))


def fit_temperature(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Return the temperature with the least mean cross-entropy (C. Guo et al. 2017, arXiv:1706.04599).

    labels: (N,); probabilities: (N, classes), of rows not trained on. One wrong answer is added, the mean over all rows
    of the runner-up being right, so that the temperature stays finite if all answers are right (Laplace's rule of
    succession). Exact zeros, of forests and neighbours or by rounding, count as half the smallest other probability.
    """
    from scipy.optimize import minimize_scalar

    count = len(labels)
    if not count:
        return 1.0
    filled = fill_zeros(probabilities)
    runners_up = np.argpartition(filled, -2, axis=1)[:, -2]

    def loss(log_temperature: float) -> float:
        at_temperature = with_temperature(filled, float(np.exp(log_temperature)))
        added = cross_entropy(runners_up, at_temperature).mean(dtype=np.float64)
        return float(cross_entropy(labels, at_temperature).sum(dtype=np.float64) + added) / (count + 1)

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def fill_zeros(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace exact zeros of (N, classes) probabilities by half the smallest other one; rows sum to one again."""
    is_zero = probabilities <= 0
    if not is_zero.any():
        return probabilities
    smallest = probabilities[~is_zero].min(initial=1.0)
    filled = np.where(is_zero, max(smallest / 2, np.finfo(np.float32).tiny), probabilities)
    rows: NDArray[np.float32] = (filled / filled.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


def with_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Divide the logarithms of (N, classes) probabilities by a temperature; above one lowers the confidence.

    A row's values do not depend on the rows beside it, and its likeliest class stays the same: of two that become equal
    by rounding, the likelier stays ahead. Rows of NaN stay so.
    """
    logits = np.log(probabilities.astype(np.float64).clip(min=np.finfo(np.float32).tiny)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    calibrated: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    likeliest = probabilities.argmax(axis=1)
    rows = np.flatnonzero(calibrated.argmax(axis=1) != likeliest)
    calibrated[rows, likeliest[rows]] = np.nextafter(calibrated[rows].max(axis=1), np.float32(1))
    return calibrated


@dataclass(frozen=True)
class Stage:
    """A step of a cascade: one more member is asked about the images that were not clear before."""

    member: int
    """Its number."""
    threshold: float
    """The mean of all members asked so far is the answer if its highest raw probability, after test-time augmentation,
    reaches this."""
    answered: float
    """The share of the out-of-fold rows that are answered here."""

    def is_clear(self, mean: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(N,) whether an image needs no further member. mean: (N, classes), of all members asked so far, raw."""
        clear: NDArray[np.bool_] = mean.max(axis=1) >= np.float32(self.threshold)
        return clear


@dataclass(frozen=True)
class Cascade:
    """The rule by which members are asked one after another until an image is clear; if it never is, all are asked."""

    stages: tuple[Stage, ...]
    """Without the last step, which asks all members that are left."""
    changed: float
    """The expected share of all images whose label would be another one if all members were asked."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled cascade, also one of an earlier version, which had a single stage."""
        if "first" in state:
            state = {
                "stages": (Stage(state["first"], state["threshold"], state["alone"]),),
                "changed": state["changed"],
            }
        self.__dict__.update(state)

    @staticmethod
    def upgraded(content: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return a cascade read from JSON, also one of an earlier version, as this version writes it."""
        if content is None or "first" not in content:
            return content
        stage = {"member": content["first"], "threshold": content["threshold"], "answered": content["alone"]}
        return {"stages": [stage], "changed": content["changed"]}

    @property
    def answered(self) -> float:
        """The share of the out-of-fold rows that are answered without asking all members."""
        return sum(stage.answered for stage in self.stages)

    def groups(self, members: int) -> list[NDArray[np.int64]]:
        """Return the members asked at each stage, and last all others. members: how many there are."""
        asked = np.array([stage.member for stage in self.stages], dtype=np.int64)
        return [*asked[:, None], np.setdiff1d(np.arange(members), asked)]

    def means(self, members: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return for each stage (N, classes), the mean of all members asked so far.

        members: (members, N, classes), raw; those of members that were not asked about an image count for nothing if
        the image is clear before.
        """
        asked = [stage.member for stage in self.stages]
        return [mean_of_members(members[asked[: count + 1]]) for count in range(len(asked))]

    def count_asked(self, members: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N,) the number of members that are asked about each image. members: as for `means`."""
        asked = np.full(members.shape[1], len(members), dtype=np.int64)
        steps = list(enumerate(zip(self.stages, self.means(members), strict=True), 1))
        for count, (stage, mean) in reversed(steps):
            asked[stage.is_clear(mean)] = count
        return asked

    def join(self, members: NDArray[np.float32]) -> NDArray[np.float32]:
        """(members, N, classes) → (N, classes): the mean of the members that are asked about each image, raw."""
        joined = mean_of_members(members)
        for stage, mean in reversed(list(zip(self.stages, self.means(members), strict=True))):
            joined = np.where(stage.is_clear(mean)[:, None], mean, joined)
        return joined


def join_members(
    members: NDArray[np.float32], temperature: float | None, cascade: Cascade | None = None
) -> NDArray[np.float32]:
    """(members, N, classes) → (N, classes): the mean at a temperature, or as it is for None.

    cascade: the mean is that of the members that are asked about an image. Every output of a run passes through here,
    so one image has one probability.
    """
    joined = mean_of_members(members) if cascade is None else cascade.join(members)
    return joined if temperature is None else with_temperature(joined, temperature)
