"""Find labels that are probably wrong by confident learning, over arrays alone.

C. Northcutt, L. Jiang, I. Chuang: Confident learning, 2021, doi:10.1613/jair.1.12125.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import answered


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """The suspected rows, most suspect first."""

    rows: NDArray[np.int64]  # (M,) row numbers, from 0
    suggested: NDArray[np.int64]  # (M,) class index
    scores: NDArray[np.float32]  # (M,) the probability that the label is right; low is suspect

    def __len__(self) -> int:
        return len(self.rows)


def find_label_issues(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> LabelIssues:
    """Find the rows that confidently belong to another class than their label's.

    labels: (N,); probabilities: (N, classes), out of fold; rows of NaN are left out. Each class has a threshold, the
    mean probability of the class over the rows with its label. A row confidently belongs to the most probable class
    among those whose threshold it reaches (the off-diagonals of the paper's confident joint), so classes that are
    predicted less confidently have a lower threshold.
    """
    known = np.flatnonzero(answered(probabilities))
    given, of_rows = labels[known], probabilities[known]
    reached = of_rows >= confidence_thresholds(given, of_rows)
    confident = np.where(reached, of_rows, -1).argmax(axis=1)
    suspect = reached.any(axis=1) & (confident != given) & (of_rows.argmax(axis=1) != given)
    scores = of_rows[np.arange(len(given)), given]
    order = np.flatnonzero(suspect)[np.argsort(scores[suspect], kind="stable")]
    return LabelIssues(known[order], confident[order], scores[order])


def confidence_thresholds(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (classes,) the mean probability of each class over the rows with its label; infinity without rows."""
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    of_label = probabilities[np.arange(len(labels)), labels]
    sums = np.bincount(labels, weights=of_label, minlength=classes)
    thresholds: NDArray[np.float64] = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    return thresholds
