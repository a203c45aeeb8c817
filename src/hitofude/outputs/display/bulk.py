"""What bulk scoring says while it works: a line a part, and on a terminal a bar below them."""

import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from hitofude.outputs.display.plain import clock


@dataclass
class Pace:
    """How far it is, how fast, and how long it will take: how many images a file holds is known when it was read."""

    parts: int
    parts_done: int
    """Those that were finished before among them."""
    bytes_left: int
    """Of the parts that are neither finished nor refused."""
    images_finished: int = 0
    """In parts that were finished since the beginning."""
    _bytes_finished: int = 0
    _under_way: Counter[str] = field(default_factory=Counter)
    _started: float = field(default_factory=time.monotonic)

    def add_images(self, part: str, images: int) -> None:
        self._under_way[part] += images

    def finish(self, part: str, bytes: int, images: int) -> None:
        """images: 0 of a part that was refused."""
        self._under_way.pop(part, None)
        self.parts_done += 1
        self.bytes_left -= bytes
        self.images_finished += images
        self._bytes_finished += bytes if images else 0

    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._started

    def share(self) -> float | None:
        """0 to 1, None before a first part tells how many images there may be in all."""
        if not self._bytes_finished:
            return None
        left = self.bytes_left * self.images_finished / self._bytes_finished
        done = self.images_finished + self._under_way.total()
        return min(1.0, done / max(done, self.images_finished + left))

    def __str__(self) -> str:
        """`3 of 20 parts, 3,210 images/s, about 4:25 left`"""
        share, seconds = self.share(), self.seconds()
        speed = (self.images_finished + self._under_way.total()) / max(seconds, 1e-6)
        text = f"{self.parts_done} of {self.parts} parts, {speed:,.0f} images/s"
        return text if not share or share == 1 else f"{text}, about {clock(seconds / share - seconds)} left"


class BulkDisplay:
    """Lines, without control codes."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace

    def __enter__(self) -> "BulkDisplay":
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def message(self, text: str) -> None:
        print(text, flush=True)

    def begin(self, parts: int, workers: str) -> None:
        """So many parts are to be predicted."""
        before = f"; {self.pace.parts_done} more are finished" if self.pace.parts_done else ""
        self.message(f"{parts} part{'s' if parts > 1 else ''} to predict, by {workers}{before}")

    def images_predicted(self, part: str, images: int) -> None:
        self.pace.add_images(part, images)

    def part_finished(self, part: str, bytes: int, images: int, seconds: float) -> None:
        self.pace.finish(part, bytes, images)
        self.message(f"{Path(part).name}: {images:,} images in {seconds:,.1f} s; {self.pace}")

    def part_refused(self, part: str, bytes: int, error: str) -> None:
        self.pace.finish(part, bytes, 0)
        self.message(f"left out: {first_line(error)}")

    def warned(self, text: str) -> None:
        self.message(f"warning: {text}")


class SilentBulkDisplay(BulkDisplay):
    """Says nothing."""

    def message(self, text: str) -> None:
        pass


class LiveBulkDisplay(BulkDisplay):
    """The lines above a bar."""

    def __init__(self, pace: Pace, console: Console) -> None:
        super().__init__(pace)
        self._console = console
        columns = (TextColumn("predicting"), BarColumn(bar_width=None), TextColumn("{task.description}"))
        self._progress = Progress(*columns, console=console, refresh_per_second=4, transient=True, expand=True)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> "LiveBulkDisplay":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def message(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def images_predicted(self, part: str, images: int) -> None:
        super().images_predicted(part, images)
        self._show()

    def part_finished(self, part: str, bytes: int, images: int, seconds: float) -> None:
        super().part_finished(part, bytes, images, seconds)
        self._show()

    def _show(self) -> None:
        share = self.pace.share()
        self._progress.update(
            self._task, description=str(self.pace), completed=share or 0, total=None if share is None else 1
        )


def first_line(error: str) -> str:
    """Without the list that may follow."""
    return error.partition("\n")[0].removesuffix("; mend them:")


def choose_bulk_display(pace: Pace, *, quiet: bool) -> BulkDisplay:
    """A live one on a terminal, plain lines elsewhere, nothing where that is asked for."""
    if quiet:
        return SilentBulkDisplay(pace)
    console = Console(file=sys.stdout)
    is_live = console.is_terminal and not console.is_dumb_terminal
    return LiveBulkDisplay(pace, console) if is_live else BulkDisplay(pace)
