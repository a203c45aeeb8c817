"""A run of a sweep, and what became of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import Accuracy, answered
from hitofude.recipe import Recipe
from hitofude.runs.result import RunResult
from hitofude.sweep.spec import Settings


@dataclass(frozen=True, eq=False)
class Run:
    """A recipe with a seed."""

    number: int
    """Of the recipe, from 1 up, in the order in which they were asked for."""
    seed: int
    settings: Settings
    """What differs from the base, without the seed."""
    recipe: Recipe

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
    expected: float | None
    """The score on the images to predict, where there are some."""
    seconds: float
    """Of training, all members together."""
    right: NDArray[np.float32]  # (N,) of all training rows: 1 right, 0 wrong, NaN not answered out of fold

    @classmethod
    def of(cls, run: Run, result: RunResult, ids: NDArray[np.str_]) -> "Trial":
        """ids: (N,) of all training rows, of which a recipe may have taken some."""
        estimate = result.estimate
        return cls(
            run=run,
            path=result.folder.path,
            accuracy=result.accuracy,
            expected=None if estimate is None else estimate.value,
            seconds=result.summary.training_seconds,
            right=_right(result, ids),
        )


@dataclass(frozen=True, eq=False)
class Failure:
    """A run that cannot be finished."""

    run: Run
    reason: str


def describe_settings(settings: Settings) -> str:
    """`optimizer.learning_rate 0.02, schedule.epochs 5`"""
    return ", ".join(f"{name} {as_text(value)}" for name, value in settings.items()) or "nothing changed"


def as_text(value: Any) -> str:
    """A setting's value, as TOML has it but for the quotes of text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _right(result: RunResult, ids: NDArray[np.str_]) -> NDArray[np.float32]:
    probabilities = result.out_of_fold_probabilities
    known = answered(probabilities)
    order = np.argsort(ids)
    rows = order[np.searchsorted(ids, result.ids[known], sorter=order)]
    right = np.full(len(ids), np.nan, dtype=np.float32)
    right[rows] = probabilities[known].argmax(axis=1) == result.labels[known]
    return right
