"""From the members that held a row out to the whole ensemble: its temperature, and its prediction sets.

Labels tell how good the out-of-fold probabilities are, but each of these comes from the few members that held its row
out; the mean of all members is less sure and more often right. Images without labels show both side by side. The whole
ensemble is calibrated if it judges the few as the labels do: at its temperature it expects of them the log loss that
their own calibrated probabilities expect, and its sets hold, by its probabilities, the share of the true labels that
their sets hold. `benchmarks/doors.py` measures both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import RecipeError
from hitofude.metrics.calibration import COLDEST, HOTTEST, Cascade, fit_temperature, join_members, with_temperature
from hitofude.metrics.metrics import answered
from hitofude.recipe import PredictBy

LEVELS = (0.9, 0.95, 0.99)
"""The shares of images whose set holds the true label, for which thresholds are kept with the run."""
SHOWN_LEVEL = "0.95"
"""The level of the sets that the page shows."""
MOST_GROUPS, MOST_IMAGES = 50, 10_000
"""More would change nothing."""
USUAL_RATIO, WORTH_OF_USUAL = 0.9, 7
"""The usual temperature of a whole ensemble relative to that of its groups, the geometric mean of 71 small runs with
accuracies of 0.6 to 0.98, and the number of images that tell as much."""


class Temperatures(NamedTuple):
    """The temperatures that calibrate a run's probabilities."""

    out_of_fold: float
    """The temperature of training rows, each predicted by the members that held it out."""
    ensemble: float
    """The temperature of other images, predicted by all members."""


@dataclass(frozen=True, eq=False)
class MemberGroup:
    """Members that held the same rows out."""

    members: NDArray[np.int64]
    share: float
    """The share of all rows that some member held out."""
    is_whole: bool
    """Whether it is all members, so that its probabilities are the whole ensemble's."""


def parts_of_whole(held_out: NDArray[np.bool_], predict_by: PredictBy) -> NDArray[np.bool_]:
    """Return (N, parts), whether a part of the ensemble held a row out.

    held_out: (N, members); predict_by: the recipe's setting. The parts are the members. If only members on all rows
    predict, there is one part, the members that held rows out: they stand for the others, which differ from them by
    some more rows alone.
    """
    return held_out if predict_by == "all" else np.asarray(held_out.any(axis=1, keepdims=True))


def member_groups(held_out: NDArray[np.bool_]) -> list[MemberGroup]:
    """Return the groups of members that held the same rows out, the largest first. held_out: (N, members)."""
    groups, counts = np.unique(held_out[held_out.any(axis=1)], axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_GROUPS]
    total = counts[order].sum()
    return [
        MemberGroup(groups[place].nonzero()[0], float(counts[place] / total), bool(groups[place].all()))
        for place in order
    ]


def fit_temperatures(
    labels: NDArray[np.int64],
    out_of_fold: NDArray[np.float32],
    held_out: NDArray[np.bool_],
    members: NDArray[np.float32] | None,
    cascade: Cascade | None = None,
) -> Temperatures:
    """Fit both temperatures.

    labels: (N,); out_of_fold: (N, classes), raw, NaN in rows that every member trained on; held_out: (N, members) which
    members held a row out; members: (members, images, classes), raw, of images to predict, or None; cascade: how they
    answer together.
    """
    known = answered(out_of_fold)
    of_groups = fit_temperature(labels[known], out_of_fold[known])
    return Temperatures(of_groups, fit_ensemble_temperature(members, member_groups(held_out), of_groups, cascade))


