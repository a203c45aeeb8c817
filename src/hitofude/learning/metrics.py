"""How good predictions are: NumPy functions over labels and probabilities."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Accuracy:
    """A share of right answers, with its 95 % interval."""

    right: int
    total: int

    @property
    def value(self) -> float:
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.right, self.total)

    def __str__(self) -> str:
        low, high = self.interval
        wrong = f"{self.total - self.right:,} of {self.total:,} wrong"
        return f"{self.value:.4f} (95 % interval {low:.4f} to {high:.4f}; {wrong})"


def accuracy(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Accuracy:
    """labels, predicted: (N,), N ≥ 1."""
    return Accuracy(int((labels == predicted).sum()), len(labels))


def wilson_interval(right: float, total: float, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a share (E. B. Wilson 1927, doi:10.2307/2276774); within 0..1 whatever the counts."""
    share = right / total
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    middle, scale = share + z * z / (2 * total), 1 + z * z / total
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return max(0.0, min(share, low)), min(1.0, max(share, high))


def cross_entropy(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) -log of each row's probability of its label, in nats; probabilities (N, classes)."""
    of_label = probabilities[np.arange(len(labels)), labels]
    losses: NDArray[np.float32] = -np.log(of_label.clip(min=np.finfo(np.float32).tiny))
    return losses
