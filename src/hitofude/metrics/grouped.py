"""The accuracy of rows that belong together: answers of the same group agree, so they count as fewer rows."""

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import Z_95, Accuracy


def grouped_accuracy(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], groups: NDArray[np.int64] | None
) -> Accuracy:
    """Compare labels and predicted classes, both (N,), N ≥ 1. groups: (N,) each row's group, None if all are alone."""
    is_right = labels == predicted
    effective = None if groups is None else effective_rows(is_right, groups)
    return Accuracy(int(is_right.sum()), len(labels), effective)


def effective_rows(is_right: NDArray[np.bool_], groups: NDArray[np.int64]) -> float:
    """Return the number of independent rows whose share of right answers is as uncertain as that of these rows.

    It is the number of rows over the design effect (L. Kish 1965), the variance of the share by groups relative to
    that of independent rows, and reduced by the square of Student's to the normal quantile, as few groups tell little
    about their variance (E. L. Korn & B. I. Graubard 1998). The design effect is at least 1 and at most that of groups
    whose rows agree entirely, which is taken if all rows are right, or all wrong. is_right, groups: (N,), N ≥ 1.
    """
    from scipy.stats import t

    _, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    count, number, share = len(is_right), len(sizes), float(is_right.mean())
    if number == count:
        return float(count)
    fewest = count**2 / float((sizes.astype(np.float64) ** 2).sum())  # if the rows of each group agree entirely
    effective = fewest
    if 0 < share < 1 and number > 1:
        residuals = np.bincount(of_row, weights=is_right - share)
        variance = number / (number - 1) * float((residuals**2).sum()) / count**2
        effective = min(max(share * (1 - share) / max(variance, 1e-300), fewest), count)
    quantile = float(t.ppf(0.975, max(fewest - 1, 1)))
    return effective * (Z_95 / quantile) ** 2
