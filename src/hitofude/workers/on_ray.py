"""A Ray cluster's nodes: each worker is an actor on one node, whose process works there.

Actors hold their share of the node's processors and GPUs while they live, and end with the run that made them. What is
sent twice goes once through Ray's object store.
"""

import logging
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hitofude.errors import ClusterError, RecipeError, first_line
from hitofude.workers.host import HostedProcess
from hitofude.workers.remote_worker import SECONDS_FOR_AN_ANSWER, RemoteWorker
from hitofude.workers.worker import Node, Worker, WorkerLostError

logger = logging.getLogger(__name__)

LOCAL = "ray"
SECONDS_WITHOUT_HEAD, SECONDS_TO_ANSWER = 15.0, 5.0
SECONDS_TO_SIT, SECONDS_TO_END = 120.0, 5.0
SECONDS_TO_WAIT_FOR_WORDS = 1.0
SECONDS_BETWEEN_LOOKS = 0.02


class RayCluster:
    """The nodes of a Ray cluster, or of one of this machine that lives as long as this."""

    replaces_lost = True

    def __init__(self, address: str, processors: int) -> None:
        """address: `ray`, `ray://HOST:PORT` of a client server, HOST:PORT of a cluster that this machine belongs to.

        Raises RecipeError where the package is missing, ClusterError where no cluster answers.
        """
        self._ray = _import_ray()
        self.name = f"the Ray cluster {address}" if address != LOCAL else "the Ray cluster of this machine"
        quiet = {"log_to_driver": False, "logging_level": "CRITICAL", "configure_logging": True}
        try:
            if address == LOCAL and "RAY_ADDRESS" not in os.environ:
                self._ray.init(address="local", num_cpus=processors, include_dashboard=False, **quiet)
            else:
                self._ray.init(address=None if address == LOCAL else address, **quiet)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise ClusterError(
                f"No Ray cluster answers at {address} ({first_line(error)}). Start one with `ray start --head`, or "
                "leave --workers out; see docs/scaling.md."
            ) from error
        is_client = address.startswith("ray://")
        self._head: str | None = None if is_client else self._ray.get_runtime_context().gcs_address

    def nodes(self) -> Sequence[Node]:
        self._check_head()
        try:
            nodes = self._ray.nodes()
        except (ConnectionError, RuntimeError, self._ray.exceptions.RayError) as error:
            raise ClusterError(f"The connection to {self.name} is lost ({first_line(error)}).") from error
        return [
            Node(_name(node), int(resources.get("CPU", 0)), resources.get("GPU", 0), node["NodeID"])
            for node in nodes
            if node["Alive"] and (resources := node["Resources"])
        ]

    def worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        return RemoteWorker(node.name, _RayHost(self._ray, node, module, threads, gpus))

    def close(self) -> None:
        self._ray.shutdown()

    def _check_head(self) -> None:
        """Raises ClusterError when the head is gone: Ray itself would end this process, without a word of ours."""
        if self._head is None:
            return
        deadline = time.monotonic() + SECONDS_WITHOUT_HEAD
        while not _answers(self._head):
            if time.monotonic() > deadline:
                raise ClusterError(f"The head of {self.name} is lost.")
            time.sleep(1)


class _RayHost:
    """A hosted process in an actor."""

    def __init__(self, ray: Any, node: Node, module: str, threads: int, gpus: float) -> None:
        """Returns when the process runs. Raises WorkerLostError."""
        self._ray, self._place = ray, node.name
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)
        made = ray.remote(HostActor).options(
            num_cpus=threads,
            num_gpus=gpus,
            scheduling_strategy=there,
            max_restarts=0,
            max_concurrency=4,
        )
        self._actor = made.remote(module, threads)
        self._call(self._actor.is_there, within=SECONDS_TO_SIT)

    def has(self, sha256: str) -> bool:
        found: bool = self._call(self._actor.has, sha256)
        return found

    def keep(self, content: bytes) -> None:
        self._call(self._actor.keep, content)

    def write(self, content: bytes) -> None:
        self._call(self._actor.write, content)

    def stay(self) -> None:
        self._call(self._actor.stay)

    def write_kept(self, sha256: str) -> None:
        self._call(self._actor.write_kept, sha256)

    def read(self) -> tuple[bytes, str | None]:
        found: tuple[bytes, str | None] = self._call(self._actor.read_soon)
        return found

    def end(self) -> None:
        """The actor itself ends when nobody knows of it any more."""
        with suppress(Exception):  # it may be gone already, and Ray too
            self._ray.get(self._actor.end.remote(), timeout=SECONDS_TO_END)

    def _call(self, method: Any, *arguments: Any, within: float = SECONDS_FOR_AN_ANSWER) -> Any:
        try:
            return self._ray.get(method.remote(*arguments), timeout=within)
        except (self._ray.exceptions.RayError, ConnectionError, RuntimeError, ValueError) as error:
            logger.info("%s: %s", self._place, first_line(error))
            raise WorkerLostError(ClusterError(_explain(error))) from error


class HostActor(HostedProcess):
    """In a Ray worker."""

    def is_there(self) -> None:
        """Returns when the actor lives."""

    def read_soon(self) -> tuple[bytes, str | None]:
        """What the process has told, as soon as there is something."""
        deadline = time.monotonic() + SECONDS_TO_WAIT_FOR_WORDS
        while True:
            content, ended = self.read()
            if content or ended or time.monotonic() > deadline:
                return content, ended
            time.sleep(SECONDS_BETWEEN_LOOKS)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_ANSWER).close()
    except OSError:
        return False
    return True


def _name(node: dict[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} (node {node['NodeID'][:8]})"


def _explain(error: BaseException) -> str:
    if "No module named 'hitofude" in str(error):
        return "it has no hitofude. Install the same version there as here."
    return "it does not answer"


def _import_ray() -> Any:
    try:
        import ray
        import ray.util.scheduling_strategies
    except ModuleNotFoundError:
        raise RecipeError("--workers ray needs the package ray: pip install 'hitofude[ray]'") from None
    return ray
