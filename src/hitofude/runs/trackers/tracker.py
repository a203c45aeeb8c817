"""The trackers by name, and their common figures."""

import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from hitofude.errors import InputError, RecipeError, UserError, install_command, suggest
from hitofude.learning.epoch_log import EpochLog, member_folder_name
from hitofude.runs.callbacks import Callback, RunStart
from hitofude.runs.result import RunResult
from hitofude.stage import flat

logger = logging.getLogger(__name__)

TRACKERS = {
    "tensorboard": ("hitofude.runs.trackers.tensorboard_events", "TensorBoard", "tensorboard"),
    "mlflow": ("hitofude.runs.trackers.mlflow_runs", "MLflow", "mlflow"),
    "wandb": ("hitofude.runs.trackers.wandb_files", "WeightsAndBiases", "wandb"),
}
"""Name, which is that of the extra, too → module, class, package."""


class Tracker(Callback):
    """A ready callback, which writes a run's curves."""

    @abstractmethod
    def place(self, run: RunStart) -> str:
        """Return where the curves are, or the command that shows them."""


def choose_callbacks(callbacks: Sequence[Callback | str], warn: Callable[[str], None]) -> list[Callback]:
    """Return the callbacks, those in text as the trackers of that name.

    warn: receives a warning if a tracker fails later on. Raises RecipeError for another name or kind of object,
    InputError if a package is missing.
    """
    return [_careful(one, warn) if isinstance(one, str) else _checked(one) for one in callbacks]


def _checked(callback: Callback) -> Callback:
    if not isinstance(callback, Callback):
        raise RecipeError(f"{callback!r} is no callback. Expected a hitofude.Callback, or {', '.join(TRACKERS)}.")
    return callback


def _careful(name: str, warn: Callable[[str], None]) -> "CarefulTracker":
    if name not in TRACKERS:
        raise RecipeError(f"There is no tracker '{name}'.{suggest(name, list(TRACKERS))}")
    module, kind, package = TRACKERS[name]
    if find_spec(package) is None:
        raise InputError(f"--log {name} needs the package {package}: {install_command(name)}")
    return CarefulTracker(name, getattr(import_module(module), kind)(), warn)


class CarefulTracker(Callback):
    """A tracker whose failure after the start of a run does not end it; the next start writes what is missing."""

    def __init__(self, name: str, tracker: Tracker, warn: Callable[[str], None]) -> None:
        self._name, self._warn = name, warn
        self.tracker: Tracker | None = tracker

    def started(self, run: RunStart) -> None:
        assert self.tracker is not None  # noqa: S101 - it is lost later at the earliest
        try:
            self.tracker.started(run)
        except UserError:
            raise
        except Exception as error:
            logger.debug("%s cannot start", self._name, exc_info=error)
            raise InputError(
                f"{self._name} cannot log this run: {_describe(error)}. Leave --log {self._name} out."
            ) from error

    def epoch(self, log: EpochLog) -> None:
        self._try(lambda tracker: tracker.epoch(log))

    def member(self, number: int, logs: Sequence[EpochLog]) -> None:
        self._try(lambda tracker: tracker.member(number, logs))

    def finished(self, result: RunResult) -> None:
        self._try(lambda tracker: tracker.finished(result))

    def interrupted(self, error: BaseException) -> None:
        self._try(lambda tracker: tracker.interrupted(error))

    def _try(self, news: Callable[[Tracker], None]) -> None:
        if self.tracker is None:
            return
        try:
            news(self.tracker)
        except Exception as error:
            self.tracker = None
            logger.debug("%s is lost", self._name, exc_info=error)
            self._warn(
                f"{self._name} failed, and the run goes on without it: {_describe(error)}. The same command, once the "
                "run is finished, writes what is missing."
            )


def _describe(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0].removesuffix(".")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def curves_of(log: EpochLog) -> dict[str, float]:
    """Return the figures of an epoch by the names that trackers show; those that do not exist are left out."""
    figures = {
        "loss/train": log.train_loss,
        "loss/validation": log.validation_loss,
        "accuracy/train": log.train_accuracy,
        "accuracy/validation": log.validation_accuracy,
        "learning_rate": log.learning_rate,
        "images_per_second": log.images_per_second,
    }
    return {name: value for name, value in figures.items() if value is not None}


def member_name(number: int) -> str:
    """`member-00`, as its folder is `members/00`."""
    return f"member-{member_folder_name(number)}"


def final_figures(result: RunResult) -> dict[str, float]:
    """Return the scores out of fold, the expected test score and the training time of a finished run."""
    summary = result.summary
    figures = {f"out_of_fold/{name}": score.value for name, score in result.scores.items()}
    figures |= {"out_of_fold/accuracy": result.accuracy.value, "training_seconds": summary.training_seconds}
    figures |= {} if result.estimate is None else {"expected_test_score": result.estimate.value}
    figures |= {} if summary.test is None else {"test/accuracy": summary.test.value}
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def flat_settings(run: RunStart) -> dict[str, Any]:
    """Return each setting of the recipe that has a value, by its dotted name."""
    return flat(run.recipe.model_dump(mode="json", exclude_none=True))
