"""A Ray cluster: each of our worker processes belongs to an actor on one of its nodes.

Actors occupy their share of the node's processors and GPUs while they live, and end with the driver.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hitofude.borrowed import environment_put_back, loggers_at, signals_put_back
from hitofude.errors import ClusterError, first_line
from hitofude.language.translation import note
from hitofude.workers.remote_process import (
    SECONDS_BETWEEN_READS,
    SECONDS_TO_ANSWER,
    SECONDS_TO_READ,
    Events,
    RemoteProcess,
    RemoteWorker,
    Result,
)
from hitofude.workers.worker import Node, Worker, WorkerLostError

logger = logging.getLogger(__name__)

LOCAL = "ray"
SECONDS_WITHOUT_HEAD, SECONDS_TO_CONNECT = 15.0, 5.0
SECONDS_TO_START, SECONDS_TO_STOP = 120.0, 5.0


class RayCluster:
    """The nodes of a Ray cluster, or of one that is started on this machine for the life of this object."""

    replaces_lost = True

    def __init__(self, address: str, processors: int) -> None:
        """address: `ray://HOST:PORT` of a client server; HOST:PORT of a cluster that this machine belongs to; or `ray`
        for the cluster that RAY_ADDRESS names, or else to start one of this many processors here.

        Raises ClusterError if no cluster answers.
        """
        self.name = (
            note("the Ray cluster {address}", address=address)
            if address != LOCAL
            else "the Ray cluster of this machine"
        )
        with ExitStack() as opened:
            opened.enter_context(environment_put_back())  # Ray sets some variables for its own processes
            opened.enter_context(signals_put_back())
            opened.enter_context(loggers_at(logging.CRITICAL, ["ray"]))
            _initialise(address, processors)
            opened.callback(ray.shutdown)
            is_client = address.startswith("ray://")
            self._head: str | None = None if is_client else ray.get_runtime_context().gcs_address
            self._opened = opened.pop_all()

    def nodes(self) -> Sequence[Node]:
        self._check_head()
        try:
            nodes = ray.nodes()
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
            raise ClusterError(f"The connection to {self.name} is lost ({first_line(error)}).") from error
        return [
            Node(_name(node), int(resources.get("CPU", 0)), resources.get("GPU", 0), node["NodeID"])
            for node in nodes
            if node["Alive"] and (resources := node["Resources"])
        ]

    def start_worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        return RayWorker(node, module, threads, gpus)

    def close(self) -> None:
        self._opened.close()

    def _check_head(self) -> None:
        """Raise ClusterError if the head is lost: Ray itself would end this process without a message."""
        if self._head is None:
            return
        deadline = time.monotonic() + SECONDS_WITHOUT_HEAD
        while not _answers(self._head):
            if time.monotonic() > deadline:
                raise ClusterError(f"The head of {self.name} is lost.")
            time.sleep(1)


def _initialise(address: str, processors: int) -> None:
    """Connect this process to a cluster, or start one. Raises ClusterError if no cluster answers."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL", "configure_logging": True}
    try:
        if address == LOCAL and "RAY_ADDRESS" not in os.environ:
            ray.init(address="local", num_cpus=processors, include_dashboard=False, **quiet)
        else:
            ray.init(address=None if address == LOCAL else address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"No Ray cluster answers at {address} ({first_line(error)}). Start one with `ray start --head`, or "
            "leave --workers out; see docs/scaling.md."
        ) from error


class RayWorker(RemoteWorker):
    """A process in an actor."""

    def __init__(self, node: Node, module: str, threads: int, gpus: float) -> None:
        """Start the process, and wait until it runs. Raises WorkerLostError."""
        super().__init__(node.name)
        affinity = NodeAffinitySchedulingStrategy(node.id, soft=False)
        actor = ray.remote(ProcessActor).options(
            num_cpus=threads, num_gpus=gpus, scheduling_strategy=affinity, max_restarts=0, max_concurrency=4
        )
        self._actor: Any = actor.remote(module, threads)
        self._timeout = SECONDS_TO_START
        self.keep_alive()
        self._timeout = SECONDS_TO_ANSWER

    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        try:
            answer = getattr(self._actor, method.__name__).remote(*arguments)
            result: Result = ray.get(answer, timeout=self._timeout)
        except (ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
            logger.info("%s: %s", self.node, first_line(error))
            is_missing = "No module named 'hitofude" in str(error)
            reason = "has no hitofude. Install the same version there as here." if is_missing else "does not answer"
            raise WorkerLostError(ClusterError(f"it {reason}")) from error
        return result

    def stop(self) -> None:
        """End the process. The actor itself ends with the last reference to it."""
        with suppress(Exception):  # it may have ended already, and Ray too
            ray.get(self._actor.stop.remote(), timeout=SECONDS_TO_STOP)


class ProcessActor(RemoteProcess):
    """A Ray actor."""

    def read(self) -> tuple[Events, str | None]:
        """Wait a while for events."""
        deadline = time.monotonic() + SECONDS_TO_READ
        while not any(found := super().read()) and time.monotonic() < deadline:
            time.sleep(SECONDS_BETWEEN_READS)
        return found


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_CONNECT).close()
    except OSError:
        return False
    return True


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} (node {node['NodeID'][:8]})"
