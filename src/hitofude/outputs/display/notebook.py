"""In a Jupyter notebook: one output with a table of the members, updated during training.

IPython replaces the HTML by its display_id, so ipywidgets are not needed, and the notebook is saved with the finished
table.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from hitofude.language.translation import say
from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.lines import Display, clock, figure, header, plain_row

COLUMNS = (
    "member", "epoch", "progress", "train loss", "train acc", "val. loss", "val. acc", "learning rate",
    "images/s",
)  # fmt: skip


@dataclass
class MemberRow:
    """The progress of a member."""

    epochs: int = 0  # 0 before it starts
    epochs_done: int = 0
    log: EpochLog | None = None  # of the newest epoch
    seconds: float = 0.0  # from the start of the training to the end of that epoch


@dataclass
class TrainingTable:
    """A row for each member, and the progress of all.

    The HTML has no colours and no script, so it suits light and dark themes and survives HTML sanitizers; a progress
    bar that they remove leaves its percentage.
    """

    members: int
    images: int  # left to train on, summed over members and epochs
    state: Literal["training", "trained", "stopped"] = "training"
    images_done: int = 0
    rows: dict[int, MemberRow] = field(init=False)
    _started: float = field(init=False, default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.rows = {member: MemberRow() for member in range(self.members)}

    def start_member(self, member: int, epochs: int, epochs_done: int) -> None:
        row = self.rows[member]
        row.epochs, row.epochs_done = epochs, epochs_done

    def add_epoch(self, log: EpochLog) -> None:
        row = self.rows[log.member]
        row.epochs_done, row.log, row.seconds = log.epoch, log, self.seconds()

    def seconds(self) -> float:
        """Return the seconds since the start of the training."""
        return time.monotonic() - self._started

    def status(self) -> str:
        """Return progress, speed, elapsed and remaining time: `42 %, 1,234 images/s, 0:12, about 0:16 left`."""
        seconds = self.seconds()
        if self.state == "trained":
            return say("trained in {time}", time=clock(seconds))
        if self.state == "stopped":
            return say("stopped after {time}; the same call continues from the last whole epoch", time=clock(seconds))
        if not self.images_done:
            return say("starting")
        if self.images_done >= self.images:
            return say("trained, predicting, {time}", time=clock(seconds))
        speed = self.images_done / max(seconds, 1e-6)
        left = (self.images - self.images_done) / speed
        share = int(100 * self.images_done / self.images)
        return say(
            "{share} %, {speed:,.0f} images/s, {time}, about {left} left",
            share=share, speed=speed, time=clock(seconds), left=clock(left),
        )  # fmt: skip

    def text(self) -> str:
        """Return the status and the newest epoch of each member as plain lines."""
        started = [(row, row.log) for row in self.rows.values() if row.log]
        lines = [plain_row(log, self.members, row.epochs, row.seconds) for row, log in started]
        return "\n".join([self.status(), header(), *lines])

    def html(self) -> str:
        """Return the status and the rows, with a bar for each member and one for all."""
        head = "".join(f'<th scope="col">{say(name)}</th>' for name in COLUMNS)
        body = "".join(self._row(member, row) for member, row in self.rows.items())
        overall = _bar(say("all members"), self.images_done, self.images, "16em")
        return (
            f"<div><p>{overall} {self.status()}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _row(self, member: int, row: MemberRow) -> str:
        bar = _bar(say("member {member}", member=member + 1), row.epochs_done, row.epochs, "8em")
        epoch = f"{row.epochs_done}/{row.epochs}" if row.epochs else "-"
        figures, log = ["-"] * (len(COLUMNS) - 3), row.log
        if log:
            scores = (log.train_loss, log.train_accuracy, log.validation_loss, log.validation_accuracy)
            figures = [*map(figure, scores), f"{log.learning_rate:.3g}", f"{log.images_per_second:,.0f}"]
        cells = "".join(f"<td>{value}</td>" for value in (epoch, bar, *figures))
        return f'<tr><th scope="row">{member + 1}/{self.members}</th>{cells}</tr>'


def _bar(name: str, done: int, total: int, width: str) -> str:
    """Return a bar with a name for screen readers, and its percentage as a fallback."""
    share = min(1.0, done / total) if total else 0.0
    return (
        f'<progress aria-label="{name}" max="1" value="{share:.3f}" style="width: {width}; vertical-align: middle">'
        f"{share:.0%}</progress>"
    )


SECONDS_BETWEEN_UPDATES = 0.5

Bundle = dict[str, str]
"""The same content by media type."""
Publish = Callable[[Bundle], Callable[[Bundle], None]]
"""Shows a bundle, and returns a function that replaces it."""


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook, without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def publish(bundle: Bundle) -> Callable[[Bundle], None]:
    """Show a bundle as an output of the running cell."""
    from IPython.display import display

    handle = display(bundle, raw=True, display_id=True)
    return lambda newer: handle.update(newer, raw=True)


class NotebookDisplay(Display):
    """Messages as plain lines; the training as a table updated in place."""

    def __init__(self, publish: Publish = publish) -> None:
        super().__init__()
        self._publish = publish
        self._table = TrainingTable(0, 0)
        self._replace: Callable[[Bundle], None] = lambda _: None
        self._replaced = 0.0

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        if not images:
            yield
            return
        self._table = TrainingTable(members, images)
        self._replace = self._publish(self._bundle())
        try:
            yield
            self._table.state = "trained"
        except BaseException:
            self._table.state = "stopped"
            raise
        finally:
            self._replace(self._bundle())

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        super().member_started(member, epochs, epochs_done)
        self._table.start_member(member, epochs, epochs_done)
        self._update()

    def batch_finished(self, images: int) -> None:
        self._table.images_done += images
        self._update()

    def epoch_finished(self, log: EpochLog) -> None:
        self._table.add_epoch(log)
        self._update()

    def _update(self) -> None:
        """Show the current state, at most every SECONDS_BETWEEN_UPDATES."""
        if time.monotonic() - self._replaced >= SECONDS_BETWEEN_UPDATES:
            self._replace(self._bundle())
            self._replaced = time.monotonic()

    def _bundle(self) -> Bundle:
        return {"text/html": self._table.html(), "text/plain": self._table.text()}
