"""The interface of clusters, their nodes, and the workers on them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hitofude.workers.messages import Message


class WorkerLostError(Exception):
    """A worker process has ended, or could not be started. reason: the error to show to the user."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Worker(ABC):
    """The driver's end of a worker process. One thread sends and receives."""

    def __init__(self, node: str) -> None:
        """node: the machine, or the cluster's worker, that it runs on; for messages."""
        self.node = node
        self._names: set[str] = set()

    @abstractmethod
    def send(self, message: Message, content: bytes = b"", *, cache: bool = False) -> None:
        """Send a request. cache: the content will likely be sent to the same machine again.

        Raises WorkerLostError.
        """

    @abstractmethod
    def receive(self) -> tuple[Message, bytes]:
        """Wait for the next event. Raises WorkerLostError if the process has ended."""

    def keep_alive(self) -> None:  # noqa: B027  optional
        """Announce that more requests will come. Raises WorkerLostError."""

    @abstractmethod
    def stop(self) -> None:
        """End the process at once; may be called from any thread, and more than once."""

    def close(self) -> None:  # noqa: B027  optional
        """Release the resources of a process that has ended; called by the thread that sends and receives."""

    def first_time(self, name: str) -> bool:
        """Whether this is the first call with that name; by it each worker is sent the same data once."""
        is_first = name not in self._names
        self._names.add(name)
        return is_first


@dataclass(frozen=True)
class Node:
    """A machine, or a cluster's worker, on which our workers can be started."""

    name: str
    threads: int
    """For all workers on it together."""
    gpus: float = 0
    id: str = ""
    """The cluster's own identifier, if it is not the name."""


class Cluster(Protocol):
    """Processes of this machine, a Dask cluster, or a Ray cluster."""

    name: str
    """For messages."""
    replaces_lost: bool
    """Whether the task of a lost worker continues on another worker."""

    def nodes(self) -> Sequence[Node]:
        """Return the nodes of this moment. Raises ClusterError if the connection is lost."""
        ...

    def start_worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        """Start `python -m module` on a node, with this many threads and GPUs. Raises WorkerLostError."""
        ...

    def close(self) -> None:
        """Disconnect; all that was started ends."""
        ...
