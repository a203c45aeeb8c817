"""Whether networks are any better than always answering the commonest class."""

from collections.abc import Mapping, Sequence

import numpy as np

from hitofude.language.translation import note
from hitofude.metrics.metrics import mcnemar
from hitofude.metrics.scores import LOWER_IS_BETTER, NAMES, Score
from hitofude.recipe import Metric

GUESS = "NO BETTER THAN A GUESS"
"""The beginning of both sentences."""


def no_better_than_commonest(
    metric: Metric, scores: Mapping[Metric, Score], confusion: Sequence[Sequence[int]], classes: Sequence[str]
) -> str | None:
    """Return a sentence if always answering the commonest class is as good by the metric, else None.

    Accuracies are compared by McNemar's exact test at 5 %; for another metric the baseline must be within its interval,
    or be better. scores: out of fold; confusion: labels down, answers across.
    """
    score = scores.get(metric)
    if metric == "accuracy" or score is None:
        return _no_more_accurate(confusion, classes)
    reached = score.high >= score.baseline if metric in LOWER_IS_BETTER else score.low <= score.baseline
    if not reached:
        return None
    return note(
        "NO BETTER THAN A GUESS: the {metric} of always answering the commonest class is {baseline:.4f}, that of these "
        "networks {value:.4f} (95 % interval {low:.4f} to {high:.4f}). Train longer, or with more images of each class",
        metric=NAMES[metric], baseline=score.baseline, value=score.value, low=score.low, high=score.high,
    )  # fmt: skip


def _no_more_accurate(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> str | None:
    counts = np.asarray(confusion)
    rows, right = counts.sum(axis=1), counts.diagonal()
    commonest, total = int(rows.argmax()), int(rows.sum())
    only_answers, only_commonest = int(right.sum() - right[commonest]), int(rows[commonest] - right[commonest])
    if only_answers > only_commonest and mcnemar(only_answers, only_commonest) < 0.05:
        return None
    return note(
        "NO BETTER THAN A GUESS: always answering '{name}' is right in {share:.4f} of the rows, these networks "
        "in {own:.4f}. Train longer, or with more images of each class",
        name=classes[commonest], share=rows[commonest] / total, own=right.sum() / total,
    )  # fmt: skip
