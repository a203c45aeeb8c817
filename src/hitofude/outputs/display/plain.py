"""A line an event, without control codes; what every display of a run has to offer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from hitofude.learning.epoch_log import EpochLog

HEADER = (
    f"{'member':>8} {'epoch':>8} {'train loss':>11} {'accuracy':>9} {'valid. loss':>12} {'accuracy':>9}"
    f" {'learning rate':>14} {'images/s':>9} {'elapsed':>8}"
)


class Display(Protocol):
    """Messages, and an observer of the training."""

    def message(self, text: str) -> None: ...

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        """Around the training of so many members, with so many images still to be trained on in all."""
        ...

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None: ...

    def epoch_finished(self, log: EpochLog) -> None: ...

    def warned(self, message: str) -> None: ...


class PlainDisplay:
    """A line an event, without control codes."""

    def __init__(self) -> None:
        self._members = 0
        self._epochs: dict[int, int] = {}
        self._started = time.monotonic()

    def message(self, text: str) -> None:
        print(text, flush=True)

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        self._members, self._started = members, time.monotonic()
        if images:
            self.message(HEADER)
        yield

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self._epochs[member] = epochs
        if epochs_done:
            self.message(f"member {member + 1}: continuing after epoch {epochs_done}")

    def batch_finished(self, images: int) -> None:
        pass

    def epoch_finished(self, log: EpochLog) -> None:
        elapsed = time.monotonic() - self._started
        self.message(plain_row(log, self._members, self._epochs[log.member], elapsed))

    def warned(self, message: str) -> None:
        self.message(f"warning: {message}")


class SilentDisplay(PlainDisplay):
    """Says nothing."""

    def message(self, text: str) -> None:
        pass


def plain_row(log: EpochLog, members: int, epochs: int, seconds: float) -> str:
    """An epoch as a line that stands under HEADER; seconds: since the training began."""
    member, epoch = f"{log.member + 1}/{members}", f"{log.epoch}/{epochs}"
    return (
        f"{member:>8} {epoch:>8} {log.train_loss:>11.4f} {log.train_accuracy:>9.4f}"
        f" {figure(log.validation_loss):>12} {figure(log.validation_accuracy):>9}"
        f" {log.learning_rate:>14.3g} {log.images_per_second:>9,.0f} {clock(seconds):>8}"
    )


def figure(value: float | None) -> str:
    """Four decimals, or a dash for a member that has no rows to be validated on."""
    return "-" if value is None else f"{value:.4f}"


def clock(seconds: float) -> str:
    """Minutes and seconds: `0:09`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
