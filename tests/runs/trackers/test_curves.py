"""Each tracker's own files give back the curves of a run that was killed and continued, without doubles."""

import json
import struct
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

import hitofude
from hitofude.inputs.sources import Dataset
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.training import Trainer
from hitofude.runs.result import RunResult
from hitofude.runs.trackers.tracker import TRACKERS, curves_of, final_figures, member_name
from tests.conftest import SMALL

Curves = dict[tuple[str, str], list[tuple[int, float]]]
"""Member and name → epochs and values."""
FEW = SMALL | {"schedule.epochs": 3, "schedule.min_steps": 0, "rows": 100}
INSTALLED = [name for name, (_, _, package) in TRACKERS.items() if find_spec(package)]


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(name not in INSTALLED, reason=f"the package of {name} is not there")


@pytest.fixture(scope="module")
def tracked(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunResult]:
    """A run with every tracker that is installed, killed in the second epoch of the second member, and continued."""
    folder, whole = tmp_path_factory.mktemp("tracked"), Trainer.run_epoch

    def killed(self: Trainer, epoch: int, observer: Any) -> EpochLog:
        if (self.plan.member, epoch) == (1, 2):
            raise KeyboardInterrupt
        return whole(self, epoch, observer)

    def train() -> RunResult:
        return hitofude.run(
            dataset, run=folder / "run", settings=FEW, device="cpu", workers=1, quiet=True, callbacks=INSTALLED
        )

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other packages
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv("WANDB_ERROR_REPORTING", "false")
        patch.setattr(Trainer, "run_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train()
        patch.setattr(Trainer, "run_epoch", whole)
        train()
        yield train()  # the finished run is told again


def expected(result: RunResult) -> Curves:
    curves = Curves()
    for line in result.folder.log.read_text(encoding="utf-8").splitlines():
        log = EpochLog.from_json(json.loads(line))
        for name, value in curves_of(log).items():
            curves.setdefault((member_name(log.member), name), []).append((log.epoch, pytest.approx(value, rel=1e-6)))
    assert len(curves) == 12
    return curves


@needs("tensorboard")
def test_tensorboard_reads_each_epoch_once(tracked: RunResult) -> None:
    reading = import_module("tensorboard.backend.event_processing.event_accumulator")
    curves, final = Curves(), dict[str, float]()
    for path in sorted((tracked.folder.path / "tensorboard").iterdir()):
        events = reading.EventAccumulator(str(path)).Reload()
        for name in events.Tags()["scalars"]:
            points = [(one.step, one.value) for one in events.Scalars(name)]
            if path.name == "run":
                ((_, final[name]),) = points
            else:
                curves[path.name, name] = points
    assert curves == expected(tracked)
    assert final == pytest.approx(final_figures(tracked))


@needs("mlflow")
def test_mlflow_reads_each_epoch_once(tracked: RunResult) -> None:
    client = import_module("mlflow").MlflowClient()
    (experiment,) = [one for one in client.search_experiments() if one.name == "hitofude"]
    (found,) = client.search_runs([experiment.experiment_id])
    histories = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    points = {name: [(one.step, one.value) for one in history] for name, history in histories.items()}
    curves = {
        (name.split("/", 1)[0], name.split("/", 1)[1]): values
        for name, values in points.items()
        if name.startswith("member-")
    }
    assert curves == expected(tracked)
    assert {name: points[name] for name in final_figures(tracked)} == {
        name: [(0, pytest.approx(value))] for name, value in final_figures(tracked).items()
    }
    assert found.info.status == "FINISHED"
    assert found.data.params["network.name"] == "cnn-lean"


def records_of(content: bytes) -> Iterator[Any]:
    """Yield the records of a .wandb file: blocks of 32 kB with parts of records, in LevelDB's log format."""
    messages = import_module("wandb.proto.wandb_internal_pb2")
    place, parts, block, head = 7, b"", 32768, 7
    while place + head <= len(content):
        if (left := block - place % block) < head:
            place += left
            continue
        size, kind = struct.unpack("<HB", content[place + 4 : place + head])
        parts += content[place + head : place + head + size]
        place += head + size
        if kind in (1, 4):  # whole, or the last part
            record = messages.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


@needs("wandb")
def test_wandb_reads_each_epoch_once(tracked: RunResult) -> None:
    (path,) = (tracked.folder.path / "wandb").glob("offline-run-*/*.wandb")
    curves, config, summary = Curves(), dict[str, Any](), dict[str, Any]()
    for record in records_of(path.read_bytes()):
        config |= {one.key: json.loads(one.value_json) for one in record.run.config.update}
        summary |= {one.key or "/".join(one.nested_key): one.value_json for one in record.summary.update}
        logged = {one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in record.history.item}
        for name, value in logged.items():
            member, _, curve = name.partition("/")
            if curve and curve != "epoch":
                curves.setdefault((member, curve), []).append((logged[f"{member}/epoch"], value))
    assert curves == expected(tracked)
    assert config["network.name"] == "cnn-lean"
    assert json.loads(summary["out_of_fold/accuracy"]) == tracked.accuracy.value
