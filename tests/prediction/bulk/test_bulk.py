"""Bulk scoring: the answers of plain predict, finished parts left alone, bad ones named and the rest done."""

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
from hitofude.prediction.bulk.folder import BulkFolder
from hitofude.prediction.bulk.run import BulkResult, predict_in_bulk
from hitofude.prediction.bulk.shards import find_shards
from hitofude.prediction.bulk.worker import BulkWorker, RunPlan, predict_shard
from hitofude.prediction.model import Model
from hitofude.runs.result import RunResult
from hitofude.storage import owning
from hitofude.workers.answering import Reporter
from hitofude.workers.messages import Message
from hitofude.workers.versions import versions
from tests.conftest import Call
from tests.prediction.bulk.conftest import LONG, inodes, read_answers

NAMES = {
    "long.parquet": "long.parquet",
    "named.csv": "named.csv",
    "packed.csv.gz": "packed.csv",
    "arrays.npz": "arrays.csv",
}


@pytest.fixture(scope="module")
def scored(finished: RunResult, parts: Path, tmp_path_factory: pytest.TempPathFactory) -> BulkResult:
    """All parts, by two workers."""
    out = tmp_path_factory.mktemp("out") / "answers"
    return predict_in_bulk(finished.folder.path, [parts], out, workers=2, threads=1, device="cpu", quiet=True)


@pytest.fixture
def copy(scored: BulkResult, parts: Path, tmp_path: Path) -> Path:
    """A folder that holds the parts and their answers, as if they had been predicted there; to be changed."""
    shutil.copytree(parts, tmp_path / "parts")
    shutil.copytree(scored.folder, tmp_path / "answers")
    for record in (tmp_path / "answers" / "_finished").iterdir():
        record.write_text(record.read_text().replace(str(parts), str(tmp_path / "parts")))
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_the_answers_are_those_of_plain_predict_bit_by_bit(
    name: str, finished: RunResult, parts: Path, scored: BulkResult, call: Call, tmp_path: Path
) -> None:
    plain = tmp_path / f"plain{Path(NAMES[name]).suffix}"
    assert call("predict", finished.folder.path, parts / name, "--out", plain, "--device", "cpu")[0] == 0
    pd.testing.assert_frame_equal(read_answers(scored.folder / NAMES[name]), read_answers(plain), check_exact=True)
    assert plain.suffix == ".parquet" or plain.read_bytes() == (scored.folder / NAMES[name]).read_bytes()


def test_every_image_has_the_id_of_its_file_or_its_rows_number(scored: BulkResult) -> None:
    assert read_answers(scored.folder / "long.parquet")["id"].tolist() == [str(row + 1) for row in range(LONG)]
    assert read_answers(scored.folder / "named.csv")["id"].tolist() == [str(row) for row in range(200)]


def test_what_was_done_is_told_and_put_down(scored: BulkResult) -> None:
    assert (scored.parts, scored.images, scored.bad, scored.found_finished) == (4, LONG + 450, {}, 0)
    summary = json.loads((scored.folder / "_predictions.json").read_text())
    assert (summary["is_complete"], summary["images"]) == (True, LONG + 450)


def test_the_folder_reads_as_one_table(finished: RunResult, parts: Path, scored: BulkResult, copy: Path) -> None:
    for path in (copy / "answers").glob("*.csv"):
        path.unlink()
    assert len(pd.read_parquet(copy / "answers")) == LONG


