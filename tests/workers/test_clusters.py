"""Real clusters of this machine: the same bytes as without, even after kills. `benchmarks/cluster.py` does more."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.clusters import DaskCluster, RayCluster, kill_a_worker, running, wait_for
from benchmarks.crash import contents

import hitofude
from hitofude.runs.claim import saved_epochs
from hitofude.runs.folder import RunFolder
from hitofude.workers.remote_process import cache_folder
from tests.conftest import wait_for_line

pytestmark = pytest.mark.slow

MEMBERS = {"rows": 200, "ensemble.folds": 3, "schedule.epochs": 3, "schedule.min_steps": 0}
Cluster = DaskCluster | RayCluster


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers of one thread."""
    with running(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Three members of the sample, by `--workers 1`."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    hitofude.run(run=folder, settings=MEMBERS, workers=1, threads=1, device="cpu", quiet=True)
    return contents(folder)


def command(folder: Path, workers: str, epochs: int = 3) -> list[str]:
    settings = MEMBERS | {"schedule.epochs": epochs}
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    where = ["--run", str(folder), "--workers", workers, "--threads", "1", "--device", "cpu"]
    return [sys.executable, "-m", "hitofude", "run", *where, *options]


def cached_images() -> dict[Path, int]:
    return {path: path.stat().st_ino for path in cache_folder().iterdir() if path.is_file()}


def start(folder: Path, workers: str) -> subprocess.Popen[str]:
    """Start the command, and return when it has finished the first epoch."""
    process = subprocess.Popen(command(folder, workers), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_line(process, "2 members side by side")
    wait_for_line(process, " 1/3 ")
    return process


def test_neither_a_killed_worker_nor_a_killed_command_changes_anything(
    cluster: Cluster, alone: dict[str, bytes], tmp_path: Path
) -> None:
    """First a worker is killed in the middle of a member; later the command, and its run is continued.

    `test_tls.py` trains on a cluster that nothing happens to.
    """
    with start(tmp_path / "run", cluster.address) as process:
        kill_a_worker(cluster, random.Random(1))  # noqa: S311
        wait_for_line(process, "continues on another worker")
        wait_for_line(process, " 3/3 ")
        hosts, cached = cluster.hosts(), cached_images()
        process.kill()
    continued = {"workers": cluster.address, "threads": 1, "device": "cpu", "quiet": True}
    hitofude.run(run=tmp_path / "run", settings=MEMBERS, **continued)
    assert contents(tmp_path / "run") == alone
    assert not list(tmp_path.glob("run/members/.*/"))
    wait_for(lambda: not set(hosts) & set(cluster.hosts()), "the end of the workers")
    assert cached.items() <= cached_images().items()  # they were not sent again; other tests send others


@pytest.mark.parametrize("cluster", ["dask"], indirect=True)
def test_a_lost_head_ends_with_6_and_what_is_done_is_kept(cluster: Cluster, tmp_path: Path) -> None:
    """The last test: the cluster is gone then. For Ray's head, see `benchmarks/cluster.py`."""
    line = command(tmp_path / "run", cluster.address, epochs=60)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for_line(process, " 1/60 ")
        cluster.lose_head()
        _, complaints = process.communicate()
    assert process.returncode == 6, complaints
    assert "is lost" in complaints
    assert "Run the same command again to continue:\n  hitofude run" in complaints
    assert saved_epochs(RunFolder(tmp_path / "run"), range(3))
