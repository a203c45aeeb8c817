"""One display for all runs of a sweep: members are numbered over all of them, and each run that ends has a line."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display import Display
from hitofude.outputs.display.plain import clock
from hitofude.sweep.trial import Failure, Run, Trial, describe_settings


@dataclass(frozen=True)
class Planned:
    """A run that is to be made."""

    run: Run
    members: int
    images: int
    """Still to be trained on, counted once an epoch."""


class Progress:
    """Gathers what many runs tell, each in a thread of its own, for one display."""

    def __init__(self, display: Display, runs: int) -> None:
        """runs: of the whole sweep."""
        self._display, self._runs = display, runs
        self._lock = threading.RLock()
        self._ended = 0
        self._images = self._images_done = 0
        self._began = time.monotonic()

    def message(self, text: str) -> None:
        with self._lock:
            self._display.message(text)

    def skip(self, runs: int, why: str) -> None:
        """So many runs are not to be made."""
        self._ended += runs
        self.message(why)

    @contextmanager
    def making(self, planned: Sequence[Planned]) -> Iterator[dict[Run, "RunProgress"]]:
        """Around the making of these runs; what each of them is told to."""
        self._images, self._images_done, self._began = sum(one.images for one in planned), 0, time.monotonic()
        views, first = {}, 0
        for one in planned:
            views[one.run] = RunProgress(self, one, first)
            first += one.members
        with self._display.training(first, self._images):
            yield views

    def ended(self, view: "RunProgress", found: Trial | Failure) -> None:
        """A run has ended; what it was thought to train on and has not is left out."""
        with self._lock:
            view.batch_finished(view.images_left)
            self._ended += 1
            said = (
                f"failed: {found.reason}" if isinstance(found, Failure) else f"out of fold {found.accuracy.value:.4f}"
            )
            left = self._seconds_left()
            rest = f", about {clock(left)} left" if left is not None else ""
            settings = describe_settings(found.run.settings)
            self._display.message(f"run {self._ended} of {self._runs}, {found.run.name} ({settings}): {said}{rest}")

    def _seconds_left(self) -> float | None:
        """Of what is being made now; None where it is not known, or nothing is left."""
        if not 0 < self._images_done < self._images:
            return None
        return (time.monotonic() - self._began) * (self._images / self._images_done - 1)


class RunProgress:
    """A display for one run, which tells the one of all."""

    def __init__(self, progress: Progress, planned: Planned, first: int) -> None:
        """first: its first member's number."""
        self._progress, self._name, self._first = progress, planned.run.name, first
        self._display, self._lock = progress._display, progress._lock
        self._epochs: dict[int, int] = {}
        self.images_left = planned.images

    def message(self, text: str) -> None:
        """What a run alone says of itself, all runs have said together."""

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:  # noqa: ARG002
        yield

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        with self._lock:
            self._epochs[member] = epochs
            self._display.member_started(self._first + member, epochs, epochs_done)

    def batch_finished(self, images: int) -> None:
        with self._lock:
            self.images_left -= images
            self._progress._images_done += images
            self._display.batch_finished(images)

    def epoch_finished(self, log: EpochLog) -> None:
        """Only the last of each member is shown: a sweep has hundreds."""
        if log.epoch == self._epochs[log.member]:
            with self._lock:
                self._display.epoch_finished(replace(log, member=self._first + log.member))

    def warned(self, message: str) -> None:
        with self._lock:
            self._display.warned(f"{self._name}: {message}")
