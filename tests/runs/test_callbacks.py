"""Callbacks are told of every epoch once, however often a run was killed."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import hitofude
from hitofude.errors import InputError, RecipeError
from hitofude.inputs.sources import Dataset
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.training import Trainer
from hitofude.runs.callbacks import RunStart
from hitofude.runs.result import RunResult
from hitofude.runs.trackers import tracker
from hitofude.runs.trackers.tracker import CarefulTracker, Tracker, choose_callbacks, final_figures
from tests.conftest import SMALL

KILLED = "interrupted", KeyboardInterrupt
FEW = SMALL | {"schedule.epochs": 2, "schedule.min_steps": 0, "rows": 100}


class Diary(hitofude.Callback):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    def started(self, run: RunStart) -> None:
        self.entries.append(("started", run.members, [(log.member, log.epoch) for log in run.logs]))

    def epoch(self, log: EpochLog) -> None:
        self.entries.append((log.member, log.epoch))

    def member(self, number: int, logs: Sequence[EpochLog]) -> None:
        self.entries.append(("member", number, [log.epoch for log in logs]))

    def finished(self, result: RunResult) -> None:
        self.entries.append(("finished", result.folder.is_finished))

    def interrupted(self, error: BaseException) -> None:
        self.entries.append(("interrupted", type(error)))


def train(dataset: Dataset, folder: Path, callback: object, **how: Any) -> RunResult:
    return hitofude.run(
        dataset, run=folder, settings=FEW, device="cpu", quiet=True, callbacks=[callback], **{"workers": 1, **how}
    )


def test_a_run_tells_its_callbacks_and_so_does_its_continuation(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, first, second, third = Trainer.run_epoch, Diary(), Diary(), Diary()

    def killed(self: Trainer, epoch: int, observer: Any) -> EpochLog:
        if (self.plan.member, epoch) == (1, 2):
            raise KeyboardInterrupt
        return whole(self, epoch, observer)

    monkeypatch.setattr(Trainer, "run_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train(dataset, tmp_path / "run", first)
    monkeypatch.undo()
    train(dataset, tmp_path / "run", second)
    train(dataset, tmp_path / "run", third)
    before = [(0, 1), (0, 2), (1, 1)]
    assert first.entries == [("started", 2, []), (0, 1), (0, 2), ("member", 0, [1, 2]), (1, 1), KILLED]
    assert second.entries == [("started", 2, before), (1, 2), ("member", 1, [1, 2]), ("finished", True)]
    assert third.entries == [("started", 2, [*before, (1, 2)]), ("finished", True)]


def test_an_exception_of_a_callback_ends_the_run(dataset: Dataset, tmp_path: Path) -> None:
    class Stop(hitofude.Callback):
        def epoch(self, log: EpochLog) -> None:
            raise StopIteration(f"epoch {log.epoch}")

    with pytest.raises(StopIteration, match="epoch 1"):
        train(dataset, tmp_path / "run", Stop())


def test_names_and_other_objects_are_checked_before_anything_is_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no tracker 'tensorbord'. Did you mean 'tensorboard'"):
        train(dataset, tmp_path / "run", "tensorbord")
    with pytest.raises(RecipeError, match=r"is no callback. Expected a hitofude.Callback, or tensorboard, mlflow"):
        train(dataset, tmp_path / "run", print)
    assert not (tmp_path / "run").exists()


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--log wandb needs the package wandb: .* -m pip install"):
        choose_callbacks(["wandb"], print)


class Failing(Tracker):
    """A tracker that fails at the first epoch."""

    def place(self, run: RunStart) -> str:
        return "nowhere"

    def epoch(self, log: EpochLog) -> None:
        raise OSError("the server is gone.")


def test_a_tracker_that_fails_is_left_out_with_a_warning(finished: RunResult) -> None:
    warnings = list[str]()
    careful, log = CarefulTracker("some", Failing(), warnings.append), EpochLog(0, 1, 1, 1, None, None, 1, 1, 1)
    careful.epoch(log)
    careful.epoch(log)
    careful.finished(finished)
    assert len(warnings) == 1
    assert warnings[0].startswith("some failed, and the run goes on without it: OSError: the server is gone. The same")


def test_a_tracker_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    class Closed(Failing):
        def started(self, run: RunStart) -> None:
            raise ConnectionError("refused")

    start = RunStart(tmp_path, "data", hitofude.Recipe(), 1, {0: 1}, ())
    with pytest.raises(InputError, match=r"cannot log this run: ConnectionError: refused. Leave --log some out"):
        CarefulTracker("some", Closed(), print).started(start)


def test_the_final_figures_are_those_of_the_result(finished: RunResult) -> None:
    figures = final_figures(finished)
    assert figures["out_of_fold/accuracy"] == finished.accuracy.value
    assert figures["out_of_fold/macro-f1"] == finished.scores["macro-f1"].value


def test_the_library_sets_no_handler_of_the_log() -> None:
    handlers = [one for one in logging.getLogger("hitofude").handlers if type(one).__module__.startswith("logging")]
    assert [type(one) for one in handlers] == [logging.NullHandler]


def test_the_example_of_the_document_prints_the_best_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.partition("```python\n")[2].partition("hitofude.run(")[0], names)  # noqa: S102
    best = names["BestEpoch"]()
    best.started(RunStart(tmp_path, "data", hitofude.Recipe(), 1, {0: 3}, (EpochLog(0, 1, 1, 1, 1, 0.5, 1, 1, 1),)))
    for epoch, accuracy in ((2, 0.4), (3, 0.75)):
        best.epoch(EpochLog(0, epoch, 1, 1, 1, accuracy, 1, 1, 1))
    assert capsys.readouterr().out == "member 0, epoch 3: 0.7500\n"
