"""What a run says while it works: a live bar and table on a terminal, plain lines anywhere else."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hitofude.learning.checkpoint import EpochLog

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
        self.message(self._row(log))

    def warned(self, message: str) -> None:
        self.message(f"warning: {message}")

    def _row(self, log: EpochLog) -> str:
        member, epoch = f"{log.member + 1}/{self._members}", f"{log.epoch}/{self._epochs[log.member]}"
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        return (
            f"{member:>8} {epoch:>8} {log.train_loss:>11.4f} {log.train_accuracy:>9.4f}"
            f" {_figure(log.validation_loss):>12} {_figure(log.validation_accuracy):>9}"
            f" {log.learning_rate:>14.3g} {log.images_per_second:>9,.0f}"
            f" {minutes:>5}:{seconds:02d}"
        )


class TerminalDisplay(PlainDisplay):
    """The same lines above a bar with images/s and the time left."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            _ImagesPerSecond(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=4,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("training", total=None)
        self._at_work: set[int] = set()

    def message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        if not images:
            yield
            return
        self._progress.reset(self._task, total=images)
        with self._progress, super().training(members, images):
            yield

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        super().member_started(member, epochs, epochs_done)
        self._at_work.add(member)
        self._describe()

    def batch_finished(self, images: int) -> None:
        self._progress.advance(self._task, images)

    def epoch_finished(self, log: EpochLog) -> None:
        super().epoch_finished(log)
        if log.epoch == self._epochs[log.member]:
            self._at_work.discard(log.member)
            self._describe()

    def _describe(self) -> None:
        """Which members are being trained; between two of them, as it was."""
        numbers = ", ".join(str(member + 1) for member in sorted(self._at_work))
        if numbers:
            plural = "s" if len(self._at_work) > 1 else ""
            self._progress.update(self._task, description=f"member{plural} {numbers} of {self._members}")


class SilentDisplay(PlainDisplay):
    """Says nothing."""

    def message(self, text: str) -> None:
        pass


def choose_display() -> Display:
    """A live one on a terminal, plain lines elsewhere."""
    console = Console(file=sys.stdout)
    return TerminalDisplay(console) if console.is_terminal and not console.is_dumb_terminal else PlainDisplay()


def _figure(value: float | None) -> str:
    """Four decimals, or a dash for a member that has no rows to be validated on."""
    return "-" if value is None else f"{value:.4f}"


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.speed
        return Text("" if speed is None else f"{speed:>7,.0f} images/s")
