"""A worker process on a machine of a cluster, and the driver's end of it: requests and events pass through calls.

Content that will likely be sent again, such as the images, is cached in a folder of that machine by its SHA-256: it
is sent once to each machine, whatever the number of workers, runs and restarts. A process that receives no call for a
while is ended, so that none outlives a run that was killed.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from hitofude.errors import ClusterError
from hitofude.storage import write_bytes
from hitofude.workers.messages import Message
from hitofude.workers.process import LocalWorker
from hitofude.workers.worker import Worker, WorkerLostError

SECONDS_WITHOUT_CALL = 20.0
SECONDS_TO_READ = 1.0
"""A read that finds no event returns after this time."""
SECONDS_BETWEEN_READS = 0.02
SECONDS_TO_ANSWER = 60.0
"""A process that does not answer a call within this time is regarded as lost."""
CACHE_SECONDS = 86_400.0

Events = list[tuple[Message, bytes]]
Result = TypeVar("Result")

_filling_caches = threading.Lock()


class RemoteProcess:
    """A worker process that the driver uses through calls, which may come from several threads."""

    def __init__(self, module: str, threads: int, patience: float = SECONDS_WITHOUT_CALL) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=cache_folder()))
        self._worker = LocalWorker("", module, threads, self._scratch)
        self._patience = patience
        self._called = time.monotonic()
        self._events: Events = []
        self._end: str | None = None
        """The reason of its end."""
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        """Set when the process has ended, and the driver has read so or calls no more."""
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._receiver.start()
        threading.Thread(target=self._stop_if_abandoned, daemon=True).start()

    def keep_alive(self) -> None:
        self._called = time.monotonic()

    def has_cached(self, sha256: str) -> bool:
        """Whether this machine has that content in its cache."""
        self.keep_alive()
        return (cache_folder() / sha256).exists()

    def cache(self, content: bytes) -> None:
        """Keep content on this machine for a day."""
        self.keep_alive()
        folder = cache_folder()
        for path in folder.iterdir():
            if time.time() - path.stat().st_mtime > CACHE_SECONDS:
                _remove(path)
        write_bytes(folder / hashlib.sha256(content).hexdigest(), content)

    def send(self, message: Message, content: bytes = b"") -> None:
        """Send a request to the process, if it has not ended."""
        self.keep_alive()
        with suppress(WorkerLostError, ValueError):  # the next read tells why
            self._worker.send(message, content)

    def send_cached(self, message: Message, sha256: str) -> None:
        """Send a request with cached content."""
        path = cache_folder() / sha256
        self.send(message, path.read_bytes())
        path.touch()

    def read(self) -> tuple[Events, str | None]:
        """Return the events since the last call; if the process has ended and all are read, also the reason."""
        self.keep_alive()
        with self._lock:
            events, self._events = self._events, []
            if events or self._end is None:
                return events, None
        self._is_over.set()
        return events, self._end

    def wait(self) -> None:
        """Wait until the process has ended, and the driver has read so."""
        self._is_over.wait()

    def stop(self) -> None:
        """End the process, and remove its temporary files."""
        self._worker.stop()
        self._receiver.join()
        self._is_over.set()

    def _receive(self) -> None:
        try:
            while True:
                event = self._worker.receive()
                with self._lock:
                    self._events.append(event)
        except Exception as error:
            self._worker.close()
            _remove(self._scratch)
            with self._lock:
                self._end = str(error)

    def _stop_if_abandoned(self) -> None:
        while not self._is_over.wait(timeout=1):
            if time.monotonic() - self._called > self._patience:
                self.stop()


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


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the user's own folder for temporary files. Raises PermissionError if others have access to it."""
    folder = Path(tempfile.gettempdir()) / f"hitofude-{os.getuid() if hasattr(os, 'getuid') else 'kept'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if hasattr(os, "getuid") and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o77
    ):
        raise PermissionError(f"Others than this user have access to {folder}. Remove it, or set TMPDIR.")
    return folder
