"""Killed at any moment, the same command continues; on a cluster, the shard of a lost worker goes on elsewhere."""

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

SHARDS, IMAGES = 4, 1_000
pytestmark = [
    has_proc, pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="there are no signals here")
]  # fmt: skip


@pytest.fixture(scope="module")
def many(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards that take about a second each."""
    folder = tmp_path_factory.mktemp("many")
    frame = pd.read_parquet(shards / "long.parquet").iloc[:IMAGES]
    for number in range(SHARDS):
        frame.to_parquet(folder / f"part-{number}.parquet")
    return folder


@contextmanager
def predicting(finished: RunResult, many: Path, out: Path, workers: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command until its first shard is finished."""
    arguments = [sys.executable, "-m", "hitofude", "predict", str(finished.folder.path), str(many), "--out", str(out),
                 "--device", "cpu", "--workers", workers, "--threads", "1"]  # fmt: skip
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdout=pipe, stderr=pipe, text=True) as process:
        wait_for_line(process, f"{IMAGES:,} images in")
        yield process


def finished_in(out: Path) -> set[str]:
    return {path.name.removesuffix(".json") for path in (out / "_finished").glob("[!.]*")}


@pytest.fixture(scope="module")
def expected(finished: RunResult, many: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The predictions of each shard, by a command that was not disturbed."""
    out, first = tmp_path_factory.mktemp("alone") / "answers", many / "part-0.parquet"
    predict_in_bulk(finished.folder.path, [first], out, workers=1, threads=1, device="cpu", quiet=True)
    return (out / first.name).read_bytes()


def test_killed_in_the_middle_finished_shards_stay_and_the_same_command_does_the_others(
    finished: RunResult, many: Path, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with predicting(finished, many, out, "1") as process:
        (worker,) = children(process.pid)
        process.send_signal(signal.SIGKILL)
    wait_for_the_end(worker)
    done = finished_in(out)
    before = {name: found for name, found in inodes(out).items() if name in done}
    assert 1 <= len(done) < SHARDS
    result = predict_in_bulk(finished.folder.path, [many], out, workers=1, threads=1, device="cpu", quiet=True)
    assert (result.found_finished, result.images) == (len(done), SHARDS * IMAGES)
    assert {name: found for name, found in inodes(out).items() if name in done} == before
    assert [path.read_bytes() == expected for path in out.glob("*.parquet")] == [True] * SHARDS
    assert not list(out.rglob(".*.tmp"))


def test_a_worker_killed_in_the_middle_ends_the_command_and_finished_shards_stay(
    finished: RunResult, many: Path, tmp_path: Path
) -> None:
    with predicting(finished, many, tmp_path / "out", "1") as process:
        os.kill(children(process.pid)[0], signal.SIGKILL)
        _, errors = process.communicate()
    assert process.returncode == 4, errors
    assert 1 <= len(finished_in(tmp_path / "out")) < SHARDS


def test_on_a_cluster_the_shard_of_a_killed_worker_goes_on_elsewhere_to_the_same_bytes(
    finished: RunResult, many: Path, expected: bytes, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    with predicting(finished, many, tmp_path / "out", "dask") as process:
        os.kill(bulk_workers(process.pid)[0], signal.SIGKILL)
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"predicted {SHARDS * IMAGES:,} images in {SHARDS} of {SHARDS} shards" in output
    assert [path.read_bytes() == expected for path in (tmp_path / "out").glob("*.parquet")] == [True] * SHARDS


def bulk_workers(process: int) -> list[int]:
    """Return the worker processes of bulk prediction below a process."""
    found: list[int] = []
    for child in children(process):
        words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found += [child] if b"hitofude.prediction.bulk.worker" in words else bulk_workers(child)
    return found


def wait_for_the_end(process: int) -> None:
    while Path(f"/proc/{process}").exists():
        time.sleep(0.05)
