"""A score of images unlike anything learned, from the inner features of one network.

The features of an image are compared with those of the training images: their distance from the nearest class, in units
of the spread within the classes (Mahalanobis distance; K. Lee et al. 2018, arXiv:1807.03888), each direction also in
units of the class's own spread. To its logarithm the network's own doubt is added, as H. Wang et al. 2022
(arXiv:2203.10807) add the logits' energy. The threshold from which an image counts as none of the classes is a quantile
of the scores of images that the network never saw. benchmarks/novelty.py has the other scores that were tried.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.9, 0.95, 0.97, 0.99)
"""The shares of the known images that are answered at a threshold which is kept."""
SHOWN_KNOWN = 0.97
"""The share that is answered in photos and on the page; see benchmarks/photos.py, whose seed 0 chose it."""
LEAST_HELD_OUT = 100
"""Fewer images say too little of their highest scores."""
ROWS_OF_USUAL_SPREAD = 10
"""A class's own spread counts against the spread of all classes as its rows against this number."""


@dataclass(frozen=True, eq=False)
class Familiar:
    """The features of training images, as far as a score of novelty needs them.

    center, projection: features (F,) → (F,) uncorrelated ones of variance 1 within the classes: (features - center) @
    projection. Float16, so that files stay small; all that follows is fitted after rounding.
    """

    center: NDArray[np.float32]  # (F,)
    projection: NDArray[np.float16]  # (F, F)
    means: NDArray[np.float32]  # (classes, F) of the projected features
    variances: NDArray[np.float32]  # (classes, F) within each class

    @classmethod
    def fit(cls, features: NDArray[np.float32], labels: NDArray[np.int64]) -> "Familiar":
        """features: (N, F) of training images; labels: (N,). Classes without images are left out.

        The spread is shrunk towards that of uncorrelated features as far as the number of rows asks for (O. Ledoit, M.
        Wolf 2004, doi:10.1016/S0047-259X(03)00096-4).
        """
        from sklearn.covariance import ledoit_wolf
        from threadpoolctl import threadpool_limits

        center = features.mean(axis=0, dtype=np.float64)
        found, own = np.unique(labels, return_inverse=True)
        with threadpool_limits(1):  # the bits depend on the number of threads
            rows = features.astype(np.float64) - center
            spread, _ = ledoit_wolf(rows - _means(rows, own, len(found))[own], assume_centered=True)
            values, vectors = np.linalg.eigh(spread)
            scales = np.sqrt(np.maximum(values, 1e-6 * max(values.max(), 1e-12)))
            projection = (vectors / scales).clip(-6e4, 6e4).astype(np.float16)
            projected = rows @ projection.astype(np.float64)
            means = _means(projected, own, len(found))
            variances = _means((projected - means[own]) ** 2, own, len(found))
        counts = np.bincount(own)[:, None]
        shrunk = (counts * variances + ROWS_OF_USUAL_SPREAD) / (counts + ROWS_OF_USUAL_SPREAD)
        return cls(center.astype(np.float32), projection, means.astype(np.float32), shrunk.astype(np.float32))


@dataclass(frozen=True, eq=False)
class Novelty:
    """The score of a run: by the features of one member, and the scores of images that it held out."""

    member: int
    """Its number."""
    familiar: Familiar
    held_out_scores: NDArray[np.float32]  # (rows,) in rising order

    def thresholds(self) -> dict[str, float]:
        """Return the threshold for each of LEVELS, as text."""
        return {f"{level:g}": threshold_of(self.held_out_scores, level) for level in LEVELS}


def threshold_of(scores: NDArray[np.float32], level: float) -> float:
    """Return the score that at most a share 1 - level of new images of the same kind exceeds.

    It is split conformal prediction's quantile (A. Angelopoulos, S. Bates 2021, arXiv:2107.07511).
    """
    place = min(len(scores), int(np.ceil(level * (len(scores) + 1))))
    return float(np.sort(scores)[place - 1])


def _means(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(classes, F) the mean of the rows (N, F) of each label."""
    sums = np.zeros((classes, rows.shape[1]))
    np.add.at(sums, labels, rows)
    means: NDArray[np.float64] = sums / np.bincount(labels, minlength=classes)[:, None]
    return means
