"""One display for all runs of a sweep: members are numbered over all runs, and each finished run has a line."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hitofude.language.translation import say, say_count, translate
from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display import Display, SilentDisplay
from hitofude.outputs.display.lines import clock
from hitofude.sweep.trial import Result, Run, describe_settings


@dataclass(frozen=True)
class Planned:
    """A run that is to be trained, and how much of it is left."""

    run: Run
    members: int
    images: int
    """Left to train on, counted once an epoch."""
    bytes: int = 0
    """Left to write."""
    parameters: int = 0
    """The largest network's."""


class Progress:
    """Passes the events of many runs, each in a thread of its own, to one display."""

    def __init__(self, display: Display, runs: int) -> None:
        """runs: of the whole sweep."""
        self.display, self.lock = display, threading.RLock()
        self._runs, self._ended = runs, 0
        self._images = self.images_done = 0
        self._started = time.monotonic()

    def skip(self, runs: int, reason: str) -> None:
        """Count runs that are not trained now."""
        self._ended += runs
        self.display.message(reason)

    @contextmanager
    def training(self, planned: Sequence[Planned]) -> Iterator[dict[Run, "RunProgress"]]:
        """Give each run a display while the runs are trained."""
        self._images, self.images_done, self._started = sum(one.images for one in planned), 0, time.monotonic()
        displays, first = {}, 0
        for one in planned:
            displays[one.run] = RunProgress(self, one, first)
            first += one.members
        text = say(
            "training {runs}, {members}, {images} counted once an epoch",
            runs=say_count(len(planned), "run"), members=say_count(first, "member"),
            images=say_count(self._images, "image"),
        )  # fmt: skip
        self.display.message(text)
        with self.display.training(first, self._images):
            yield displays

    def finished(self, result: Result) -> None:
        with self.lock:
            self._ended += 1
            run, left = result.run, ""
            if 0 < self.images_done < self._images:
                seconds = (time.monotonic() - self._started) * (self._images / self.images_done - 1)
                left = say(", about {time} left", time=clock(seconds))
            settings, outcome = translate(describe_settings(run.settings)), result.describe()
            text = say(
                "run {number} of {runs}, {name} ({settings}): {outcome}",
                number=self._ended, runs=self._runs, name=run.name, settings=settings, outcome=outcome,
            )  # fmt: skip
            self.display.message(text + left)


class RunProgress(SilentDisplay):
    """The display of one run, which passes its events on to the sweep's."""

    def __init__(self, progress: Progress, planned: Planned, first: int) -> None:
        """first: the number of its first member among all members of the sweep."""
        super().__init__()
        self._progress, self._run, self._first, self._images_left = progress, planned.run, first, planned.images
        self._epochs: dict[int, int] = {}

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        with self._progress.lock:
            self._epochs[member] = epochs
            self._progress.display.member_started(self._first + member, epochs, epochs_done)

    def batch_finished(self, images: int) -> None:
        with self._progress.lock:
            self._images_left -= images
            self._progress.images_done += images
            self._progress.display.batch_finished(images)

    def epoch_finished(self, log: EpochLog) -> None:
        """Show a member's last epoch only: a sweep has hundreds."""
        if log.epoch == self._epochs[log.member]:
            with self._progress.lock:
                self._progress.display.epoch_finished(replace(log, member=self._first + log.member))

    def warned(self, message: str) -> None:
        with self._progress.lock:
            self._progress.display.warned(f"{self._run.name}: {translate(message)}")

    def finished(self, result: Result) -> None:
        """Leave out the images that a failed run has not trained on."""
        self.batch_finished(self._images_left)
        self._progress.finished(result)
