"""Calibration: of the images predicted with a probability of 0.9, nine in ten should be right."""

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import cross_entropy

LOWEST, HIGHEST = 0.05, 20.0
SURE = 0.9
"""The calibrated probability from which a digit in a photo is accepted. By benchmarks/photos.py 95 % of the digits
reach it, and 45 % of printed letters; 57 % of these reach 0.8."""


def fit_temperature(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Return the temperature with the least mean cross-entropy (C. Guo et al. 2017, arXiv:1706.04599).

    labels: (N,); probabilities: (N, classes), of rows not trained on.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(labels, with_temperature(probabilities, float(np.exp(log_temperature)))).mean())

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))


def with_temperature(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Divide the logarithms of (N, classes) probabilities by a temperature; above one lowers the confidence."""
    logits = np.log(probabilities.clip(min=np.finfo(np.float32).tiny)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    calibrated: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return calibrated
