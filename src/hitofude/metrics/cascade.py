"""The choice of the member that answers clear images alone, by rows that it was not trained on.

Its answer to a row is another one than the ensemble's with a probability that is estimated without the ensemble. If
other members held the row out too, their mean stands for all others. If none did, the member must be wrong for the
ensemble to be right against it, so the probability that it is wrong is an upper bound, but for rows on which the
ensemble is wrong and a single confident member right. The labels may be wrong too; see hitofude.metrics.label_noise.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.calibration import Cascade, fit_temperature, with_temperature
from hitofude.metrics.label_noise import probabilities_of_error

LEAST_ALONE = 0.5
"""If fewer of the rows are clear, all members are asked about every image: there is little to gain."""


def choose_cascade(
    labels: NDArray[np.int64],
    rows: Sequence[NDArray[np.int64]],
    held_out: Sequence[NDArray[np.float32]],
    kinds: Sequence[Hashable],
    costs: Sequence[float],
    most_changed: float,
) -> Cascade | None:
    """Return the cascade of the least expected cost; None if too few rows, or too few clear ones, allow it.

    labels: (N,). For each member: rows, those it held out; held_out: (its rows, classes), its raw probabilities of
    these; kinds: equal for members that differ only by chance and rows; costs: the operations of one image.
    most_changed: the greatest share of all images whose label may be another one than that of all members. One change
    is added to those that the rows show (Laplace's rule of succession), so 1 in 10,000 takes 10,000 rows at least.
    """
    if len(kinds) < 2:
        return None
    found = []
    for kind in dict.fromkeys(kinds):
        of_kind = [member for member, other in enumerate(kinds) if other == kind]
        first = min(of_kind, key=lambda member: (len(rows[member]), member))  # trained on the most rows
        opinions = _Opinions.of(labels, rows, held_out, of_kind)
        cascade = _cascade_of(first, opinions, len(kinds), most_changed)
        if cascade is not None and cascade.alone >= LEAST_ALONE:
            cost = costs[first] + (1 - cascade.alone) * (sum(costs) - costs[first])
            found.append((cost, cascade))
    return min(found, key=lambda one: one[0])[1] if found else None


class _Opinions:
    """The rows that some member of a kind held out: its answer, and the mean answer of all other members that did."""

    def __init__(self, labels: NDArray[np.int64], first: NDArray[np.float32], total: NDArray[np.float64],
                 members: NDArray[np.int64]) -> None:  # fmt: skip
        known = ~np.isnan(first[:, 0])
        self.labels, self.first, self.others = labels[known], first[known], members[known] - 1
        self.mean_of_others = (total[known] - self.first) / np.maximum(self.others, 1)[:, None]

    @classmethod
    def of(
        cls,
        labels: NDArray[np.int64],
        rows: Sequence[NDArray[np.int64]],
        held_out: Sequence[NDArray[np.float32]],
        of_kind: Sequence[int],
    ) -> "_Opinions":
        """Take each row's first member of the kind. of_kind: their numbers."""
        classes = held_out[of_kind[0]].shape[1]
        first = np.full((len(labels), classes), np.nan, dtype=np.float32)
        total, members = np.zeros((len(labels), classes)), np.zeros(len(labels), dtype=np.int64)
        for own, probabilities in zip(rows, held_out, strict=True):
            total[own] += probabilities
            members[own] += 1
        for member in reversed(of_kind):
            first[rows[member]] = held_out[member]
        return cls(labels, first, total, members)

    def changed(self, members: int) -> NDArray[np.float64]:
        """Return (rows,) the probabilities that all members together give another answer. members: their number."""
        answers = self.first.argmax(axis=1)
        together = self.first / members + self.mean_of_others * (1 - 1 / members)
        differs: NDArray[np.float64] = (together.argmax(axis=1) != answers).astype(np.float64)
        if self.others.all():
            return differs
        calibrated = with_temperature(self.first, fit_temperature(self.labels, self.first))
        is_wrong = (answers != self.labels) * (1 - probabilities_of_error(self.labels, calibrated))
        changed: NDArray[np.float64] = np.where(self.others > 0, differs, is_wrong)
        return changed


def _cascade_of(first: int, opinions: _Opinions, members: int, most_changed: float) -> Cascade | None:
    """Return the cascade with the lowest threshold that the rows allow. first: the number of the member."""
    count = len(opinions.labels)
    allowed = most_changed * (count + 1) - 1
    if allowed < 0:
        return None
    confidences = opinions.first.max(axis=1)
    falling = np.argsort(-confidences, kind="stable")
    changed = np.cumsum(opinions.changed(members)[falling])
    clear = int(np.searchsorted(changed, allowed, side="right"))  # rows
    if clear == count:
        threshold = float(confidences.min())
    else:
        threshold = float(np.nextafter(confidences[falling[clear]], np.float32(2)))
    alone = int((confidences >= np.float32(threshold)).sum())
    if not alone:
        return None
    return Cascade(first, threshold, alone / count, float((changed[alone - 1] + 1) / (count + 1)))
