"""Dask and Ray clusters of this machine, to measure and to kill: Dask's own commands, Ray's nodes."""

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

from hitofude.learning.dispatch import MODULE
from hitofude.workers.on_ray import ProcessActor

SECONDS_TO_START = 60
Found = TypeVar("Found")


class Cluster(Protocol):
    """A cluster that can be damaged."""

    address: str
    """For `--workers`."""

    def hosts(self) -> list[psutil.Process]:
        """Return the processes of Dask or Ray whose child is a hitofude process at this moment."""
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
        """Return the nannies' children, which do the work."""
        return [
            child for nanny in self._processes[1:] for child in _children(nanny.pid) if "spawn_main" in _line(child)
        ]

    def hosts(self) -> list[psutil.Process]:
        return [worker for worker in self.workers() if _hosted_by(worker)]

    def lose_head(self) -> None:
        self._processes[0].kill()

    def stop(self) -> None:
        for process in reversed(self._processes):
            for child in _children(process.pid):
                child.kill()
            process.kill()
            process.wait()


class RayCluster:
    """Ray nodes on one machine, each like a machine of its own."""

    def __init__(self, nodes: int, threads: int = 1) -> None:
        self._nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": threads, "include_dashboard": False})
        for _ in range(nodes - 1):
            self._nodes.add_node(num_cpus=threads)
        self._nodes.wait_for_nodes()
        self.address = self._nodes.address

    def hosts(self) -> list[psutil.Process]:
        raylets = [
            found.process.pid for node in self._nodes.list_all_nodes() for found in node.all_processes.get("raylet", [])
        ]
        actors = [child for raylet in raylets for child in _children(raylet) if ProcessActor.__name__ in _line(child)]
        return [actor for actor in actors if _hosted_by(actor)]

    def lose_head(self) -> None:
        head: Any = self._nodes.head_node
        head.kill_gcs_server(check_alive=False)

    def stop(self) -> None:
        self._nodes.shutdown()


@contextmanager
def running(kind: str, folder: Path, workers: int = 2, threads: int = 1) -> Iterator[DaskCluster | RayCluster]:
    """Run a cluster during the block. kind: `dask` or `ray`."""
    cluster = DaskCluster(folder, workers, threads) if kind == "dask" else RayCluster(workers, threads)
    try:
        yield cluster
    finally:
        cluster.stop()


def kill_a_worker(cluster: Cluster, chance: random.Random) -> str:
    """SIGKILL a process of Dask or Ray that works for us, or hitofude's process in it; return which."""
    host = chance.choice(wait_for(cluster.hosts, "a worker"))
    victim, name = chance.choice([(host, "the cluster's worker"), (_hosted_by(host)[0], "hitofude's process")])
    victim.send_signal(signal.SIGKILL)
    return name


def wait_for(look: Callable[[], Found], what: str) -> Found:
    """Return what `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not (found := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come")
        time.sleep(0.05)
    return found


def _dask(command: str, *options: str) -> subprocess.Popen[bytes]:
    """Start a Dask command without its output, which reports the killed processes."""
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


def _hosted_by(process: psutil.Process) -> list[psutil.Process]:
    return [child for child in _children(process.pid) if MODULE in _line(child)]
