"""Bulk prediction: the bits of plain predict, finished shards left alone, bad ones named and the rest done."""

import gzip
import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hitofude.errors import ClusterError, InputError, RunFolderError
from hitofude.inputs.layout import ReadOptions
from hitofude.prediction.bulk.run import BulkResult, predict_in_bulk
from hitofude.prediction.bulk.shards import BulkFolder, find_shards
from hitofude.prediction.bulk.worker import BulkModel
from hitofude.prediction.model import Model
from hitofude.runs import claim
from hitofude.runs.result import RunResult
from hitofude.storage import owning
from hitofude.workers.answering import Reporter
from hitofude.workers.handshake import disk_token, versions
from hitofude.workers.messages import Message
from tests.conftest import Call
from tests.prediction.bulk.conftest import LONG, inodes, read_predictions

NAMES = {
    "long.parquet": "long.parquet",
    "named.csv": "named.csv",
    "packed.csv.gz": "packed.csv",
    "arrays.npz": "arrays.csv",
}


@pytest.fixture(scope="module")
def predicted(finished: RunResult, shards: Path, tmp_path_factory: pytest.TempPathFactory) -> BulkResult:
    """All shards, by two workers."""
    out = tmp_path_factory.mktemp("out") / "answers"
    return predict_in_bulk(finished.folder.path, [shards], out, workers=2, threads=1, device="cpu", quiet=True)


@pytest.fixture
def copy(predicted: BulkResult, shards: Path, tmp_path: Path) -> Path:
    """A folder that contains the shards and their predictions, as if they had been made there; to be changed."""
    shutil.copytree(shards, tmp_path / "shards")
    shutil.copytree(predicted.folder, tmp_path / "answers")
    for record in (tmp_path / "answers" / "_finished").iterdir():
        record.write_text(record.read_text().replace(str(shards), str(tmp_path / "shards")))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_the_predictions_are_those_of_plain_predict_bit_by_bit(
    name: str, finished: RunResult, shards: Path, predicted: BulkResult, call: Call, tmp_path: Path
) -> None:
    plain, bulk = tmp_path / f"plain{Path(NAMES[name]).suffix}", predicted.folder / NAMES[name]
    assert call("predict", finished.folder.path, shards / name, "--out", plain, "--device", "cpu")[0] == 0
    pd.testing.assert_frame_equal(read_predictions(bulk), read_predictions(plain), check_exact=True)
    assert plain.suffix == ".parquet" or plain.read_bytes() == bulk.read_bytes()


def test_every_image_has_the_id_of_its_file_or_its_row_number(predicted: BulkResult) -> None:
    assert read_predictions(predicted.folder / "long.parquet")["id"].tolist() == [str(row + 1) for row in range(LONG)]
    assert read_predictions(predicted.folder / "named.csv")["id"].tolist() == [str(row) for row in range(200)]


def test_the_outcome_is_returned_and_recorded(predicted: BulkResult) -> None:
    assert (predicted.shards, predicted.images, predicted.bad, predicted.found_finished) == (4, LONG + 450, {}, 0)
    summary = json.loads((predicted.folder / "_predictions.json").read_text())
    assert (summary["is_complete"], summary["images"]) == (True, LONG + 450)


def test_the_folder_reads_as_one_table(copy: Path) -> None:
    for path in (copy / "answers").glob("*.csv"):
        path.unlink()
    assert len(pd.read_parquet(copy / "answers")) == LONG


