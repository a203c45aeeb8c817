"""On a worker of a cluster: a worker process and its pipes, for a run on another machine.

What is likely to be sent again, such as the images, is kept in a folder of this machine, by its SHA-256: it travels
once a machine, whatever the number of workers, runs and restarts. A process that nobody asks for a while is ended, so
that none outlives a run that was killed.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hitofude.storage import write_bytes
from hitofude.workers.process import WorkerProcess

SECONDS_WITHOUT_ASKING = 20.0
BYTES_AT_A_TIME = 2**22
SECONDS_KEPT = 86_400.0


class HostedProcess:
    """A worker process whose pipes are used from afar. Its methods may be called from several threads."""

    def __init__(self, module: str, threads: int, patience: float = SECONDS_WITHOUT_ASKING) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=kept_folder()))
        self._process = WorkerProcess(module, threads, self._scratch)
        self._patience = patience
        self._asked = time.monotonic()
        self._told: list[bytes] = []
        self._ended: str | None = None
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        """The process has ended, and the run knows or does not ask any more."""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        threading.Thread(target=self._watch, daemon=True).start()

    def stay(self) -> None:
        """Be asked for nothing, and go on."""
        self._asked = time.monotonic()

    def has(self, sha256: str) -> bool:
        """Whether this machine keeps such bytes."""
        self._asked = time.monotonic()
        return (kept_folder() / sha256).exists()

    def keep(self, content: bytes) -> None:
        """Keep bytes on this machine for a day."""
        self._asked = time.monotonic()
        folder = kept_folder()
        for path in folder.iterdir():
            if time.time() - path.stat().st_mtime > SECONDS_KEPT:
                _remove(path)
        write_bytes(folder / hashlib.sha256(content).hexdigest(), content)

    def write(self, content: bytes) -> None:
        """To the process's standard input."""
        with self._asking():
            self._process.requests.write(content)
            self._process.requests.flush()

    def write_kept(self, sha256: str) -> None:
        """The same with bytes that this machine keeps."""
        path = kept_folder() / sha256
        with self._asking(), path.open("rb") as stream:
            shutil.copyfileobj(stream, self._process.requests, BYTES_AT_A_TIME)
            self._process.requests.flush()
        path.touch()

    def read(self) -> tuple[bytes, str | None]:
        """What the process has told since the last call; and when it has ended and all is read, why."""
        self._asked = time.monotonic()
        with self._lock:
            content, self._told = b"".join(self._told), []
        if content or self._ended is None:
            return content, None
        self._is_over.set()
        return content, self._ended

    def wait(self) -> None:
        """Until the process has ended, and the run knows."""
        self._is_over.wait()

    def end(self) -> None:
        """End the process, and remove what it leaves."""
        self._process.kill()
        self._listener.join()
        self._is_over.set()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._asked = time.monotonic()
        with suppress(BrokenPipeError, ValueError):  # it has ended; whoever reads is told why
            yield

    def _listen(self) -> None:
        while content := os.read(self._process.events.fileno(), BYTES_AT_A_TIME):
            with self._lock:
                self._told.append(content)
        reason = str(self._process.explain_death())
        with self._lock:
            self._ended = reason
        self._process.close()
        _remove(self._scratch)

    def _watch(self) -> None:
        while not self._is_over.wait(timeout=1):
            if time.monotonic() - self._asked > self._patience:
                self.end()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def kept_folder() -> Path:
    """The user's own, in the machine's folder for temporary files. Raises PermissionError where it is another's."""
    folder = Path(tempfile.gettempdir()) / f"hitofude-{os.getuid() if hasattr(os, 'getuid') else 'kept'}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if hasattr(os, "getuid") and (
        not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o77
    ):
        raise PermissionError(f"{folder} is not this user's alone. Remove it, or set TMPDIR.")
    return folder
