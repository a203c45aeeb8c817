"""Probabilities that mean what they say: of the images with a probability of 0.9, nine in ten are right."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from hitofude.metrics.metrics import cross_entropy

LOWEST, HIGHEST = 0.05, 20.0
SURE = 0.9
"""The calibrated probability from which the digit in a photo has an answer. By benchmarks/photos.py 95 % of the digits
reach it, and 45 % of printed letters, which are none; 57 % of these reach 0.8."""


def fit_temperature(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """The temperature with the least mean cross-entropy (C. Guo et al. 2017, arXiv:1706.04599).

    labels (N,), probabilities (N, classes), of rows that were not trained on.
    """

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(labels, with_temperature(probabilities, float(np.exp(log_temperature)))).mean())

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))


def with_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """(N, classes) the softmax of the logarithms divided by the temperature: below one is surer, above it less sure."""
    logits = np.log(probabilities.clip(min=np.finfo(np.float32).tiny)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    calibrated: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return calibrated
