"""A run of a sweep, and its outcome: a trial or a failure."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.language.translation import say
from hitofude.metrics.metrics import Accuracy, answered
from hitofude.metrics.scores import NAMES, Score
from hitofude.recipe import Metric, Recipe
from hitofude.runs.result import RunResult
from hitofude.sweep.spec import Settings


@dataclass(frozen=True)
class Run:
    """A recipe with a seed."""

    number: int
    """The recipe's, from 1 up, in the order in which recipes were tried."""
    seed: int
    settings: Settings = field(compare=False)
    """The settings that differ from the base, without the seed."""
    recipe: Recipe = field(compare=False)

    @property
    def name(self) -> str:
        return f"{self.number:03d}-seed-{self.seed}"


@dataclass(frozen=True, eq=False)
class Trial:
    """A finished run."""

    run: Run
    path: Path
    accuracy: Accuracy
    """Out of fold."""
    expected_score: float | None
    """On the images to predict, if there are any."""
    seconds: float
    """Training time, the sum over the members."""
    right: NDArray[np.float32]  # (N,) of all training rows: 1 right, 0 wrong, NaN not answered out of fold
    metric: Metric = "accuracy"
    score: Score | None = None
    """By the metric, out of fold; None for accuracy, or if the metric is not defined."""

    @classmethod
    def of(cls, run: Run, result: RunResult, ids: NDArray[np.str_]) -> "Trial":
        """ids: (N,) of all training rows; the recipe may have used some of them."""
        known = answered(result.out_of_fold_probabilities)
        order = np.argsort(ids)
        rows = order[np.searchsorted(ids, result.ids[known], sorter=order)]
        right = np.full(len(ids), np.nan, dtype=np.float32)
        right[rows] = result.out_of_fold_probabilities[known].argmax(axis=1) == result.labels[known]
        expected = None if result.estimate is None else result.estimate.value
        metric, seconds = result.summary.metric, result.summary.training_seconds
        score = None if metric == "accuracy" else result.score
        return cls(run, result.folder.path, result.accuracy, expected, seconds, right, metric, score)

    @property
    def value(self) -> float:
        """By the metric; NaN if it is not defined."""
        if self.metric == "accuracy":
            return self.accuracy.value
        return math.nan if self.score is None else self.score.value

    def describe(self) -> str:
        if self.metric == "accuracy":
            return say("out of fold {value:.4f}", value=self.value)
        return say("out of fold {metric} {value:.4f}", metric=say(NAMES[self.metric]), value=self.value)


@dataclass(frozen=True, eq=False)
class Failure:
    """A run that cannot be finished."""

    run: Run
    reason: str

    def describe(self) -> str:
        return say("failed: {reason}", reason=self.reason)


Result = Trial | Failure


def describe_settings(settings: Settings) -> str:
    """`optimizer.learning_rate 0.02, schedule.epochs 5`"""
    return ", ".join(f"{name} {as_text(value)}" for name, value in settings.items()) or "nothing changed"


def as_text(value: Any) -> str:
    """Return a setting's value as in TOML, but text without quotes."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
