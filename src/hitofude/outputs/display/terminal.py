"""On a terminal: the plain lines above a live bar."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.plain import PlainDisplay


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


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.speed
        return Text("" if speed is None else f"{speed:>7,.0f} images/s")
