"""Find suspected labels by confident learning or their probability of an error, and those that are probably wrong.

C. Northcutt, L. Jiang, I. Chuang: Confident learning, 2021, doi:10.1613/jair.1.12125.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.language.translation import say, say_count, say_of
from hitofude.metrics.label_noise import probabilities_of_error
from hitofude.metrics.metrics import answered

SUSPECTED, PROBABLE = 0.4, 0.5
"""The probabilities of being wrong from which a label is suspected in any case, and counts as probably wrong."""


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """The suspected rows: those whose label is probably wrong, then the others, each group by rising score."""

    rows: NDArray[np.int64]  # (M,) row numbers, from 0
    suggested: NDArray[np.int64]  # (M,) class index
    scores: NDArray[np.float32]  # (M,) the probability that the label is right; low is suspect
    wrong: NDArray[np.float64]  # (M,) the probability that the label is wrong rather than the model

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def probable(self) -> int:
        """The number of labels that are probably wrong."""
        return int((self.wrong >= PROBABLE).sum())

    @property
    def expected(self) -> float:
        """The number of wrong labels that is expected among all that are suspected."""
        return float(self.wrong.sum())


def find_label_issues(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> LabelIssues:
    """Find the rows that confidently belong to another class than their label's, or whose label is likely wrong.

    labels: (N,); probabilities: (N, classes), out of fold; rows of NaN are left out. Each class has a threshold, the
    mean probability of the class over the rows with its label. A row confidently belongs to the most probable class
    among those whose threshold it reaches (the off-diagonals of the paper's confident joint), so classes that are
    predicted less confidently have a lower threshold. Networks that learned wrong labels are less confident, and reach
    it less often; so a row is suspected, too, if its probability of an error is SUSPECTED or more, see
    hitofude.metrics.label_noise.
    """
    known = np.flatnonzero(answered(probabilities))
    given, of_rows = labels[known], probabilities[known]
    reached = of_rows >= confidence_thresholds(given, of_rows)
    confident, predicted = np.where(reached, of_rows, -1).argmax(axis=1), of_rows.argmax(axis=1)
    is_confident = reached.any(axis=1) & (confident != given) & (predicted != given)
    scores = of_rows[np.arange(len(given)), given]
    wrong = probabilities_of_error(given, of_rows)
    suggested = np.where(is_confident, confident, predicted)
    order = np.lexsort((scores, wrong < PROBABLE))
    order = order[(is_confident | (wrong >= SUSPECTED))[order]]
    return LabelIssues(known[order], suggested[order], scores[order], wrong[order])


def describe_issues(suspected: int, probable: int, expected: float) -> str:
    """Describe the numbers of labels that are suspected and probably wrong, and the expected number of wrong ones."""
    if not suspected:
        return say("no label suspected")
    if not probable:
        return say(
            "{suspected:,} suspected, but these rows do not tell whether the labels or the models are wrong",
            suspected=suspected,
        )
    return say_of(
        round(expected),
        "{labels} probably wrong; {suspected:,} suspected, of which about {expected:,.0f} is wrong",
        "{labels} probably wrong; {suspected:,} suspected, of which about {expected:,.0f} are wrong",
        labels=say_count(probable, "label"), suspected=suspected, expected=expected,
    )  # fmt: skip


def confidence_thresholds(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (classes,) the mean probability of each class over the rows with its label; infinity without rows."""
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    of_label = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=of_label, minlength=classes)
    thresholds: NDArray[np.float64] = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    return thresholds
