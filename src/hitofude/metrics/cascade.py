"""The choice of the members that are asked one after another, by rows that they were not trained on.

At each stage one more member is asked, and the mean of those asked so far is the answer if it is clear. It is another
one than the whole ensemble's with a probability that is estimated without the ensemble. If other members held the row
out too, their mean stands for all that are left. If none did, the mean must be wrong for the ensemble to be right
against it, so the probability that it is wrong is an upper bound, but for rows on which the ensemble is wrong and a few
confident members right. The labels may be wrong too; see hitofude.metrics.label_noise.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.calibration import Cascade, Stage, fit_temperature, with_temperature
from hitofude.metrics.label_noise import probabilities_of_error
from hitofude.metrics.metrics import mean_of_members

LEAST_ANSWERED = 0.5
"""If fewer of the rows are clear before the last stage, all members are asked about every image: there is little to
gain."""
MOST_STAGES = 4
"""The ways to divide the changes grow threefold with each stage, and stages beyond the second save little."""
LEAST_SAVED = 0.01
"""The share of the operations that a further stage must save."""
USED = 0.5
"""The share of the allowed changes that is used up. They are counted on the rows, and chance makes them more among
other images: with all used up, more labels than allowed would change in nearly every second run."""
SHARES = (0.0, 0.5, 1.0)
"""The shares of the changes still allowed that a stage may use up; its successors have the rest."""
LOOKS_AGAIN = 4
"""By test-time augmentation, at an image that is unclear to a member."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The members, and their answers to the rows that they held out."""

    labels: NDArray[np.int64]  # (N,)
    rows: Sequence[NDArray[np.int64]]  # of each member, those it held out
    probabilities: Sequence[NDArray[np.float32]]  # of each member, raw, of its rows: (rows, classes)
    kinds: Sequence[Hashable]  # equal for members that differ only by chance and rows
    costs: Sequence[float]  # the operations of each member for one look at an image
    seen_again_below: float = 0.0
    """A member whose highest probability is lower looks at an image again."""

    @cached_property
    def members(self) -> NDArray[np.int64]:
        """(N,) the number of members that held a row out."""
        return np.bincount(np.concatenate(self.rows), minlength=len(self.labels))

    @cached_property
    def total(self) -> NDArray[np.float64]:
        """(N, classes) the sum of their probabilities."""
        total = np.zeros((len(self.labels), self.probabilities[0].shape[1]))
        for own, probabilities in zip(self.rows, self.probabilities, strict=True):
            total[own] += probabilities
        return total

    @cached_property
    def looks(self) -> NDArray[np.float64]:
        """(N,) the mean number of looks of a member that held the row out."""
        again = np.zeros(len(self.labels))
        for own, probabilities in zip(self.rows, self.probabilities, strict=True):
            again[own] += probabilities.max(axis=1) < self.seen_again_below
        looks: NDArray[np.float64] = 1 + LOOKS_AGAIN * again / np.maximum(self.members, 1)
        return looks

    def of_kind(self, kind: Hashable) -> list[int]:
        """Return the members of a kind."""
        return [member for member, other in enumerate(self.kinds) if other == kind]

    def answers(self, kind: Hashable) -> list[NDArray[np.float32]]:
        """Return the probabilities of the first member of the kind that held each row out, those of the second, and so
        on: each (N, classes), NaN in rows that too few held out.
        """
        found, taken = list[NDArray[np.float32]](), np.zeros(len(self.labels), dtype=np.int64)
        for member in self.of_kind(kind):
            own = self.rows[member]
            for place in np.unique(taken[own]):
                if place == len(found):
                    found.append(np.full(self.total.shape, np.nan, dtype=np.float32))
                these = taken[own] == place
                found[place][own[these]] = self.probabilities[member][these]
            taken[own] += 1
        return found


def choose_cascade(held_out: HeldOut, most_changed: float) -> Cascade | None:
    """Return the cascade of the least expected cost; None if too few rows, or too few clear ones, allow it.

    Each kind is tried as the first one, followed by the others, the cheapest first. most_changed: the greatest share of
    all images whose label may be another one than that of all members. One change is added to those that the rows show
    (Laplace's rule of succession), so 1 in 10,000 takes 10,000 rows at least. Half of the others are used up.
    """
    if len(held_out.kinds) < 2:
        return None
    orders = (_Order.beginning_with(kind, held_out) for kind in dict.fromkeys(held_out.kinds))
    found = [plan for order in orders if (plan := order.cheapest(most_changed)) is not None]
    best = min(found, key=lambda plan: plan.cost, default=None)
    if best is None or best.cascade.answered < LEAST_ANSWERED:
        return None
    return best.cascade


class _Plan(NamedTuple):
    """A cascade, or its last stages, and the expected operations for all rows."""

    cost: float
    cascade: Cascade


