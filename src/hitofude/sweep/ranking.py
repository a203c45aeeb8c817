"""Which recipe is best, and whether that is chance: out-of-fold rows alone, paired by image and seed.

Several seeds answer the same images, so an image counts once, by the share of the seeds that have it right, in
intervals, standard errors and tests: more seeds tell more about a recipe, but are not more images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import Z_95, answered, mcnemar, wilson_interval
from hitofude.metrics.scores import LOWER_IS_BETTER, Answers, paired_difference, values
from hitofude.recipe import Metric
from hitofude.runs.result import load_result
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
    def metric(self) -> Metric:
        return self.trials[0].metric

    @property
    def value(self) -> float:
        """By the metric, the mean over the seeds."""
        return float(np.mean([trial.value for trial in self.trials]))

    @property
    def accuracy(self) -> float:
        """The mean over the seeds."""
        return float(np.mean([trial.accuracy.value for trial in self.trials]))

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval: of accuracy Wilson's, with as many rows as there are images; of other metrics the mean of
        the seeds' intervals.
        """
        scores = [trial.score for trial in self.trials if trial.score is not None]
        if scores:
            return float(np.mean([one.low for one in scores])), float(np.mean([one.high for one in scores]))
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
    def answers(self) -> dict[int, dict[str, tuple[int, NDArray[np.float32]]]]:
        """The label and the probabilities of each image by its id, for each seed; read from the runs' folders."""
        found = {}
        for trial in self.trials:
            result = load_result(trial.path)
            rows = np.flatnonzero(answered(result.out_of_fold_probabilities)).tolist()
            found[trial.run.seed] = {
                str(result.ids[row]): (int(result.labels[row]), result.out_of_fold_probabilities[row]) for row in rows
            }
        return found

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return load_result(self.trials[0].path).classes

    @cached_property
    def groups(self) -> dict[str, int]:
        """The group of each image by its id; related images have the same."""
        result = load_result(self.trials[0].path)
        return dict(zip(result.ids.tolist(), result.groups.tolist(), strict=True))

    @property
    def are_grouped(self) -> bool:
        """Whether some images belong together."""
        return self.trials[0].accuracy.effective_rows is not None

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
    by_bootstrap: float | None = None
    """The p-value of a bootstrap paired by image or group; None for accuracy of images that stand alone."""

    @classmethod
    def of(cls, first: Candidate, second: Candidate) -> "PairedComparison | None":
        """Return None if no image was answered by both with the same seed."""
        differences = _mean_over_seeds(first.right - second.right)
        differences = differences[~np.isnan(differences)]
        if not len(differences):
            return None
        better, worse = int((differences > 0).sum()), int((differences < 0).sum())
        if first.metric != "accuracy" or first.are_grouped:
            return cls._by_metric(first, second, better, worse)
        mean, error = float(differences.mean()), float(differences.std() / np.sqrt(len(differences)))
        return cls(first.number, second.number, mean, error, better, worse)

    @classmethod
    def _by_metric(cls, first: Candidate, second: Candidate, better: int, worse: int) -> "PairedComparison | None":
        """Compare on the images that both answered with every seed."""
        ids = ids_in_common([first, second])
        if not ids:
            return None
        (ours, theirs), groups = answers_to(ids, [first, second]), np.array([first.groups[id] for id in ids])
        related = None if len(np.unique(groups)) == len(groups) else groups
        found = paired_difference(first.metric, ours, theirs, related)
        if found is None:
            return None
        error = (found.high - found.low) / (2 * Z_95)
        return cls(first.number, second.number, found.value, error, better, worse, found.probability)

    @property
    def probability(self) -> float:
        """The p-value: of accuracy by the exact sign test, which with one seed is McNemar's."""
        return mcnemar(self.better, self.worse) if self.by_bootstrap is None else self.by_bootstrap


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
        return cls(tuple(sorted(candidates, key=_worst_last)), failures)

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
        if self.best.metric != "accuracy":
            return self._selection_bias_by_metric()
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

    def _selection_bias_by_metric(self) -> float | None:
        """The same by another metric than accuracy."""
        metric, ids = self.best.metric, ids_in_common(self.candidates)
        if len(self.candidates) < 2 or not ids:
            return None
        several, images, generator = answers_to(ids, self.candidates), len(ids), np.random.default_rng(0)
        sign = -1 if metric in LOWER_IS_BETTER else 1
        found = []
        for _ in range(BOOTSTRAP_SAMPLES // 5):
            drawn = np.bincount(generator.integers(images, size=images), minlength=images).astype(np.float64)
            weights = np.stack([drawn, drawn == 0])
            of_recipes = [np.mean([values(metric, one, weights) for one in seeds], axis=0) for seeds in several]
            on_drawn, on_left_out = np.stack(of_recipes, axis=1)
            if not np.isnan([on_drawn, on_left_out]).any():
                chosen = int((sign * on_drawn).argmax())
                found.append(sign * (on_left_out[0] - on_left_out[chosen]))
        return max(0.0, float(np.mean(found))) if found else None


def ids_in_common(candidates: Sequence[Candidate]) -> list[str]:
    """Return the ids of the images that all recipes answered with every seed."""
    every = [by_id for candidate in candidates for by_id in candidate.answers.values()]
    return [id for id in every[0] if all(id in by_id for by_id in every)]


def answers_to(ids: Sequence[str], candidates: Sequence[Candidate]) -> list[list[Answers]]:
    """Return each recipe's answers to these images with each seed."""
    first = next(iter(candidates[0].answers.values()))
    labels = np.array([first[id][0] for id in ids])
    return [
        [
            Answers.of(labels, np.stack([by_id[id][1] for id in ids]), candidate.classes)
            for by_id in candidate.answers.values()
        ]
        for candidate in candidates
    ]


def _worst_last(candidate: Candidate) -> tuple[float, int]:
    value = candidate.value if candidate.metric in LOWER_IS_BETTER else -candidate.value
    return np.inf if np.isnan(value) else value, candidate.number


def _mean_over_seeds(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """(seeds, N) → (N,) the mean of the values that are not NaN; NaN if all are."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(axis=0, dtype=np.float64)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)
