"""Claiming a folder: one owner at a time, the same work or none; and room on the disk."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import RunFolderError, differences
from hitofude.inputs.dataset import Dataset
from hitofude.learning.compute import Compute
from hitofude.recipe import Recipe
from hitofude.runs import claim
from hitofude.runs.claim import ClaimedFolder, claim_run
from hitofude.runs.folder import RunFolder
from hitofude.storage import owning

OWN_AND_WAIT = """
import sys, time
from pathlib import Path
from hitofude.storage import owning
with owning(Path(sys.argv[1])) as is_ours:
    (Path(sys.argv[1]) / ".half.txt.1.tmp").write_text("half")
    print(is_ours, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path) -> ClaimedFolder:
    return ClaimedFolder(tmp_path / "work", "sweep", "--out", "marker", ("early",))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def begin(folder: ClaimedFolder) -> None:
    """Begin the work, as a process that ends afterwards."""
    with folder.claimed((folder.path / "marker").touch, list):
        pass


def test_new_work_is_begun_and_work_that_was_begun_is_compared(folder: ClaimedFolder) -> None:
    calls: list[str] = []

    def begin() -> None:
        calls.append("begin")
        (folder.path / "marker").touch()

    def compare() -> list[str]:
        calls.append("compare")
        return []

    for _ in range(2):
        with folder.claimed(begin, compare):
            assert (folder.path / "marker").exists()
    assert calls == ["begin", "compare"]


def test_other_work_is_refused_with_each_difference(folder: ClaimedFolder) -> None:
    begin(folder)
    found = differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 6})
    expected = r"work holds another sweep \(there → here\):\n  b: 2 → 5\n  d: None → 6\n.* another folder with --out\."
    with pytest.raises(RunFolderError, match=expected), folder.claimed(list, lambda: found):
        pass


def test_a_folder_that_holds_other_things_is_refused(folder: ClaimedFolder) -> None:
    folder.path.mkdir()
    for name in (".hidden", "early", "thesis.tex"):
        (folder.path / name).touch()
    with pytest.raises(RunFolderError, match=r"not a sweep folder: it holds thesis\.tex"):
        begin(folder)
    (folder.path / "thesis.tex").unlink()
    begin(folder)


def test_a_file_is_not_a_folder(folder: ClaimedFolder) -> None:
    folder.path.touch()
    with pytest.raises(RunFolderError, match="is a file"):
        begin(folder)


def test_a_second_owner_is_told_who_the_first_is(folder: ClaimedFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "SECONDS_FOR_A_DYING_OWNER", 0)
    expected = rf"in use by process {os.getpid()} on .+, since 20\d\d-"
    with folder.claimed(list, list), pytest.raises(RunFolderError, match=expected):
        begin(folder)
    begin(folder)
    with owning(folder.path), pytest.raises(RunFolderError, match="in use by another process"):
        begin(folder)


def test_the_folder_of_a_killed_owner_is_recovered_and_swept(folder: ClaimedFolder) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWN_AND_WAIT, folder.path], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "True\n"
        owner.send_signal(signal.SIGKILL)
    begin(folder)
    assert {path.name for path in folder.path.iterdir()} == {"marker", ".lock"}


def test_another_pytorch_or_number_of_threads_does_not_continue_a_run(
    run: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    assert run.threads_begun_with() is None
    with claim_run(run, quick, dataset, Compute(compute.device, "float32", threads=3)):
        pass
    assert run.threads_begun_with() == 3
    begun = json.loads(run.environment.read_text())
    run.environment.write_text(json.dumps(begun | {"torch": "2.5.9"}))
    other = claim_run(run, quick, dataset, Compute(compute.device, "float32", threads=1))
    with pytest.raises(RunFolderError, match=r"torch: 2\.5\.9 → .*\n  threads: 3 → 1"), other:
        pass


def test_a_run_is_not_continued_with_other_weights(
    run: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    weighted, other = (replace(dataset, train=replace(dataset.train, weights=np.arange(300.0) + add)) for add in (1, 2))
    with claim_run(run, quick, weighted, compute):
        pass
    with claim_run(run, quick, weighted, compute):
        pass
    for data, found in ((dataset, "none"), (other, "other ones")):
        with (
            pytest.raises(RunFolderError, match=rf"\n  weights: given → {found}\n"),
            claim_run(run, quick, data, compute),
        ):
            pass


def test_a_run_is_not_continued_with_other_groups_or_folds(
    run: RunFolder, quick: Recipe, dataset: Dataset, compute: Compute
) -> None:
    groups = np.arange(300).astype(np.str_)
    with claim_run(run, quick, replace(dataset, train=replace(dataset.train, groups=groups)), compute):
        pass
    with pytest.raises(RunFolderError, match="groups: given → none"), claim_run(run, quick, dataset, compute):
        pass
    given = replace(dataset, train=replace(dataset.train, groups=groups, folds=groups))
    with pytest.raises(RunFolderError, match="folds: none → given"), claim_run(run, quick, given, compute):
        pass
