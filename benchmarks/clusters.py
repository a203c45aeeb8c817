"""Real clusters of this machine, to be measured and to be killed: Dask's own commands, Ray's nodes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
from ray.cluster_utils import Cluster as Nodes

from hitofude.workers.on_ray import HostActor

SECONDS_TO_START = 60
Found = TypeVar("Found")


class Cluster(Protocol):
    """What is done to a cluster."""

    address: str
    """As `--workers` takes it."""

    def seats(self) -> list[psutil.Process]:
        """The processes of the compute that host hitofude's, at this moment."""
        ...

    def lose_head(self) -> None:
        """Kill the process that all others need."""
        ...


class DaskCluster:
    """A scheduler and workers with nannies, as the `dask` command starts them."""

    def __init__(self, folder: Path, workers: int, threads: int = 1) -> None:
        file = folder / "scheduler.json"
        scheduler = _dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        self._processes = [scheduler]
        wait_for(file.exists, "the Dask scheduler")
        options = ("--nthreads", str(threads), "--local-directory", str(folder), "--scheduler-file", str(file))
        self._processes += [_dask("worker", *options) for _ in range(workers)]
        self.address = wait_for(lambda: _address_of(file), "the Dask scheduler's address")
        wait_for(lambda: len(self.workers()) == workers, "the Dask workers")

    def workers(self) -> list[psutil.Process]:
        """The nannies' processes that do the work."""
        return [
            child for nanny in self._processes[1:] for child in _children(nanny.pid) if "spawn_main" in _line(child)
        ]

    def seats(self) -> list[psutil.Process]:
        return [worker for worker in self.workers() if any(_is_hosted(child) for child in _children(worker.pid))]

    def lose_head(self) -> None:
        self._processes[0].kill()

    def stop(self) -> None:
        for process in reversed(self._processes):
            for child in _children(process.pid):
                child.kill()
            process.kill()
            process.wait()


class RayCluster:
    """Nodes of one machine, each as if it were one of its own."""

    def __init__(self, nodes: int, threads: int = 1) -> None:
        self._nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": threads, "include_dashboard": False})
        for _ in range(nodes - 1):
            self._nodes.add_node(num_cpus=threads)
        self._nodes.wait_for_nodes()
        self.address = self._nodes.address

    def seats(self) -> list[psutil.Process]:
        raylets = [
            found.process.pid for node in self._nodes.list_all_nodes() for found in node.all_processes.get("raylet", [])
        ]
        actors = [child for raylet in raylets for child in _children(raylet) if HostActor.__name__ in _line(child)]
        return [actor for actor in actors if any(_is_hosted(child) for child in _children(actor.pid))]

    def lose_head(self) -> None:
        head: Any = self._nodes.head_node
        head.kill_gcs_server(check_alive=False)

    def stop(self) -> None:
        self._nodes.shutdown()


@contextmanager
def running(compute: str, folder: Path, workers: int = 2, threads: int = 1) -> Iterator[DaskCluster | RayCluster]:
    """A cluster of `dask` or `ray`, for the length of the block."""
    cluster = DaskCluster(folder, workers, threads) if compute == "dask" else RayCluster(workers, threads)
    try:
        yield cluster
    finally:
        cluster.stop()


def kill_a_seat(cluster: Cluster, chance: random.Random) -> str:
    """SIGKILL one of the compute's processes that work for us, or hitofude's process within it; which it was."""
    seat = chance.choice(wait_for(cluster.seats, "a seat"))
    hosted = next(child for child in _children(seat.pid) if _is_hosted(child))
    victim, name = chance.choice([(seat, "the compute's worker"), (hosted, "hitofude's process")])
    victim.send_signal(signal.SIGKILL)
    return name


def wait_for(look: Callable[[], Found], what: str) -> Found:
    """What is found as soon as there is something."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come")
        time.sleep(0.05)
    return found


def _dask(command: str, *options: str) -> subprocess.Popen[bytes]:
    """Its output goes nowhere: what it says of those that are killed is no news."""
    line = [sys.executable, "-m", f"distributed.cli.dask_{command}", "--no-dashboard", *options]
    quiet = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | quiet)


def _address_of(file: Path) -> str:
    try:
        address: str = json.loads(file.read_text())["address"]
    except ValueError:
        return ""
    return address


def _children(process: int) -> Sequence[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(process).children()
        return found
    except psutil.NoSuchProcess:
        return []


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _is_hosted(process: psutil.Process) -> bool:
    return "hitofude.learning.worker" in _line(process)