def test_finished_shards_are_left_alone_and_no_worker_is_started(
    finished: RunResult, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitofude.learning.dispatch.LocalProcesses", None)
    before = inodes(copy / "answers")
    again = predict_in_bulk(finished.folder.path, [copy / "shards"], copy / "answers", device="cpu", quiet=True)
    assert (again.found_finished, again.images) == (4, LONG + 450)
    assert inodes(copy / "answers") == before


def test_a_changed_shard_and_damaged_predictions_are_made_anew_and_a_bad_shard_leaves_none(
    finished: RunResult, copy: Path, predicted: BulkResult, call: Call
) -> None:
    shards, answers = copy / "shards", copy / "answers"
    before = inodes(answers)
    with gzip.open(shards / "packed.csv.gz", "at") as stream:
        stream.write("1,2,3\n")
    os.utime(shards / "named.csv")
    damaged = bytearray((answers / "arrays.csv").read_bytes())
    damaged[-3] ^= 1
    (answers / "arrays.csv").write_bytes(damaged)
    code, out, err = call("predict", finished.folder.path, shards, "--out", answers, "--device", "cpu")
    assert code == 2
    assert "in 3 of 4 shards, 1 of them finished before" in out
    assert "packed.csv.gz, line 102: " in err
    after = inodes(answers)
    assert {name for name in before if after.get(name) != before[name]} == {"named.csv", "arrays.csv", "packed.csv"}
    assert not (answers / "packed.csv").exists()
    for name in ("named.csv", "arrays.csv"):
        assert (answers / name).read_bytes() == (predicted.folder / name).read_bytes()


def test_another_model_is_refused_with_the_difference(finished: RunResult, copy: Path, call: Call) -> None:
    code, _, err = call("predict", finished.folder.path, copy / "shards", "--out", copy / "answers", "--raw")
    assert code == 3
    temperature = finished.summary.calibration.temperature
    assert f"holds another bulk prediction (there → here):\n  temperature: {temperature} → None" in err


def test_a_folder_of_other_things_is_refused(finished: RunResult, shards: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine.csv").touch()
    code, _, err = call("predict", finished.folder.path, shards, "--out", tmp_path)
    assert code == 3
    assert "is not a bulk prediction folder: it holds mine.csv" in err


def test_a_folder_in_which_another_command_works_is_refused(
    finished: RunResult, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "SECONDS_FOR_A_DYING_OWNER", 0)
    with owning(copy / "answers"), pytest.raises(RunFolderError, match="in use by another process"):
        predict_in_bulk(finished.folder.path, [copy / "shards"], copy / "answers", quiet=True)


def test_a_file_of_the_same_name_from_elsewhere_does_not_replace_predictions(
    finished: RunResult, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copyfile(copy / "shards" / "named.csv", tmp_path / "other" / "named.csv")
    expected = r"holds the predictions for .*shards/named.csv, not for .*other/named.csv"
    with pytest.raises(RunFolderError, match=expected):
        predict_in_bulk(finished.folder.path, [tmp_path / "other"], copy / "answers", quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "answers", "--show", "seen.png"], "--show and --explain draw some images"),
        (["--out", "answers", "--explain", "why.png"], "--show and --explain draw some images"),
        (["--out", "answers", "--sure", "9"], "--sure 9: expected a probability"),
        (["--out", "answers", "--format", "npz"], "--format npz: expected one of parquet, csv"),
        (["--out", "answers.csv", "--workers", "2"], "are for a folder of predictions"),
        (["--out", "answers/", "--workers", "many"], "--workers many: expected"),
        (["--out", "answers", "--workers", "0"], "--workers 0"),
    ],
)
def test_contradicting_arguments_are_refused_before_anything_is_done(
    arguments: list[str], message: str, finished: RunResult, shards: Path, call: Call, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, err = call("predict", finished.folder.path, shards, *arguments)
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"token": "of another folder"}, "does not see the folder"),
        ({"run": "/nowhere"}, "does not see the run /nowhere"),
        ({"model": {}}, "has another run at"),
        ({"versions": {"hitofude": "0.1", "torch": "2.0"}}, "instead of 0.1"),
    ],
)
def test_a_machine_that_does_not_see_the_same_says_so(
    changed: Message, message: str, finished: RunResult, tmp_path: Path
) -> None:
    with disk_token(tmp_path) as token:
        request: Message = {
            "run": str(finished.folder.path), "folder": str(tmp_path), "token": token, "raw": False,
            "model": None, "versions": versions(), "is_remote": True,
        }  # fmt: skip
        with pytest.raises(ClusterError, match=message):
            BulkModel.open(request | changed)


def test_a_shard_that_changed_since_the_work_was_planned_is_bad(
    finished: RunResult, shards: Path, tmp_path: Path
) -> None:
    model = Model.load(finished.folder.path, device="cpu")
    bulk = BulkModel(
        model, BulkFolder(tmp_path), ReadOptions(like=model.image_shape), set_threshold=None, is_remote=False
    )
    shard = replace(find_shards([shards / "named.csv"], tmp_path)[0], modified=1)
    with pytest.raises(InputError, match=r"named\.csv: the file changed"):
        bulk.predict(shard, Reporter(io.BytesIO()))
    assert not list(tmp_path.iterdir())


def test_an_image_below_the_wanted_probability_is_not_sure_and_counted(
    finished: RunResult, shards: Path, predicted: BulkResult, tmp_path: Path
) -> None:
    model = Model.load(finished.folder.path, device="cpu")
    bulk = BulkModel(
        model, BulkFolder(tmp_path), ReadOptions(like=model.image_shape), set_threshold=None, is_remote=False, sure=0.9
    )
    images, count = bulk.predict(find_shards([shards / "named.csv"], tmp_path)[0], Reporter(io.BytesIO()))
    plain = read_predictions(predicted.folder / "named.csv")
    low = plain.filter(like="probability_").max(axis=1) < 0.9
    assert (images, count) == (200, low.sum())
    assert 0 < count < images
    assert read_predictions(tmp_path / "named.csv")["label"].tolist() == plain["label"].mask(low, "not sure").tolist()
    assert (
        f"in 4 of 4 shards; {count} of {LONG + 450:,} not sure\n"
        in replace(predicted, unanswered=count, sure=0.9).describe()
    )


def test_a_remote_machine_that_does_not_see_a_shard_says_so(finished: RunResult, shards: Path, tmp_path: Path) -> None:
    model = Model.load(finished.folder.path, device="cpu")
    bulk = BulkModel(
        model, BulkFolder(tmp_path), ReadOptions(like=model.image_shape), set_threshold=None, is_remote=True
    )
    shard = replace(find_shards([shards / "named.csv"], tmp_path)[0], path="/nowhere/named.csv")
    with pytest.raises(ClusterError, match=r"does not see /nowhere/named\.csv"):
        bulk.finish(shard, Reporter(io.BytesIO()))
