"""The metrics that a run can be judged by, each with a 95 % interval and a baseline.

They are scikit-learn's: accuracy_score, balanced_accuracy_score, f1_score(average="macro"), log_loss, roc_auc_score
(one class against the others, mean over the classes; of the second class if there are two) and
cohen_kappa_score(weights="quadratic"). A class without rows is left out of the means over classes. The quadratic kappa
needs classes that are numbers; the distance of two classes is that of the numbers.

The baseline answers the commonest class for every row, with the classes' shares as its probabilities.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import RecipeError, suggest
from hitofude.language.translation import say
from hitofude.metrics.bootstrap import (
    SAMPLES,
    Weights,
    draw_weights,
    percentile_interval,
    sum_by,
    two_sided_probability,
)
from hitofude.metrics.grouped import grouped_accuracy
from hitofude.recipe import Metric

METRICS: tuple[Metric, ...] = get_args(Metric)
NEED_PROBABILITIES: frozenset[Metric] = frozenset({"log-loss", "auc"})
LOWER_IS_BETTER: frozenset[Metric] = frozenset({"log-loss"})
NAMES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "balanced-accuracy": "balanced accuracy",
    "macro-f1": "macro F1",
    "log-loss": "log loss",
    "auc": "AUC",
    "quadratic-kappa": "quadratic kappa",
}

FEWEST_SAMPLES, MOST_WORK = 200, 100_000_000
"""The AUC of many rows and classes has fewer samples, so that it takes a second or two."""

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Probabilities are clipped to it in the log loss, as in scikit-learn."""


@dataclass(frozen=True, repr=False)
class Score:
    """The value of a metric with its 95 % interval, and the value of the baseline."""

    value: float
    low: float
    high: float
    baseline: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high

    def __str__(self) -> str:
        return say(
            "{value:.4f} (95 % interval {low:.4f} to {high:.4f})", value=self.value, low=self.low, high=self.high
        )

    def __repr__(self) -> str:
        return f"Score({self.value:.4f}, 95 % interval {self.low:.4f} to {self.high:.4f}, baseline {self.baseline:.4f})"


