"""The driver's end of a worker process on a cluster, which it reaches through calls of Dask or Ray."""

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from hitofude.errors import ClusterError
from hitofude.workers.messages import Message
from hitofude.workers.remote_process import RemoteProcess
from hitofude.workers.worker import Worker, WorkerLostError

SECONDS_TO_ANSWER = 60.0
"""A process that does not answer a call within this time is regarded as lost."""

Result = TypeVar("Result")

_filling_caches = threading.Lock()


class Channel(Protocol):
    """The way to one RemoteProcess."""

    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """Call a method of RemoteProcess over there. A read waits a while for events.

        Raises WorkerLostError if the process cannot be reached.
        """
        ...

    def stop(self) -> None:
        """End the process. Raises nothing."""
        ...


class RemoteWorker(Worker):
    """A worker process behind a channel."""

    def __init__(self, node: str, channel: Channel) -> None:
        super().__init__(node)
        self._channel = channel
        self._events: deque[tuple[Message, bytes]] = deque()

    def send(self, message: Message, content: bytes = b"", *, cache: bool = False) -> None:
        call = self._channel.call
        if not cache:
            call(RemoteProcess.send, message, content)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        with _filling_caches:  # or two workers of one machine would be sent the same
            if not call(RemoteProcess.has_cached, sha256):
                call(RemoteProcess.cache, content)
        call(RemoteProcess.send_cached, message, sha256)

    def receive(self) -> tuple[Message, bytes]:
        while not self._events:
            events, end = self._channel.call(RemoteProcess.read)
            if end is not None:
                raise WorkerLostError(ClusterError(end))
            self._events.extend(events)
        return self._events.popleft()

    def keep_alive(self) -> None:
        self._channel.call(RemoteProcess.keep_alive)

    def stop(self) -> None:
        self._channel.stop()
