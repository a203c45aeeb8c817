"""The driver's end of a worker process on a cluster: its pipes are calls through Dask or Ray."""

import hashlib
import io
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from hitofude.errors import ClusterError
from hitofude.workers.messages import Message, pack, receive
from hitofude.workers.remote_process import RemoteProcess
from hitofude.workers.worker import Worker, WorkerLostError

SECONDS_TO_ANSWER = 60.0
"""A process that does not answer a call within this time is regarded as lost."""

BUFFER_SIZE = 2**20

Result = TypeVar("Result")

_filling_caches = threading.Lock()


class Channel(Protocol):
    """The way to one RemoteProcess."""

    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        """Call a method of RemoteProcess over there. A read waits a while for output.

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
        self._events = io.BufferedReader(_Output(channel), BUFFER_SIZE)

    def send(self, message: Message, content: bytes = b"", *, cache: bool = False) -> None:
        head, call = pack(message, content), self._channel.call
        if not cache:
            call(RemoteProcess.write, head + content)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        with _filling_caches:  # or two workers of one machine would be sent the same
            if not call(RemoteProcess.has_cached, sha256):
                call(RemoteProcess.cache, content)
        call(RemoteProcess.write, head)
        call(RemoteProcess.write_cached, sha256)

    def receive(self) -> tuple[Message, bytes]:
        event = receive(self._events)
        if event is None:
            raise WorkerLostError(ClusterError("its process was ended"))
        return event

    def keep_alive(self) -> None:
        self._channel.call(RemoteProcess.keep_alive)

    def stop(self) -> None:
        self._channel.stop()


class _Output(io.RawIOBase):
    """The output of a remote process, as a stream."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._content = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._content:
            content, end = self._channel.call(RemoteProcess.read)
            self._content = memoryview(content)
            if end is not None:
                raise WorkerLostError(ClusterError(end))
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count
