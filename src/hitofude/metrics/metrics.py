"""Metrics of labels and probabilities as NumPy functions."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hitofude.language.translation import say, speaking

Z_95 = 1.959963984540054


@dataclass(frozen=True, repr=False)
class Accuracy:
    """A number of right answers out of a total, with a 95 % interval."""

    right: int
    total: int
    effective_rows: float | None = None
    """The number of independent rows that are as uncertain, if rows belong together; see hitofude.metrics.grouped."""

    @property
    def value(self) -> float:
        return self.right / self.total

    @property
    def independent_rows(self) -> float:
        return self.total if self.effective_rows is None else self.effective_rows

    @property
    def interval(self) -> tuple[float, float]:
        rows = self.independent_rows
        return wilson_interval(self.value * rows, rows)

    def __str__(self) -> str:
        low, high = self.interval
        return say(
            "{value:.4f} (95 % interval {low:.4f} to {high:.4f}; {wrong:,} of {rows:,} wrong)",
            value=self.value, low=low, high=high, wrong=self.total - self.right, rows=self.total,
        )  # fmt: skip

    def __repr__(self) -> str:
        with speaking("en"):
            text = str(self)
        return f"Accuracy({text[:-1].replace(' (', ', ').replace(';', ',')})"


def accuracy(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Accuracy:
    """Compare labels and predicted classes, both (N,) with N ≥ 1."""
    return Accuracy(int((labels == predicted).sum()), len(labels))


def wilson_interval(right: float, total: float, z: float = Z_95) -> tuple[float, float]:
    """Return the score interval of a share, within 0..1 (E. B. Wilson 1927, doi:10.2307/2276774)."""
    share = right / total
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    middle, scale = share + z * z / (2 * total), 1 + z * z / total
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return max(0.0, min(share, low)), min(1.0, max(share, high))


def mean_of_members(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average (members, N, classes) probabilities, not logits, to (N, classes)."""
    mean: NDArray[np.float32] = probabilities.mean(axis=0)
    return mean


def answered(probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(N,) which rows some member held out and answered; the others are NaN. probabilities: (N, classes)."""
    rows: NDArray[np.bool_] = ~np.isnan(probabilities[:, 0])
    return rows


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (N,) losses in nats, the -log of each label's probability. probabilities: (N, classes)."""
    of_label = probabilities[np.arange(len(labels)), labels]
    losses: NDArray[np.float32] = -np.log(of_label.clip(min=np.finfo(np.float32).tiny))
    return losses


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return the (classes, classes) counts of labels, down, and predicted classes, across. labels, predicted: (N,)."""
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class; a share of no rows is 0."""

    rows: int
    """The rows with this label."""
    precision: float
    """The share with this label among the rows predicted as this class."""
    recall: float
    """The share predicted as this class among the rows with this label."""

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall or 1)


def class_scores(confusion: NDArray[np.int64]) -> list[ClassScore]:
    """Return the scores of each class from its row and column of the confusion matrix."""
    right, of_label, answered = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        ClassScore(int(rows), int(hits) / max(int(answers), 1), int(hits) / max(int(rows), 1))
        for hits, rows, answers in zip(right, of_label, answered, strict=True)
    ]


def agreement(answers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the (members, members) shares of images on which two members agree. answers: (members, N), N ≥ 1."""
    return np.stack([(answers == of_member).mean(axis=1) for of_member in answers])


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the p-value of the exact two-sided test that both models are equally good (Q. McNemar 1947).

    only_first, only_second: the number of rows that only the first, or only the second model has right.
    """
    fewer, total = min(only_first, only_second), only_first + only_second
    probability = tail = float(math.comb(total, fewer) / 2**total)
    for count in range(fewer, 0, -1):
        probability *= count / (total - count + 1)
        tail += probability
    return min(1.0, 2 * tail)
