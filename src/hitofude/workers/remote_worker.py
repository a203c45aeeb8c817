"""A worker on a cluster, as the run sees it: a process whose pipes are calls through the cluster's engine."""

import hashlib
import io
import threading
from typing import Protocol

from hitofude.errors import ClusterError
from hitofude.workers.messages import Message, pack, receive
from hitofude.workers.worker import Worker, WorkerLostError

SECONDS_FOR_AN_ANSWER = 60.0
"""A worker that does not answer for so long is taken for lost."""

BUFFER_SIZE = 2**20

_sending_what_is_kept = threading.Lock()


class Host(Protocol):
    """A HostedProcess on another machine. Every method raises WorkerLostError when that cannot be reached."""

    def has(self, sha256: str) -> bool: ...

    def keep(self, content: bytes) -> None: ...

    def write(self, content: bytes) -> None: ...

    def stay(self) -> None: ...

    def write_kept(self, sha256: str) -> None: ...

    def read(self) -> tuple[bytes, str | None]:
        """Waits a while for something to read."""
        ...

    def end(self) -> None:
        """Raises nothing."""
        ...


class RemoteWorker(Worker):
    """A process that is asked through a cluster's engine."""

    def __init__(self, node: str, host: Host) -> None:
        super().__init__(node)
        self._host = host
        self._events = io.BufferedReader(_Events(host), BUFFER_SIZE)

    def tell(self, message: Message, content: bytes = b"", *, keep: bool = False) -> None:
        head = pack(message, content)
        if not keep:
            self._host.write(head + content)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        with _sending_what_is_kept:  # two workers of a machine are not sent the same
            if not self._host.has(sha256):
                self._host.keep(content)
        self._host.write(head)
        self._host.write_kept(sha256)

    def hear(self) -> tuple[Message, bytes]:
        event = receive(self._events)
        if event is None:
            raise WorkerLostError(ClusterError("its process was ended"))
        return event

    def stay(self) -> None:
        self._host.stay()

    def end(self) -> None:
        self._host.end()

    def close(self) -> None:
        """There is nothing left here."""


class _Events(io.RawIOBase):
    """What a host's process tells, as a stream."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._content = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._content:
            content, ended = self._host.read()
            self._content = memoryview(content)
            if ended is not None:
                raise WorkerLostError(ClusterError(ended))
        count = min(len(buffer), len(self._content))
        buffer[:count] = self._content[:count]
        self._content = self._content[count:]
        return count
