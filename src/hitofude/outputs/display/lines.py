"""The progress of a run as plain lines, without control codes, and on a terminal above a live bar."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from hitofude.language.translation import say, say_of, translate
from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.wrapping import tell, terminal_width, wrap

COLUMNS = {
    "member": 5, "epoch": 7, "train loss": 6, "train acc": 6, "val. loss": 6, "val. acc": 6, "lr": 7, "images/s": 7,
    "elapsed": 6,
}  # fmt: skip
"""The columns of the training, with the widths that their figures need. With their titles and the spaces between them
they are 79 wide in English, and no wider in another language."""
DISPENSABLE = "images/s", "lr", "train loss", "train acc", "val. loss", "elapsed"
"""The columns that a narrow terminal does without, the first first."""


class Lines:
    """Messages as lines of stdout, without control codes."""

    def message(self, text: str) -> None:
        tell(text)

    @property
    def width(self) -> int | None:
        """The columns of the terminal; None for a file or a pipe."""
        return terminal_width()

    def warned(self, message: str) -> None:
        self.message(say("warning: {message}", message=translate(message)))


class NoLines(Lines):
    """Messages are dropped."""

    def message(self, text: str) -> None:
        pass


class Display(Lines):
    """A line for each epoch; the base of the other displays of a run."""

    def __init__(self) -> None:
        self._members = 0
        self._epochs: dict[int, int] = {}
        self._started = time.monotonic()

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        """Show the training within the block. images: left to train on, summed over members and epochs."""
        self._members, self._started = members, time.monotonic()
        if images:
            self.message(header(self.width))
        yield

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self._epochs[member] = epochs
        if epochs_done:
            self.message(say("member {member}: continuing after epoch {epoch}", member=member + 1, epoch=epochs_done))

    def batch_finished(self, images: int) -> None:
        pass

    def epoch_finished(self, log: EpochLog) -> None:
        elapsed = time.monotonic() - self._started
        self.message(plain_row(log, self._members, self._epochs[log.member], elapsed, self.width))


class SilentDisplay(NoLines, Display):
    """No output."""


def header(width: int | None = None) -> str:
    """Return the titles of the columns that fit the width; None for all."""
    return _row({name: say(name) for name in COLUMNS}, width)


def plain_row(log: EpochLog, members: int, epochs: int, seconds: float, width: int | None = None) -> str:
    """Return an epoch as a line below the header. seconds: since the start of the training."""
    return _row(
        {
            "member": f"{log.member + 1}/{members}",
            "epoch": f"{log.epoch}/{epochs}",
            "train loss": f"{log.train_loss:.4f}",
            "train acc": f"{log.train_accuracy:.4f}",
            "val. loss": figure(log.validation_loss),
            "val. acc": figure(log.validation_accuracy),
            "lr": f"{log.learning_rate:.2g}",
            "images/s": f"{log.images_per_second:,.0f}",
            "elapsed": clock(seconds),
        },
        width,
    )


def _row(cells: Mapping[str, str], width: int | None) -> str:
    widths, left_out = {name: max(cell_len(say(name)), least) for name, least in COLUMNS.items()}, list(DISPENSABLE)
    while width is not None and left_out and sum(widths.values()) + len(widths) - 1 > width:
        del widths[left_out.pop(0)]
    return " ".join(" " * (wide - cell_len(cells[name])) + cells[name] for name, wide in widths.items())


def figure(value: float | None) -> str:
    """Return four decimals, or a dash for a member without validation rows."""
    return "-" if value is None else f"{value:.4f}"


def clock(seconds: float) -> str:
    """Return minutes and seconds: `0:09`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


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
        self._console.print(wrap(text, self.width), markup=False, highlight=False, soft_wrap=True)

    @property
    def width(self) -> int:
        return self._console.width


class TerminalDisplay(LinesAboveBar, Display):
    """The plain lines above a bar with images/s and the time left."""

    def __init__(self, console: Console) -> None:
        Display.__init__(self)
        columns = TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.percentage:>3.0f} %")
        super().__init__(console, *columns, _ImagesPerSecond(), TextColumn(say("left")), TimeRemainingColumn())
        self._training: set[int] = set()

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        if not images:
            yield
            return
        self._bar.reset(self._task, total=images, description=say("training"))
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
            text = say_of(
                len(self._training),
                "member {numbers} of {all}",
                "members {numbers} of {all}",
                numbers=numbers,
                all=self._members,
            )
            self._bar.update(self._task, description=text)


class _ImagesPerSecond(ProgressColumn):
    def __init__(self) -> None:
        super().__init__()
        self._unit = say("images/s")  # rich renders in a thread of its own, which speaks English

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:>7,.0f} {self._unit}")
