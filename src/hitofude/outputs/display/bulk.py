"""The progress of bulk prediction: a line a shard, and on a terminal a bar below them."""

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn

from hitofude.errors import first_line
from hitofude.language.translation import say, say_count
from hitofude.outputs.display.lines import Lines, LinesAboveBar, NoLines, clock, live_console


@dataclass
class Pace:
    """Progress, speed and remaining time. The number of images in a file is known once it has been read."""

    shards: int
    shards_done: int  # including those that were finished before this command
    bytes_left: int  # of the shards that are neither finished nor refused
    images_finished: int = 0  # in the shards finished by this command
    _bytes_finished: int = 0
    _under_way: Counter[str] = field(default_factory=Counter)
    _started: float = field(default_factory=time.monotonic)

    def add_images(self, shard: str, images: int) -> None:
        self._under_way[shard] += images

    def finish(self, shard: str, bytes: int, images: int) -> None:
        """Count a shard as done. images: 0 for a refused shard."""
        self._under_way.pop(shard, None)
        self.shards_done += 1
        self.bytes_left -= bytes
        self.images_finished += images
        self._bytes_finished += bytes if images else 0

    def seconds(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def share(self) -> float | None:
        """Return the share done, 0 to 1; None until a first shard is finished, from which the total is estimated."""
        if not self._bytes_finished:
            return None
        left = self.bytes_left * self.images_finished / self._bytes_finished
        done = self.images_finished + self._under_way.total()
        return min(1.0, done / max(done, self.images_finished + left))

    def __str__(self) -> str:
        """`3 of 20 shards, 3,210 images/s, about 4:25 left`"""
        share, seconds = self.share(), self.seconds()
        speed = (self.images_finished + self._under_way.total()) / max(seconds, 1e-6)
        shards = say_count(self.shards, "shard")
        text = say("{done} of {shards}, {speed:,.0f} images/s", done=self.shards_done, shards=shards, speed=speed)
        if not share or share == 1:
            return text
        return text + say(", about {time} left", time=clock(seconds / share - seconds))


class BulkDisplay(Lines):
    """A line for each shard."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def begin(self, shards: int, workers: str) -> None:
        """Announce the number of shards to predict and the workers."""
        done = self.pace.shards_done
        before = say("; {count} more are finished", count=done) if done else ""
        text = say("{shards} to predict, by {workers}", shards=say_count(shards, "shard"), workers=workers)
        self.message(text + before)

    def images_predicted(self, shard: str, images: int) -> None:
        self.pace.add_images(shard, images)
        self._update()

    def shard_finished(self, shard: str, bytes: int, images: int, seconds: float) -> None:
        self.pace.finish(shard, bytes, images)
        self.message(
            say(
                "{shard}: {images} in {seconds:,.1f} s; {pace}",
                shard=Path(shard).name,
                images=say_count(images, "image"),
                seconds=seconds,
                pace=self.pace,
            )
        )
        self._update()

    def shard_refused(self, shard: str, bytes: int, error: str) -> None:
        self.pace.finish(shard, bytes, 0)
        self.message(say("left out: {error}", error=first_line(error)))
        self._update()

    def _update(self) -> None:
        """Redraw the bar, if there is one."""


class SilentBulkDisplay(NoLines, BulkDisplay):
    """No output."""


class LiveBulkDisplay(LinesAboveBar, BulkDisplay):
    """The lines above a bar."""

    def __init__(self, pace: Pace, console: Console) -> None:
        BulkDisplay.__init__(self, pace)
        super().__init__(console, TextColumn(say("predicting")), BarColumn(None), TextColumn("{task.description}"))

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _update(self) -> None:
        share = self.pace.share()
        total = None if share is None else 1
        self._bar.update(self._task, description=str(self.pace), completed=share or 0, total=total)


def choose_bulk_display(pace: Pace, *, quiet: bool) -> BulkDisplay:
    """Return a live display on a terminal, plain lines elsewhere, a silent one on request."""
    console = None if quiet else live_console()
    if console:
        return LiveBulkDisplay(pace, console)
    return SilentBulkDisplay(pace) if quiet else BulkDisplay(pace)
