"""The driver's end of a worker process on a cluster, which it reaches through calls of Dask or Ray."""

import hashlib
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from hitofude.errors import ClusterError
from hitofude.workers.messages import Message
from hitofude.workers.remote_process import RemoteProcess
from hitofude.workers.worker import Worker, WorkerLostError

SECONDS_TO_ANSWER = 60.0
"""A process that does not answer a call within this time is regarded as lost."""

Result = TypeVar("Result")

_filling_caches = threading.Lock()


class RemoteWorker(Worker):
    """A RemoteProcess that is called through the cluster."""

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self._events: deque[tuple[Message, bytes]] = deque()

    @abstractmethod
    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """Call a method of RemoteProcess on the node. A read waits a while for events.

        Raises WorkerLostError if the process cannot be reached.
        """

    def send(self, message: Message, content: bytes = b"", *, cache: bool = False) -> None:
        if not cache:
            self.call(RemoteProcess.send, message, content)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        with _filling_caches:  # or two workers of one machine would be sent the same
            if not self.call(RemoteProcess.has_cached, sha256):
                self.call(RemoteProcess.cache, content)
        self.call(RemoteProcess.send_cached, message, sha256)

    def receive(self) -> tuple[Message, bytes]:
        while not self._events:
            events, end = self.call(RemoteProcess.read)
            if end is not None:
                raise WorkerLostError(ClusterError(end))
            self._events.extend(events)
        return self._events.popleft()

    def keep_alive(self) -> None:
        self.call(RemoteProcess.keep_alive)
