"""The members in training as a table, in HTML and in plain text."""

import time
from dataclasses import dataclass, field
from typing import Literal

from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.display.plain import HEADER, clock, figure, plain_row

COLUMNS = (
    "member", "epoch", "progress", "train loss", "train accuracy", "valid. loss", "valid. accuracy", "learning rate",
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
            return f"trained in {clock(seconds)}"
        if self.state == "stopped":
            return f"stopped after {clock(seconds)}; the same call continues from the last whole epoch"
        if not self.images_done:
            return "starting"
        if self.images_done >= self.images:
            return f"trained, predicting, {clock(seconds)}"
        speed = self.images_done / max(seconds, 1e-6)
        left = (self.images - self.images_done) / speed
        share = int(100 * self.images_done / self.images)
        return f"{share} %, {speed:,.0f} images/s, {clock(seconds)}, about {clock(left)} left"

    def text(self) -> str:
        """Return the status and the newest epoch of each member as plain lines."""
        started = [(row, row.log) for row in self.rows.values() if row.log]
        lines = [plain_row(log, self.members, row.epochs, row.seconds) for row, log in started]
        return "\n".join([self.status(), HEADER, *lines])

    def html(self) -> str:
        """Return the status and the rows, with a bar for each member and one for all."""
        head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
        body = "".join(self._row(member, row) for member, row in self.rows.items())
        overall = _bar("all members", self.images_done, self.images, "16em")
        return (
            f"<div><p>{overall} {self.status()}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def _row(self, member: int, row: MemberRow) -> str:
        bar = _bar(f"member {member + 1}", row.epochs_done, row.epochs, "8em")
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
