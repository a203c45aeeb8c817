"""What all kinds of workers offer: nodes, and workers there; and the kind that is processes of this machine."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hitofude.workers.messages import Message, receive, send
from hitofude.workers.process import WorkerProcess


class WorkerLostError(Exception):
    """A worker process is gone, or cannot be had. reason: why, as its user would be told."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Worker(ABC):
    """A worker process, as the run sees it: what it is told, what it tells. One thread tells and hears."""

    def __init__(self, node: str) -> None:
        self.node = node
        """For messages: a machine, or a worker of a cluster."""
        self._told: set[str] = set()

    @abstractmethod
    def tell(self, message: Message, content: bytes = b"", *, keep: bool = False) -> None:
        """Send a message. keep: its content is likely to be sent to the same machine again.

        Raises WorkerLostError.
        """

    @abstractmethod
    def hear(self) -> tuple[Message, bytes]:
        """Wait for what it tells next. Raises WorkerLostError when it has ended."""

    def stay(self) -> None:  # noqa: B027  most need not be told
        """Let it know, now and then, that it will be asked again. Raises WorkerLostError."""

    @abstractmethod
    def end(self) -> None:
        """End the process at once; from any thread, and more than once."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what has ended; from the thread that tells and hears."""

    def knows(self, name: str) -> bool:
        """Whether it was asked before: each name once."""
        known = name in self._told
        self._told.add(name)
        return known


@dataclass(frozen=True)
class Node:
    """Where there are workers."""

    name: str
    threads: int
    """It has so many for all of its workers."""
    gpus: float = 0
    id: str = ""
    """How its engine calls it, where that is nothing to read."""


class Cluster(Protocol):
    """The one interface of all: processes of this machine, a Dask cluster, a Ray cluster."""

    name: str
    """For messages."""
    replaces_lost: bool
    """Whether what a lost process was at goes on in another."""

    def nodes(self) -> Sequence[Node]:
        """Those that are there now. Raises ClusterError when the cluster is gone."""
        ...

    def worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        """Start `python -m module` at a node, with so many threads and so much of a GPU. Raises WorkerLostError."""
        ...

    def close(self) -> None:
        """Leave; what it started ends."""
        ...


class LocalProcesses:
    """Processes of this machine, so many at most. A lost one ends the work: here, that is want of memory."""

    name = "this machine"
    replaces_lost = False

    def __init__(self, count: int, threads: int) -> None:
        self._places = [Node(self.name, count * threads)]

    def nodes(self) -> Sequence[Node]:
        return self._places

    def worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:  # noqa: ARG002
        return LocalWorker(node.name, WorkerProcess(module, threads))

    def close(self) -> None:
        """There is nothing to leave."""


class LocalWorker(Worker):
    """A process that is asked by its own pipes."""

    def __init__(self, node: str, process: WorkerProcess) -> None:
        super().__init__(node)
        self._process = process

    def tell(self, message: Message, content: bytes = b"", *, keep: bool = False) -> None:  # noqa: ARG002
        try:
            send(self._process.requests, message, content)
        except (BrokenPipeError, ValueError):  # it has ended, or we have ended it
            raise WorkerLostError(self._process.explain_death()) from None

    def hear(self) -> tuple[Message, bytes]:
        event = receive(self._process.events)
        if event is None:
            raise WorkerLostError(self._process.explain_death())
        return event

    def end(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.close()
