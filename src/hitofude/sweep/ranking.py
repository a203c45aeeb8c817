"""Which recipe is the best, and by how much more than chance: out-of-fold rows alone, paired by image and seed.

Several seeds answer the same images; an image is one image all the same. So each counts once, by the share of the seeds
that have it right, in intervals, standard errors and tests: more seeds tell more of the recipe, not of other images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import mcnemar, wilson_interval
from hitofude.sweep.spec import Settings
from hitofude.sweep.trial import Failure, Trial

COMPARED = 10
"""So many of the next are compared with the best."""

SAMPLES = 500
"""Of the bootstrap that says how much the choice of the best flatters."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A recipe that is finished with every seed."""

    outcomes: tuple[Trial, ...]
    """In the order of the seeds."""

    @property
    def number(self) -> int:
        return self.outcomes[0].run.number

    @property
    def settings(self) -> Settings:
        return self.outcomes[0].run.settings

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return float(np.mean([outcome.accuracy.value for outcome in self.outcomes]))

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, Wilson's, of as many rows as there are images."""
        images = int((~np.isnan(self.shares)).sum())
        return wilson_interval(self.accuracy * images, images)

    @property
    def expected(self) -> float | None:
        found = [outcome.expected for outcome in self.outcomes if outcome.expected is not None]
        return float(np.mean(found)) if found else None

    @property
    def seconds(self) -> float:
        """Of training, all seeds together."""
        return sum(outcome.seconds for outcome in self.outcomes)

    @cached_property
    def right(self) -> NDArray[np.float32]:
        """(seeds, N) 1 right, 0 wrong, NaN not answered."""
        return np.stack([outcome.right for outcome in self.outcomes])

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """(N,) of the seeds that answered an image, the share that has it right; NaN where none did."""
        return _mean_of_known(self.right)


@dataclass(frozen=True)
class PairedComparison:
    """Two recipes on the images that both answered with the same seeds."""

    first: int
    second: int
    difference: float
    """Of the accuracies, the first less the second."""
    standard_error: float
    """Of it, image by image."""
    better: int
    """Images that the first has right with more of the seeds."""
    worse: int
    """With fewer."""

    @classmethod
    def of(cls, first: Candidate, second: Candidate) -> "PairedComparison":
        """There is an image that both answered with the same seed."""
        differences = _mean_of_known(first.right - second.right)
        differences = differences[~np.isnan(differences)]
        return cls(
            first.number,
            second.number,
            difference=float(differences.mean()),
            standard_error=float(differences.std() / np.sqrt(len(differences))),
            better=int((differences > 0).sum()),
            worse=int((differences < 0).sum()),
        )

    @property
    def probability(self) -> float:
        """Of so uneven a split, were both equally good: the exact sign test, McNemar's where there is one seed."""
        return mcnemar(self.better, self.worse)


@dataclass(frozen=True, eq=False)
class Ranking:
    """All recipes of a sweep."""

    contenders: tuple[Candidate, ...]
    """The best first; of equals, who was asked for first."""
    failures: tuple[Failure, ...]

    @classmethod
    def of(cls, found: Sequence[Trial | Failure]) -> "Ranking":
        failures = tuple(item for item in found if isinstance(item, Failure))
        failed = {failure.run.number for failure in failures}
        finished: dict[int, list[Trial]] = {}
        for item in found:
            if isinstance(item, Trial) and item.run.number not in failed:
                finished.setdefault(item.run.number, []).append(item)
        contenders = [Candidate(tuple(outcomes)) for outcomes in finished.values()]
        return cls(tuple(sorted(contenders, key=lambda one: (-one.accuracy, one.number))), failures)

    @property
    def best(self) -> Candidate:
        return self.contenders[0]

    @cached_property
    def comparisons(self) -> list[PairedComparison]:
        """Of the best with the next ones that answered images in common with it."""
        others = self.contenders[1 : COMPARED + 1]
        return [PairedComparison.of(self.best, other) for other in others if _overlap(self.best, other)]

    @cached_property
    def selection_bias(self) -> float | None:
        """How far the best's accuracy lies above that of such a choice on images that it was not made by; None where
        there is nothing to choose, or no image that all answered.

        In each of many samples of the images, drawn with replacement, the best is chosen, and compared with the best of
        all by the images that were not drawn (bootstrap bias correction, I. Tsamardinos et al. 2018,
        doi:10.1007/s10994-018-5714-4).
        """
        shares = np.stack([contender.shares for contender in self.contenders])
        shares = shares[:, ~np.isnan(shares).any(axis=0)]
        recipes, images = shares.shape
        if recipes < 2 or images < 2:
            return None
        generator = np.random.default_rng(0)
        found = []
        for _ in range(SAMPLES):
            drawn = np.bincount(generator.integers(images, size=images), minlength=images)
            chosen, left_out = int((shares @ drawn).argmax()), drawn == 0
            if left_out.any():
                found.append((shares[0, left_out] - shares[chosen, left_out]).mean())
        return max(0.0, float(np.mean(found)))


def _mean_of_known(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(seeds, N) → (N,) the mean over the seeds; NaN where none is known."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _overlap(first: Candidate, second: Candidate) -> bool:
    return bool((~np.isnan(first.right - second.right)).any())
