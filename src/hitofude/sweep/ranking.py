"""Which recipe is best, and whether that is chance: out-of-fold rows alone, paired by image and seed.

Several seeds answer the same images, so an image counts once, by the share of the seeds that have it right, in
intervals, standard errors and tests: more seeds tell more about a recipe, but are not more images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import mcnemar, wilson_interval
from hitofude.sweep.spec import Settings
from hitofude.sweep.trial import Failure, Result, Trial

COMPARED = 10
"""The number of runners-up that are compared with the best."""

BOOTSTRAP_SAMPLES = 500


@dataclass(frozen=True, eq=False)
class Candidate:
    """A recipe that is finished with every seed."""

    trials: tuple[Trial, ...]
    """In the order of the seeds."""

    @property
    def number(self) -> int:
        return self.trials[0].run.number

    @property
    def settings(self) -> Settings:
        return self.trials[0].run.settings

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return float(np.mean([trial.accuracy.value for trial in self.trials]))

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval, with as many rows as there are images."""
        images = int((~np.isnan(self.shares)).sum())
        return wilson_interval(self.accuracy * images, images)

    @property
    def expected_score(self) -> float | None:
        found = [trial.expected_score for trial in self.trials if trial.expected_score is not None]
        return float(np.mean(found)) if found else None

    @property
    def seconds(self) -> float:
        """Training time, the sum over the seeds."""
        return sum(trial.seconds for trial in self.trials)

    @cached_property
    def right(self) -> NDArray[np.float32]:
        """(seeds, N) 1 right, 0 wrong, NaN not answered."""
        return np.stack([trial.right for trial in self.trials])

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """(N,) the share of seeds that have an image right, among the seeds that answered it; NaN if none did."""
        return _mean_over_seeds(self.right)


@dataclass(frozen=True)
class PairedComparison:
    """Two recipes on the images that both answered with the same seeds."""

    first: int
    second: int
    difference: float
    """The accuracy of the first less that of the second."""
    standard_error: float
    """The difference's, over the images."""
    better: int
    """Images that the first has right with more seeds than the second."""
    worse: int
    """Images that it has right with fewer."""

    @classmethod
    def of(cls, first: Candidate, second: Candidate) -> "PairedComparison | None":
        """Return None if no image was answered by both with the same seed."""
        differences = _mean_over_seeds(first.right - second.right)
        differences = differences[~np.isnan(differences)]
        if not len(differences):
            return None
        mean, error = float(differences.mean()), float(differences.std() / np.sqrt(len(differences)))
        return cls(first.number, second.number, mean, error, int((differences > 0).sum()), int((differences < 0).sum()))

    @property
    def probability(self) -> float:
        """The p-value of the exact sign test, which with one seed is McNemar's."""
        return mcnemar(self.better, self.worse)


@dataclass(frozen=True, eq=False)
class Ranking:
    """All recipes of a sweep."""

    candidates: tuple[Candidate, ...]
    """The best first; if equal, the one tried first."""
    failures: tuple[Failure, ...]

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Ranking":
        failures = tuple(result for result in results if isinstance(result, Failure))
        failed = {failure.run.number for failure in failures}
        finished: dict[int, list[Trial]] = {}
        for result in results:
            if isinstance(result, Trial) and result.run.number not in failed:
                finished.setdefault(result.run.number, []).append(result)
        candidates = [Candidate(tuple(trials)) for trials in finished.values()]
        return cls(tuple(sorted(candidates, key=lambda one: (-one.accuracy, one.number))), failures)

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @cached_property
    def comparisons(self) -> list[PairedComparison]:
        """The best against each of the runners-up with which it has answered images in common."""
        found = (PairedComparison.of(self.best, other) for other in self.candidates[1 : COMPARED + 1])
        return [comparison for comparison in found if comparison is not None]

    @cached_property
    def selection_bias(self) -> float | None:
        """How much the best's accuracy is too high because it was chosen on the same images; None if unknown.

        In each bootstrap sample of the images the best recipe is chosen, and compared with the best of all on the
        images left out of the sample (bootstrap bias correction, I. Tsamardinos et al. 2018,
        doi:10.1007/s10994-018-5714-4). Unknown with one recipe, or without images that all recipes answered.
        """
        shares = np.stack([candidate.shares for candidate in self.candidates])
        shares = shares[:, ~np.isnan(shares).any(axis=0)]
        recipes, images = shares.shape
        if recipes < 2 or images < 2:
            return None
        generator = np.random.default_rng(0)
        found = []
        for _ in range(BOOTSTRAP_SAMPLES):
            drawn = np.bincount(generator.integers(images, size=images), minlength=images)
            chosen, left_out = int((shares @ drawn).argmax()), drawn == 0
            if left_out.any():
                found.append((shares[0, left_out] - shares[chosen, left_out]).mean())
        return max(0.0, float(np.mean(found)))


def _mean_over_seeds(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(seeds, N) → (N,) the mean of the values that are not NaN; NaN if all are."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
