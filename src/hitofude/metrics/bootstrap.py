"""The Bayesian bootstrap (D. B. Rubin 1981, doi:10.1214/aos/1176345338): random weights of rows in place of resampling.

Each row, or each group of rows that belong together, has a weight drawn from the exponential distribution. No weight is
zero, so that a class of few rows never vanishes from a sample, as it would if rows were drawn with replacement.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1000
SEED = 0
NUMBERS_AT_ONCE = 4_000_000
"""The weights held in memory at once: 32 MB."""

Weights = NDArray[np.float64]
"""(samples, N)"""


def draw_weights(
    kinds: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
    pseudo_rows: int = 0,
    samples: int = SAMPLES,
) -> Iterator[Weights]:
    """Draw (samples, kinds + pseudo_rows) weights, in pieces of some samples; the same in every call.

    kinds: (N,) each row's kind, from 0 up; the weight of a kind is the sum over its rows. groups: (N,) the number of
    each row's group; by default each row is one of its own. pseudo_rows: rows appended to the kinds, each with the
    weight of half a row (or half a group of mean size), H. Jeffreys's prior of a share.
    """
    generator, counts = np.random.default_rng(SEED), np.bincount(kinds)
    units = len(kinds)
    if groups is not None:
        found, groups = np.unique(groups, return_inverse=True)
        units = len(found)
    size = max(1, NUMBERS_AT_ONCE // (pseudo_rows + (len(counts) if groups is None else units + len(kinds))))
    for start in range(0, samples, size):
        count = min(size, samples - start)
        if groups is None and units == len(counts):
            of_kinds = generator.standard_exponential((count, units))
        elif groups is None:  # the sum of n exponential weights has the gamma distribution
            of_kinds = generator.standard_gamma(counts, (count, len(counts)))
        else:
            of_rows = generator.standard_exponential((count, units)).take(groups, axis=1)
            of_kinds = sum_by(kinds, of_rows, len(counts))
        of_pseudo_rows = generator.standard_gamma(0.5, (count, pseudo_rows)) * (len(kinds) / units)
        yield np.concatenate([of_kinds, of_pseudo_rows], axis=1)


def sum_by(places: NDArray[np.int64], weights: Weights, count: int) -> NDArray[np.float64]:
    """Return (samples, count) the sums of the weights, (samples, N), that have the same place, (N,)."""
    return np.stack([np.bincount(places, weights=row, minlength=count) for row in weights])


def percentile_interval(values: NDArray[np.float64], value: float) -> tuple[float, float]:
    """Return the 95 % interval of sampled values, extended to the value itself if it lies outside."""
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return min(low, value), max(high, value)


def two_sided_probability(differences: NDArray[np.float64]) -> float:
    """Return the p-value of no difference: twice the share of samples on the other side of zero, at least 2/(B + 1)."""
    fewer = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(differences) + 1))
