"""The probability that a label is wrong, given out-of-fold probabilities, which also err on right labels.

A model that contradicts a label may be wrong itself. Its own errors become rare as its confidence grows, but labels are
wrong whatever the model thinks of the image. So the share of contradicted labels falls along an exponential curve as
the confidence rises, down to a floor: the share of wrong labels. A weak model leaves no floor that could be told from
zero, and then no label counts as probably wrong. The second hint is the label itself: if the model errs, the label is
one that it finds plausible; a wrong label need not be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALLEST_EVIDENCE = 5.0
"""The least gain of log-likelihood by the floor for it to count; by chance it is reached about once in 600 times."""
DROP_OF_BOUND = 2.0
"""The floor used is the lowest whose log-likelihood is within this of the best: the end of its 95 % interval."""
SURPRISE_OF_CLASS = 1e-3
"""A predicted class whose number of confident contradictions is this improbable gets a curve of its own."""
ANY_LABEL = 0.1
"""The share of a model's errors whose label is any other class; the labels of the rest are as plausible as it says."""
BINS = 400


@dataclass(frozen=True)
class _Curve:
    """The share of contradicted labels at a rank of confidence: floor + (1 - floor) · top · exp(-rank / fall)."""

    floor: float
    top: float
    fall: float
    loss: float
    """The negative log-likelihood."""

    def errors(self, ranks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the shares of the model's own errors."""
        shares: NDArray[np.float64] = (1 - self.floor) * self.top * np.exp(-ranks / self.fall)
        return shares


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows with labels and predictions, each array (N,)."""

    ranks: NDArray[np.float64]  # 0..1 among the rows of the same predicted class, by rising confidence
    contradicted: NDArray[np.bool_]
    by_model: NDArray[np.float64]  # the probability of this label if the model errs
    by_noise: NDArray[np.float64]  # the probability of this label if it is wrong

    def of(self, rows: NDArray[np.int64], by_noise: NDArray[np.float64]) -> "_Rows":
        return _Rows(self.ranks[rows], self.contradicted[rows], self.by_model[rows], by_noise)


def probabilities_of_error(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N,) the probability that each label is wrong; 0 if it is the predicted one.

    labels: (N,); probabilities: (N, classes) of models not trained on the row, calibrated, without NaN. The floor is
    the lower end of its interval, so their sum is a cautious count of the wrong labels.
    """
    classes, predicted = probabilities.shape[1], probabilities.argmax(axis=1)
    rows = _describe(labels, predicted, probabilities.astype(np.float64))
    noise = np.full((classes, classes), 1 / (classes - 1))
    curve = _fit(rows)
    floors, errors = np.full(classes, curve.floor), curve.errors(rows.ranks)
    for name in range(classes):
        own = np.flatnonzero(predicted == name)
        confident = own[rows.ranks[own] > 0.5]
        count, expected = int(rows.contradicted[confident].sum()), float((curve.floor + errors[confident]).sum())
        if count and _is_surprising(count, expected):
            pairs = np.bincount(labels[confident], minlength=classes) + 0.5
            pairs[name] = 0
            of_class = pairs / pairs.sum()
            found = _fit(rows.of(own, of_class[labels[own]]))
            if found.floor > curve.floor:
                floors[name], noise[name], errors[own] = found.floor, of_class, found.errors(rows.ranks[own])
    wrong = floors[predicted] * noise[predicted, labels]
    either = np.maximum(wrong + errors * rows.by_model, np.finfo(np.float64).tiny)
    return np.where(rows.contradicted, wrong / either, 0.0)


def _describe(labels: NDArray[np.int64], predicted: NDArray[np.int64], probabilities: NDArray[np.float64]) -> _Rows:
    confidence, others = probabilities.max(axis=1), probabilities.shape[1] - 1
    ranks = np.zeros(len(labels))
    for name in np.unique(predicted):
        own = np.flatnonzero(predicted == name)
        ranks[own[np.argsort(confidence[own], kind="stable")]] = (np.arange(len(own)) + 0.5) / len(own)
    of_label = probabilities[np.arange(len(labels)), labels] / np.maximum(1 - confidence, 1e-12)
    by_model = (1 - ANY_LABEL) * of_label.clip(max=1) + ANY_LABEL / others
    return _Rows(ranks, predicted != labels, by_model, np.full(len(labels), 1 / others))


def _is_surprising(count: int, expected: float) -> bool:
    from scipy.stats import poisson

    return bool(poisson.sf(count - 1, expected) < SURPRISE_OF_CLASS)


def _fit(rows: _Rows) -> _Curve:
    """Fit the curve; with the lowest floor that the rows allow, which is zero if they show none."""
    without = _most_likely(rows, floor=0.0)
    best = min(_most_likely(rows), _most_likely(rows, start=without), key=lambda curve: curve.loss)
    if without.loss - best.loss < SMALLEST_EVIDENCE:
        return without
    low, high, found = 0.0, best.floor, best
    for _ in range(10):
        middle = (low + high) / 2
        tried = _most_likely(rows, floor=middle, start=best)
        if tried.loss - best.loss > DROP_OF_BOUND:
            low = middle
        else:
            high, found = middle, tried
    return found


def _most_likely(rows: _Rows, floor: float | None = None, start: _Curve | None = None) -> _Curve:
    """Return the curve of the greatest likelihood, with a given floor if there is one."""
    from scipy.optimize import minimize

    agreeing, _ = np.histogram(rows.ranks[~rows.contradicted], BINS, (0, 1))
    middles = (np.arange(BINS) + 0.5) / BINS
    ranks, by_model, by_noise = (values[rows.contradicted] for values in (rows.ranks, rows.by_model, rows.by_noise))

    def curve(values: NDArray[np.float64], loss: float = 0.0) -> _Curve:
        top, free = (float(value) for value in 1 / (1 + np.exp(-values[[0, -1]].clip(-30, 30))))
        return _Curve(free if floor is None else floor, top, float(np.exp(values[1].clip(-5, 2))), loss)

    def loss(values: NDArray[np.float64]) -> float:
        found = curve(values)
        contradicted = found.floor + found.errors(middles)
        likelihoods = found.floor * by_noise + found.errors(ranks) * by_model
        agreement = agreeing @ np.log1p(-contradicted.clip(max=1 - 1e-9))
        return -float(agreement + np.log(likelihoods + 1e-30).sum())

    shape = (
        [0.0, -1.6]
        if start is None
        else [float(np.log((start.top + 1e-9) / (1 - start.top + 1e-9))), float(np.log(start.fall))]
    )
    values = np.array([*shape, -4.0] if floor is None else shape)
    options = {"maxiter": 400, "xatol": 1e-3, "fatol": 1e-3}
    result = minimize(loss, values, method="Nelder-Mead", options=options)
    return curve(result.x, float(result.fun))