def fit_ensemble_temperature(
    members: NDArray[np.float32] | None,
    groups: Sequence[MemberGroup],
    temperature: float,
    cascade: Cascade | None = None,
) -> float:
    """Return the temperature of all members together.

    members: (members, N, classes), raw, of images that none of them saw; None without such images: the usual ratio to
    the groups' temperature is taken then, and with few images it has some weight. temperature: of the groups, fitted
    out of fold; the same if each of them is all members. cascade: the rule by which all members answer.
    """
    if all(group.is_whole for group in groups):
        return temperature
    usual = temperature * USUAL_RATIO
    if members is None or not members.shape[1]:
        return usual
    found, images = _temperature_by_images(_some(members), groups, temperature, cascade), members.shape[1]
    weight = images / (images + WORTH_OF_USUAL)
    return float(found**weight * usual ** (1 - weight))


def _temperature_by_images(
    members: NDArray[np.float32], groups: Sequence[MemberGroup], temperature: float, cascade: Cascade | None
) -> float:
    logarithms, expected = np.zeros(members.shape[1:]), 0.0
    for group in groups:
        raw = join_members(members[group.members], None)
        of_group = _logarithms(raw)
        logarithms += group.share * of_group
        expected += group.share * float((with_temperature(raw, temperature) * of_group).sum(axis=1).mean())
    whole = join_members(members, None, cascade)

    def excess(log_temperature: float) -> float:
        found = with_temperature(whole, float(np.exp(log_temperature)))
        return float((found * logarithms).sum(axis=1).mean()) - expected

    return _root(excess, temperature)


def set_threshold(
    level: float,
    of_labels: NDArray[np.float32],
    members: NDArray[np.float32] | None,
    groups: Sequence[MemberGroup],
    temperatures: Temperatures,
    cascade: Cascade | None = None,
) -> float:
    """Return the least probability of a class in the set of an image, so that a share `level` of the sets is right.

    of_labels: (rows,) the calibrated out-of-fold probability of each row's label. Their quantile is split conformal
    prediction (A. Angelopoulos, S. Bates 2021, arXiv:2107.07511), whose sets of least mean size take each class by its
    own probability (M. Sadinle et al. 2019, doi:10.1080/01621459.2017.1395341). It is moved to the whole ensemble by
    images without labels; members: (members, N, classes), raw, or None; cascade: how they answer together. Raises
    RecipeError for a level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise RecipeError(f"--sets {level:g}: expected a share between 0 and 1, such as 0.95.")
    allowed = int((1 - level) * (len(of_labels) + 1) + 1e-9)
    threshold = float(np.sort(of_labels)[allowed - 1]) if allowed else 0.0
    if members is None or not members.shape[1] or not allowed or all(group.is_whole for group in groups):
        return threshold
    some = _some(members)
    whole = join_members(some, temperatures.ensemble, cascade).astype(np.float64)
    held = sum(
        group.share * float((whole * (join_members(some[group.members], temperatures.out_of_fold) >= threshold)).sum())
        for group in groups
    )
    values = np.sort(whole, axis=None)[::-1]
    place = int(np.searchsorted(np.cumsum(values), held))
    return float(values[min(place, len(values) - 1)])


def prediction_sets(probabilities: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Return (N, classes), the classes of each image's set: those from the threshold on, and always the likeliest.

    probabilities: (N, classes), calibrated.
    """
    sets: NDArray[np.bool_] = probabilities >= threshold
    sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
    return sets


def _some(members: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the probabilities of at most MOST_IMAGES images, evenly chosen."""
    count = members.shape[1]
    if count <= MOST_IMAGES:
        return members
    return members[:, np.linspace(0, count - 1, MOST_IMAGES).astype(np.int64)]


def _logarithms(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    logarithms: NDArray[np.float64] = np.log(probabilities.astype(np.float64).clip(min=np.finfo(np.float32).tiny))
    return logarithms


def _root(excess: Callable[[float], float], temperature: float) -> float:
    """Return the temperature without excess; the one given if there is none within the bounds of temperatures."""
    from scipy.optimize import brentq

    low, high = float(np.log(COLDEST)), float(np.log(HOTTEST))
    if excess(low) * excess(high) >= 0:
        return temperature
    return float(np.exp(brentq(excess, low, high, xtol=1e-6)))