@dataclass(frozen=True, eq=False)
class Answers:
    """Labels of rows, and a classifier's answers to them."""

    labels: NDArray[np.int64]  # (N,), N ≥ 1, each an index into classes
    answers: NDArray[np.int64]  # (N,)
    probabilities: NDArray[np.float64] | None  # (N, classes)
    classes: tuple[str, ...]

    @classmethod
    def of(cls, labels: NDArray[np.int64], probabilities: NDArray[np.floating], classes: Sequence[str]) -> "Answers":
        """labels: (N,); probabilities: (N, classes), none of them NaN."""
        return cls(labels, probabilities.argmax(axis=1), probabilities.astype(np.float64), tuple(classes))

    @classmethod
    def of_baseline(
        cls, labels: NDArray[np.int64], classes: Sequence[str], shares: NDArray[np.float64] | None = None
    ) -> "Answers":
        """Answer every row with the shares of the classes, (classes,); by default those of the labels."""
        if shares is None:
            shares = np.bincount(labels, minlength=len(classes)) / len(labels)
        return cls.of(labels, np.tile(shares, (len(labels), 1)), classes)

    @cached_property
    def numbers(self) -> NDArray[np.float64] | None:
        """(classes,) the classes as numbers, centred; None if one of them is none."""
        found = class_numbers(self.classes)
        return None if found is None else found - found.mean()

    @property
    def known_probabilities(self) -> NDArray[np.float64]:
        if self.probabilities is None:
            raise ValueError("there are answers alone, and no probabilities")
        return self.probabilities

    @cached_property
    def losses(self) -> NDArray[np.float64]:
        """(N,) the -log of each label's probability, in nats; needs probabilities."""
        of_label = self.known_probabilities[np.arange(len(self.labels)), self.labels]
        losses: NDArray[np.float64] = -np.log(of_label.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
        return losses

    @cached_property
    def rankings(self) -> "list[_Ranking]":
        """The ranking of the rows by each class's probability; of the second class if there are two."""
        ranked = (1,) if len(self.classes) == 2 else range(len(self.classes))
        found = [(self.labels == label, self.known_probabilities[:, label]) for label in ranked]
        return [_Ranking.of(of_class, scores) for of_class, scores in found if 0 < of_class.sum() < len(of_class)]

    def take(self, rows: NDArray[np.int64]) -> "Answers":
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Answers(self.labels[rows], self.answers[rows], probabilities, self.classes)

    def with_answers(self, labels: NDArray[np.int64], answers: NDArray[np.int64]) -> "Answers":
        """Append rows without probabilities."""
        labels, answers = np.concatenate([self.labels, labels]), np.concatenate([self.answers, answers])
        return Answers(labels, answers, None, self.classes)

    def pseudo_rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return labels and answers of a right and a wrong row for each class that has rows.

        The wrong answer is the one most often given to the class's rows, else the commonest other class.
        """
        counts = np.bincount(self.labels, minlength=len(self.classes)).astype(np.float64)
        answers = []
        for label in (present := np.flatnonzero(counts)):
            given = np.bincount(self.answers[self.labels == label], minlength=len(counts)) + counts / (2 * counts.sum())
            given[label] = -1
            answers += [label, given.argmax()]
        return present.repeat(2), np.array(answers)

    def kinds(self, metric: Metric) -> list[NDArray[np.int64]]:
        """Return arrays of (N,): rows with the same numbers in all of them are alike to the metric."""
        if metric == "log-loss":
            return [np.arange(len(self.labels))]
        if metric == "auc":
            return [self.labels, *(ranking.run_of_row for ranking in self.rankings)]
        return [self.labels, self.answers]


def parse_metric(name: str) -> Metric:
    """Return a metric by its name. Raises RecipeError for an unknown one."""
    for metric in METRICS:
        if metric == name:
            return metric
    raise RecipeError(f"There is no metric '{name}'.{suggest(name, list(METRICS))}")


def class_numbers(classes: Sequence[str]) -> NDArray[np.float64] | None:
    """Return (classes,) the classes as numbers; None if one of them is no finite number."""
    try:
        found = np.array([float(name) for name in classes])
    except ValueError:
        return None
    return found if np.isfinite(found).all() else None


def values(metric: Metric, answers: Answers, weights: Weights | None = None) -> NDArray[np.float64]:
    """Return (samples,) values of a metric, one for each sample's weights of the rows, (samples, N).

    By default one value, with all weights 1. NaN if the metric is not defined: AUC if all labels are the same, the
    quadratic kappa also if the classes are no numbers, both metrics of probabilities if there are only answers.
    """
    of_rows = np.ones((1, len(answers.labels))) if weights is None else weights
    undefined = np.full(len(of_rows), np.nan)
    if metric in NEED_PROBABILITIES and answers.probabilities is None:
        return undefined
    with np.errstate(invalid="ignore", divide="ignore"):
        return _FUNCTIONS[metric](answers, of_rows)


def value_of(metric: Metric, answers: Answers) -> float | None:
    """Return the metric's value; None if it is not defined, see `values`."""
    found = float(values(metric, answers)[0])
    return None if np.isnan(found) else found


def score(
    metric: Metric,
    answers: Answers,
    groups: NDArray[np.int64] | None = None,
    shares: NDArray[np.float64] | None = None,
) -> Score | None:
    """Return the metric with its interval and its baseline; None if it is not defined, see `values`.

    groups: (N,) of rows that belong together, from 0 up: the bootstrap draws whole groups. shares: (classes,) of the
    rows trained on, which the baseline answers; by default of the labels.

    The interval is Wilson's for accuracy, with the effective number of rows if there are groups. For the others it is
    the wider one, at each end, of two Bayesian bootstraps: of the rows, and of the rows with pseudo-rows, without which
    the interval of a class that is always right would have no width, however few its rows are.
    """
    value = value_of(metric, answers)
    if value is None:
        return None
    baseline = value_of(metric, Answers.of_baseline(answers.labels, answers.classes, shares))
    if metric == "accuracy":
        low, high = grouped_accuracy(answers.labels, answers.answers, groups).interval
    else:
        both = (False,) if metric == "log-loss" else (False, True)
        samples = [_sampled(metric, [answers], groups, with_pseudo_rows=add)[0] for add in both]
        ends = np.quantile(samples, [0.025, 0.975], axis=1)
        low, high = min(float(ends[0].min()), value), max(float(ends[1].max()), value)
    return Score(value, low, high, float("nan") if baseline is None else baseline)


def all_scores(
    answers: Answers, groups: NDArray[np.int64] | None = None, shares: NDArray[np.float64] | None = None
) -> dict[Metric, Score]:
    """Return every metric that is defined, see `score`."""
    found = {metric: score(metric, answers, groups, shares) for metric in METRICS}
    return {metric: one for metric, one in found.items() if one is not None}


def is_better(metric: Metric, first: float, second: float) -> bool:
    return first < second if metric in LOWER_IS_BETTER else first > second


@dataclass(frozen=True)
class PairedDifference:
    """The metric of one classifier less that of another on the same rows."""

    value: float
    low: float
    """The 95 % interval, from the same bootstrap samples for both."""
    high: float
    probability: float
    """The p-value of no difference."""


def paired_difference(
    metric: Metric,
    first: Sequence[Answers],
    second: Sequence[Answers],
    groups: NDArray[np.int64] | None = None,
) -> PairedDifference | None:
    """Compare two classifiers, each with one or several seeds, whose values are averaged; None if not defined.

    All answers are to the same rows in the same order; groups as in `score`.
    """
    found = [float(values(metric, answers)[0]) for answers in (*first, *second)]
    if np.isnan(found).any():
        return None
    samples = _sampled(metric, [*first, *second], groups)
    difference = float(np.mean(found[: len(first)]) - np.mean(found[len(first) :]))
    drawn = samples[: len(first)].mean(axis=0) - samples[len(first) :].mean(axis=0)
    low, high = percentile_interval(drawn, difference)
    return PairedDifference(difference, low, high, two_sided_probability(drawn))


def _sampled(
    metric: Metric,
    several: Sequence[Answers],
    groups: NDArray[np.int64] | None,
    *,
    with_pseudo_rows: bool = False,
) -> NDArray[np.float64]:
    """Return (classifiers, samples) values, all from the same weights.

    Rows that are alike to the metric for every classifier are drawn as one, with the sum of their weights.
    """
    kinds, first_rows = _join([one for answers in several for one in answers.kinds(metric)])
    collapsed, pseudo_rows = [answers.take(first_rows) for answers in several], 0
    if with_pseudo_rows and metric == "auc":
        pseudo_rows = 2 * len(several[0].rankings)
    elif with_pseudo_rows and metric != "log-loss":
        added = [answers.pseudo_rows() for answers in several]
        collapsed = [answers.with_answers(*rows) for answers, rows in zip(collapsed, added, strict=True)]
        pseudo_rows = len(added[0][0])
    samples = SAMPLES
    if metric == "auc":
        work = len(first_rows) * sum(len(answers.rankings) for answers in several)
        samples = int(np.clip(MOST_WORK // max(work, 1), FEWEST_SAMPLES, SAMPLES))
    pieces = draw_weights(kinds, groups, pseudo_rows, samples)
    return np.concatenate(
        [np.stack([values(metric, answers, weights) for answers in collapsed]) for weights in pieces], axis=1
    )


def _join(kinds: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct combinations of several (N,) arrays; return each row's, and the first row of each."""
    joined = np.zeros(len(kinds[0]), dtype=np.int64)
    for one in kinds:
        _, first_rows, joined = np.unique(joined * (one.max() + 1) + one, return_index=True, return_inverse=True)
    return joined, first_rows


def _counts(answers: Answers, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (samples, classes) the weights of the rows with each label, of its right answers, of its answers."""
    classes, right = len(answers.classes), answers.labels == answers.answers
    return (
        sum_by(answers.labels, weights, classes),
        sum_by(answers.labels[right], weights[:, right], classes),
        sum_by(answers.answers, weights, classes),
    )


def _accuracy(answers: Answers, weights: Weights) -> NDArray[np.float64]:
    right: NDArray[np.float64] = weights @ (answers.labels == answers.answers) / weights.sum(axis=1)
    return right


def _balanced_accuracy(answers: Answers, weights: Weights) -> NDArray[np.float64]:
    labelled, right, _ = _counts(answers, weights)
    recalls: NDArray[np.float64] = np.nanmean(right / labelled, axis=1)
    return recalls


def _macro_f1(answers: Answers, weights: Weights) -> NDArray[np.float64]:
    labelled, right, answered = _counts(answers, weights)
    f1: NDArray[np.float64] = np.nanmean(2 * right / (labelled + answered), axis=1)
    return f1


def _log_loss(answers: Answers, weights: Weights) -> NDArray[np.float64]:
    loss: NDArray[np.float64] = weights @ answers.losses / weights.sum(axis=1)
    return loss


def _auc(answers: Answers, weights: Weights) -> NDArray[np.float64]:
    if not answers.rankings:
        return np.full(len(weights), np.nan)
    of_rows, of_pseudo_rows = np.split(weights, [len(answers.labels)], axis=1)
    pairs = np.split(of_pseudo_rows, len(answers.rankings), axis=1)
    found = [ranking.auc(of_rows, pair) for ranking, pair in zip(answers.rankings, pairs, strict=True)]
    auc: NDArray[np.float64] = np.mean(found, axis=0)
    return auc


def _quadratic_kappa(answers: Answers, weights: Weights) -> NDArray[np.float64]:
    """Return 1 - E(y - a)² / E(y - a')², where a' has the distribution of the answers a but is independent of y."""
    if answers.numbers is None:
        return np.full(len(weights), np.nan)
    label, answer, total = answers.numbers[answers.labels], answers.numbers[answers.answers], weights.sum(axis=1)
    mean: Callable[[NDArray[np.float64]], NDArray[np.float64]] = partial(_weighted_mean, weights, total)
    by_chance = mean(label**2) + mean(answer**2) - 2 * mean(label) * mean(answer)
    return 1 - mean((label - answer) ** 2) / by_chance


def _weighted_mean(weights: Weights, total: NDArray[np.float64], of_rows: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = weights @ of_rows / total
    return mean


_FUNCTIONS: dict[Metric, Callable[[Answers, Weights], NDArray[np.float64]]] = {
    "accuracy": _accuracy,
    "balanced-accuracy": _balanced_accuracy,
    "macro-f1": _macro_f1,
    "log-loss": _log_loss,
    "auc": _auc,
    "quadratic-kappa": _quadratic_kappa,
}


@dataclass(frozen=True, eq=False)
class _Ranking:
    """Rows by rising score, in runs: rows of equal score, or neighbours that are all of the class or all of others.

    Within a run of one kind the order changes nothing, and a good classifier has few runs.
    """

    run_of_row: NDArray[np.int64]  # (N,)
    of_class: NDArray[np.bool_]  # (N,)

    @classmethod
    def of(cls, of_class: NDArray[np.bool_], scores: NDArray[np.float64]) -> "_Ranking":
        """of_class: (N,) whether a row is of the class; scores: (N,)."""
        _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
        share = np.bincount(place, weights=of_class) / counts
        is_new = (np.diff(share, prepend=-1) != 0) | ((share > 0) & (share < 1))
        return cls((np.cumsum(is_new) - 1)[place], of_class)

    def auc(self, weights: Weights, of_pseudo_rows: Weights) -> NDArray[np.float64]:
        """(samples,) the probability that a row of the class has a higher score than another; a tie counts half.

        of_pseudo_rows: (samples, 2) a right and a wrong row of the class or of the others, whichever are fewer:
        they rank above or below all of the other side; or (samples, 0).
        """
        runs = int(self.run_of_row.max()) + 1
        positive, negative = (
            sum_by(self.run_of_row[kind], weights[:, kind], runs) for kind in (self.of_class, ~self.of_class)
        )
        below = np.cumsum(negative, axis=1) - negative / 2
        rows_of_class, others = positive.sum(axis=1), negative.sum(axis=1)
        auc: NDArray[np.float64] = (positive * below).sum(axis=1) / (rows_of_class * others)
        fewer = np.minimum(rows_of_class, others)
        auc += (of_pseudo_rows[:, :1].sum(axis=1) - auc * of_pseudo_rows.sum(axis=1)) / (
            fewer + of_pseudo_rows.sum(axis=1)
        )
        return auc