def test_finished_parts_are_left_alone_and_no_worker_is_started(
    finished: RunResult, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitofude.learning.dispatch.LocalProcesses", None)
    before = inodes(copy / "answers")
    again = predict_in_bulk(finished.folder.path, [copy / "parts"], copy / "answers", device="cpu", quiet=True)
    assert (again.found_finished, again.images) == (4, LONG + 450)
    assert inodes(copy / "answers") == before


def test_a_changed_part_and_damaged_answers_are_made_anew_and_a_bad_part_leaves_none(
    finished: RunResult, copy: Path, scored: BulkResult, call: Call
) -> None:
    before = inodes(copy / "answers")
    with gzip.open(copy / "parts" / "packed.csv.gz", "at") as stream:
        stream.write("1,2,3\n")
    os.utime(copy / "parts" / "named.csv")
    damaged = bytearray((copy / "answers" / "arrays.csv").read_bytes())
    damaged[-3] ^= 1
    (copy / "answers" / "arrays.csv").write_bytes(damaged)
    code, out, err = call("predict", finished.folder.path, copy / "parts", "--out", copy / "answers", "--device", "cpu")
    assert code == 2
    assert "in 3 of 4 parts, 1 of them finished before" in out
    assert "packed.csv.gz, line 102: 3 fields, expected 785" in err
    after = inodes(copy / "answers")
    assert {name for name in before if after.get(name) != before[name]} == {"named.csv", "arrays.csv", "packed.csv"}
    assert not (copy / "answers" / "packed.csv").exists()
    for name in ("named.csv", "arrays.csv"):
        assert (copy / "answers" / name).read_bytes() == (scored.folder / name).read_bytes()


def test_another_model_is_refused_with_what_differs(finished: RunResult, copy: Path, call: Call) -> None:
    code, _, err = call("predict", finished.folder.path, copy / "parts", "--out", copy / "answers", "--calibrated")
    assert code == 3
    assert "temperature: None → " in err


def test_a_folder_of_other_things_is_refused(finished: RunResult, parts: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine.csv").touch()
    code, _, err = call("predict", finished.folder.path, parts, "--out", tmp_path)
    assert code == 3
    assert "holds other things than answers: mine.csv" in err


def test_a_folder_in_which_another_command_works_is_refused(
    finished: RunResult, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitofude.prediction.bulk.folder.SECONDS_FOR_A_DYING_OWNER", 0)
    with owning(copy / "answers"), pytest.raises(RunFolderError, match="in use by another process"):
        predict_in_bulk(finished.folder.path, [copy / "parts"], copy / "answers", quiet=True)


def test_a_file_of_the_same_name_from_elsewhere_does_not_replace_answers(
    finished: RunResult, copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    shutil.copyfile(copy / "parts" / "named.csv", tmp_path / "other" / "named.csv")
    with pytest.raises(
        RunFolderError, match=r"holds the answers of .*parts.*/named.csv, not those of .*other/named.csv"
    ):
        predict_in_bulk(finished.folder.path, [tmp_path / "other"], copy / "answers", quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "answers", "--show", "seen.png"], "--show and --sure are for pictures"),
        (["--out", "answers", "--sure", "0.5"], "--show and --sure are for pictures"),
        (["--out", "answers", "--format", "npz"], "--format npz: expected one of parquet, csv"),
        (["--out", "answers.csv", "--workers", "2"], "are for a folder of answers"),
        (["--out", "answers/", "--workers", "many"], "--workers many: expected"),
        (["--out", "answers", "--workers", "0"], "--workers 0"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_done(
    arguments: list[str], message: str, finished: RunResult, parts: Path, call: Call, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, _, err = call("predict", finished.folder.path, parts, *arguments)
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
    changed: Message, message: str, finished: RunResult, scored: BulkResult
) -> None:
    (scored.folder / ".seen").write_text("this one")
    asked: Message = {
        "ask": "model", "run": str(finished.folder.path), "folder": str(scored.folder), "token": "this one",
        "calibrated": False, "model": None, "versions": versions(), "is_away": True,
    }  # fmt: skip
    with pytest.raises(ClusterError, match=message):
        BulkWorker(Reporter(io.BytesIO())).answer(asked | changed)


def test_a_part_that_changed_since_the_work_was_shared_out_is_bad(
    finished: RunResult, parts: Path, tmp_path: Path
) -> None:
    model = Model.load(finished.folder.path, device="cpu")
    job = RunPlan(model, BulkFolder(tmp_path), ReadOptions(like=model.image_shape), is_away=False)
    part = replace(find_shards([parts / "named.csv"], tmp_path)[0], modified=1)
    with pytest.raises(InputError, match=r"named\.csv: it was changed"):
        predict_shard(job, part, Reporter(io.BytesIO()))
    assert not list(tmp_path.iterdir())
