"""On a terminal: the plain lines above a live bar."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.plain import Display, Lines


def live_console() -> Console | None:
    """Return the console of stdout if it is a terminal that can redraw lines."""
    console = Console(file=sys.stdout)
    return console if console.is_terminal and not console.is_dumb_terminal else None


class LinesAboveBar(Lines):
    """Messages above a bar, which disappears at the end."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bar = Progress(*columns, console=console, refresh_per_second=4, transient=True, expand=True)
        self._task = self._bar.add_task("", total=None)

    def message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class TerminalDisplay(LinesAboveBar, Display):
    """The plain lines above a bar with images/s and the time left."""

    def __init__(self, console: Console) -> None:
        Display.__init__(self)
        columns = TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:>3.0f} %")
        super().__init__(console, *columns, _ImagesPerSecond(), TextColumn("left"), TimeRemainingColumn())
        self._training: set[int] = set()

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        if not images:
            yield
            return
        self._bar.reset(self._task, total=images, description="training")
        with self._bar, super().training(members, images):
            yield

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        super().member_started(member, epochs, epochs_done)
        self._training.add(member)
        self._describe()

    def batch_finished(self, images: int) -> None:
        self._bar.advance(self._task, images)

    def epoch_finished(self, log: EpochLog) -> None:
        super().epoch_finished(log)
        if log.epoch == self._epochs[log.member]:
            self._training.discard(log.member)
            self._describe()

    def _describe(self) -> None:
        """Name the members in training; between two members, keep the last."""
        numbers = ", ".join(str(member + 1) for member in sorted(self._training))
        if numbers:
            plural = "s" if len(self._training) > 1 else ""
            self._bar.update(self._task, description=f"member{plural} {numbers} of {self._members}")


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:>7,.0f} images/s")
