"""Callbacks: the user's own code, and ready trackers, that are told of a run's progress."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hitofude.learning.epoch_log import EpochLog
from hitofude.recipe import Recipe
from hitofude.runs.result import RunResult


@dataclass(frozen=True, eq=False)
class RunStart:
    """A run that begins or is continued."""

    folder: Path
    source: str
    """The name of the data."""
    recipe: Recipe
    members: int
    """The number of networks to train."""
    epochs: dict[int, int]
    """The number of epochs of each member."""
    logs: tuple[EpochLog, ...]
    """The epochs that an earlier process made and saved, in their order for each member; none in a new run."""

    @property
    def name(self) -> str:
        return self.folder.resolve().name


class Callback:
    """Told of a run's progress, in the process and the thread that started it; override what you need.

    Every epoch is told once: by `started` if an earlier process saved it, else by `epoch`. Its state is saved by then,
    so whoever writes all that they are told has each epoch once, however often the run was killed. With several workers
    the epochs of the members mix. An exception ends the run, which the same call continues.
    """

    def started(self, run: RunStart) -> None:
        """Before the first epoch. A run that is finished already is started with all epochs, and finished."""

    def epoch(self, log: EpochLog) -> None:
        """After each epoch of a member, with its figures; members are numbered from 0."""

    def member(self, number: int, logs: Sequence[EpochLog]) -> None:
        """After the last epoch of a member, with all of its epochs. It has yet to predict."""

    def finished(self, result: RunResult) -> None:
        """When all files of the run folder are written."""

    def interrupted(self, error: BaseException) -> None:
        """When the run ends by an error or by Ctrl-C in place of that; not if the process is killed."""


class Callbacks:
    """All callbacks of a run."""

    def __init__(self, callbacks: Sequence[Callback], start: RunStart) -> None:
        self._callbacks, self._epochs = callbacks, start.epochs
        self._logs: dict[int, list[EpochLog]] = {number: [] for number in start.epochs}
        for log in start.logs:
            self._logs[log.member].append(log)
        self._tell(lambda one: one.started(start))

    def epoch_finished(self, log: EpochLog) -> None:
        logs = self._logs[log.member]
        logs.append(log)
        self._tell(lambda one: one.epoch(log))
        if log.epoch == self._epochs[log.member]:
            self._tell(lambda one: one.member(log.member, tuple(logs)))

    def finished(self, result: RunResult) -> None:
        self._tell(lambda one: one.finished(result))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Tell of an exception that leaves the block."""
        try:
            yield
        except BaseException as error:
            for callback in self._callbacks:
                callback.interrupted(error)
            raise

    def _tell(self, news: Callable[[Callback], None]) -> None:
        for callback in self._callbacks:
            news(callback)
