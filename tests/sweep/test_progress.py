"""One display for many runs at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hitofude.learning.epoch_log import EpochLog
from hitofude.metrics.metrics import Accuracy
from hitofude.outputs.display import Display
from hitofude.recipe import Recipe
from hitofude.sweep.progress import Planned, Progress
from hitofude.sweep.trial import Failure, Run, Trial


class Counting(Display):
    """Plain lines, and the images of the bar."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    @contextmanager
    def training(self, members: int, images: int) -> Iterator[None]:
        self.images = -images
        with super().training(members, images):
            yield

    def batch_finished(self, images: int) -> None:
        self.images += images


def planned(number: int, *, members: int = 2, images: int = 100) -> Planned:
    return Planned(Run(number, 0, {"schedule.epochs": 3}, Recipe()), members, images)


def epoch(member: int, number: int) -> EpochLog:
    return EpochLog(member, number, 0.5, 0.8, 0.4, 0.9, 0.01, 100.0, 1.0)


def trial(run: Run) -> Trial:
    return Trial(run, Path(run.name), Accuracy(9, 10), None, 1.0, np.ones(10, dtype=np.float32))


def test_members_are_numbered_over_all_runs_and_shown_when_finished(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [planned(1), planned(2, members=3)]
    with Progress(Counting(), 2).training(runs) as displays:
        display = displays[runs[1].run]
        display.member_started(1, 2, 0)
        for number in (1, 2):
            display.epoch_finished(epoch(1, number))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "/5" in line]
    assert line.split()[:2] == ["4/5", "2/2"]


def test_each_run_that_ends_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress, runs = Progress(Counting(), 3), [planned(1), planned(2)]
    progress.skip(1, "one is finished")
    with progress.training(runs) as displays:
        displays[runs[0].run].finished(trial(runs[0].run))
        displays[runs[1].run].finished(Failure(runs[1].run, "diverged"))
    out = capsys.readouterr().out
    assert "run 2 of 3, 001-seed-0 (schedule.epochs 3): out of fold 0.9000, about 0:00 left" in out
    assert "run 3 of 3, 002-seed-0 (schedule.epochs 3): failed: diverged\n" in out


def test_a_run_that_fails_leaves_nothing_to_wait_for() -> None:
    display = Counting()
    runs = [planned(1), planned(2)]
    progress = Progress(display, 2)
    with progress.training(runs) as displays:
        displays[runs[0].run].batch_finished(30)
        displays[runs[0].run].finished(Failure(runs[0].run, "diverged"))
        assert display.images == -100
        displays[runs[1].run].finished(trial(runs[1].run))
    assert display.images == 0


def test_a_warning_names_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    run = planned(7)
    with Progress(Counting(), 1).training([run]) as displays:
        displays[run.run].warned("a state was damaged")
    assert "warning: 007-seed-0: a state was damaged" in capsys.readouterr().out