@dataclass(frozen=True, eq=False)
class _Order:
    """Members in the order in which they are asked, and the answers to the rows of members of the same kinds."""

    held_out: HeldOut
    members: list[int]
    answers: list[NDArray[np.float32]]  # for each of them (N, classes), NaN in rows that too few held out

    @classmethod
    def beginning_with(cls, first: Hashable, held_out: HeldOut) -> "_Order":
        """Return the longest order for which there are rows, up to MOST_STAGES."""
        answers = {kind: held_out.answers(kind) for kind in dict.fromkeys(held_out.kinds)}
        kinds = [kind for kind, found in answers.items() for _ in found]
        costs = {kind: held_out.costs[held_out.of_kind(kind)[0]] for kind in kinds}
        kinds.sort(key=lambda kind: costs[kind])
        if first not in kinds:
            return cls(held_out, [], [])
        kinds.remove(first)
        members, in_order, most = list[int](), list[NDArray[np.float32]](), len(held_out.kinds) - 1
        for kind in [first, *kinds][: min(MOST_STAGES, most)]:
            members.append(_next_member(kind, members, held_out))
            in_order.append(answers[kind].pop(0))
        return cls(held_out, members, in_order)

    def cheapest(self, most_changed: float) -> _Plan | None:
        """Return the plan of the least cost; None if the rows allow none."""
        best = None
        for depth in range(1, len(self.members) + 1):
            rows = np.flatnonzero(~np.isnan([answers[:, 0] for answers in self.answers[:depth]]).any(axis=0))
            allowed = most_changed * (len(rows) + 1) - 1
            if allowed < 0:
                continue
            found = self._plan(0, depth, rows, USED * allowed)
            if found is None:
                continue
            shares = tuple(replace(stage, answered=stage.answered / len(rows)) for stage in found.cascade.stages)
            cascade = Cascade(shares, (found.cascade.changed + 1) / (len(rows) + 1))
            plan = _Plan(found.cost / len(rows), cascade)
            if best is None or plan.cost < (1 - LEAST_SAVED) * best.cost:
                best = plan
        return best

    def _plan(self, stage: int, depth: int, rows: NDArray[np.int64], allowed: float) -> _Plan | None:
        """Plan the stages from this one to a depth. rows: those that are not answered yet; allowed: their changes.

        The plan has numbers of rows in place of shares. None if a stage would answer nothing.
        """
        if not len(rows):
            return None
        found, costs, looks = list[_Plan](), self.held_out.costs, self.held_out.looks
        confidences, changed = self._steps[stage][0][rows], self._steps[stage][1][rows]
        own = costs[self.members[stage]] * float(looks[rows].sum())
        for share in SHARES if stage + 1 < depth else SHARES[-1:]:
            threshold = _lowest_threshold(confidences, changed, share * allowed)
            clear = confidences >= np.float32(threshold)
            used, left = float(changed[clear].sum()), rows[~clear]
            if not clear.any():
                continue
            if stage + 1 < depth:
                later = self._plan(stage + 1, depth, left, allowed - used)
            else:
                rest = sum(costs) - sum(costs[member] for member in self.members[:depth])
                later = _Plan(rest * float(looks[left].sum()), Cascade((), 0.0))
            if later is not None:
                stages = (Stage(self.members[stage], threshold, float(clear.sum())), *later.cascade.stages)
                found.append(_Plan(own + later.cost, Cascade(stages, used + later.cascade.changed)))
        return min(found, key=lambda plan: plan.cost, default=None)

    @cached_property
    def _steps(self) -> list[tuple[NDArray[np.float32], NDArray[np.float64]]]:
        """Return for each stage two arrays of (N,).

        They are the highest probability in the mean of the members asked so far, and the probability that all members
        together give another answer than it.
        """
        return [self._step(stage) for stage in range(len(self.members))]

    def _step(self, stage: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        held_out, asked = self.held_out, stage + 1
        mean = mean_of_members(np.stack(self.answers[:asked]))
        known = ~np.isnan(mean[:, 0])
        others, part = held_out.members - asked, asked / len(held_out.kinds)
        sum_of_others = held_out.total - np.sum(self.answers[:asked], axis=0, dtype=np.float64)
        of_others = sum_of_others / np.maximum(others, 1)[:, None]
        answers, together = mean.argmax(axis=1), part * mean + (1 - part) * of_others
        changed = (together.argmax(axis=1) != answers).astype(np.float64)
        alone = known & (others == 0)
        if alone.any():
            labels, mean_of_known = held_out.labels[known], mean[known]
            calibrated = with_temperature(mean_of_known, fit_temperature(labels, mean_of_known))
            is_wrong = np.zeros(len(known))
            is_wrong[known] = (answers[known] != labels) * (1 - probabilities_of_error(labels, calibrated))
            changed[alone] = is_wrong[alone]
        return mean.max(axis=1), changed


def _next_member(kind: Hashable, before: Sequence[int], held_out: HeldOut) -> int:
    """Return the member of a kind that is asked after others: the one that was trained on the most rows.

    Of several such, take one that was trained on the rows of the very first, as the members that hold out one row were.
    """
    rows = held_out.rows

    def rank(member: int) -> tuple[int, bool, int]:
        is_of_other_rows = bool(before) and not np.array_equal(rows[member], rows[before[0]])
        return len(rows[member]), is_of_other_rows, member

    return min((member for member in held_out.of_kind(kind) if member not in before), key=rank)


def _lowest_threshold(confidences: NDArray[np.float32], changed: NDArray[np.float64], allowed: float) -> float:
    """Return the lowest threshold at which the clear rows, expected to change, are no more than allowed; above all of
    them if there is none. confidences, changed: (rows,), rows ≥ 1.
    """
    falling = np.argsort(-confidences, kind="stable")
    clear = int(np.searchsorted(np.cumsum(changed[falling]), allowed, side="right"))
    if clear == len(falling):
        return float(confidences.min())
    return float(np.nextafter(confidences[falling[clear]], np.float32(2)))
