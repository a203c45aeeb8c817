"""Killed at any moment, the same command continues; on a cluster, what a lost worker had goes on elsewhere."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from hitofude.prediction.bulk.run import predict_in_bulk
from hitofude.runs.result import RunResult
from tests.conftest import wait_for_line
from tests.learning.test_dispatch import children, has_proc
from tests.prediction.bulk.conftest import inodes

PARTS, IMAGES = 5, 1_200
pytestmark = [has_proc, pytest.mark.skipif(os.name != "posix", reason="there are no signals here")]


@pytest.fixture(scope="module")
def many(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of some seconds' work."""
    folder = tmp_path_factory.mktemp("many")
    frame = pd.read_parquet(parts / "long.parquet").iloc[:IMAGES]
    for number in range(PARTS):
        frame.to_parquet(folder / f"part-{number}.parquet")
    return folder


def command(finished: RunResult, many: Path, out: Path, workers: str) -> list[str]:
    run = str(finished.folder.path)
    return [sys.executable, "-m", "hitofude", "predict", run, str(many), "--out", str(out), "--device", "cpu",
            "--workers", workers, "--threads", "1"]  # fmt: skip


@contextmanager
def predicting(arguments: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """The command, until its first part is finished."""
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True) as process:
        wait_for_line(process, f"{IMAGES:,} images in")
        yield process


def finished_in(out: Path) -> set[str]:
    return {path.name.removesuffix(".json") for path in (out / "_finished").glob("[!.]*")}


@pytest.fixture(scope="module")
def answers(finished: RunResult, many: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Those of each part, of a command that nobody disturbed."""
    out, first = tmp_path_factory.mktemp("alone") / "answers", many / "part-0.parquet"
    predict_in_bulk(finished.folder.path, [first], out, workers=1, threads=1, device="cpu", quiet=True)
    return (out / first.name).read_bytes()


def test_killed_in_the_middle_finished_parts_stay_and_the_same_command_does_the_others(
    finished: RunResult, many: Path, answers: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with predicting(command(finished, many, out, "1")) as process:
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGKILL)
    wait_for_the_end(worker)
    done = finished_in(out)
    before = {name: found for name, found in inodes(out).items() if name in done}
    assert 1 <= len(done) < PARTS
    scores = predict_in_bulk(finished.folder.path, [many], out, workers=1, threads=1, device="cpu", quiet=True)
    assert (scores.found_finished, scores.images) == (len(done), PARTS * IMAGES)
    assert {name: found for name, found in inodes(out).items() if name in done} == before
    assert [path.read_bytes() == answers for path in out.glob("*.parquet")] == [True] * PARTS
    assert not list(out.rglob(".*.tmp"))


def test_a_worker_killed_in_the_middle_ends_the_command_and_what_is_finished_stays(
    finished: RunResult, many: Path, tmp_path: Path
) -> None:
    with predicting(command(finished, many, tmp_path / "out", "1")) as process:
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == 4, errors
    assert 1 <= len(finished_in(tmp_path / "out")) < PARTS


def test_on_a_cluster_a_killed_workers_part_goes_on_elsewhere_to_the_same_bytes(
    finished: RunResult, many: Path, answers: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    with predicting(command(finished, many, tmp_path / "out", "dask")) as process:
        os.kill(scoring_processes(process.pid)[0], signal.SIGKILL)
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"predicted {PARTS * IMAGES:,} images in {PARTS} of {PARTS} parts" in output
    assert [path.read_bytes() == answers for path in (tmp_path / "out").glob("*.parquet")] == [True] * PARTS


def scoring_processes(process: int) -> list[int]:
    """Those below a process that predict parts."""
    found: list[int] = []
    for child in children(process):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found += [child] if b"hitofude.prediction.bulk.worker" in words else scoring_processes(child)
    return found


def wait_for_the_end(process: int) -> None:
    while Path(f"/proc/{process}").exists():
        time.sleep(0.05)
