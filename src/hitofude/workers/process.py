"""Worker processes of this machine: requests go in, events come out, standard error is kept."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from hitofude.errors import OutOfResourcesError
from hitofude.workers.messages import Message, receive, send
from hitofude.workers.worker import Node, Worker, WorkerLostError

STDERR_BYTES_SHOWN = 4000

KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""glibc keeps the memory that a step frees for the next one. To allocate it anew took a tenth of the time.

Dask sets the opposite for its workers."""


def package_environment() -> dict[str, str]:
    """Return this process's environment, with a PYTHONPATH by which its Python finds this very package first."""
    root, others = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, others] if others else [root])}


class LocalProcesses:
    """A cluster of at most `count` processes of this machine. A lost one ends the work: here, memory has run out."""

    name = "this machine"
    replaces_lost = False

    def __init__(self, count: int, threads: int) -> None:
        self._nodes = [Node(self.name, count * threads)]

    def nodes(self) -> Sequence[Node]:
        return self._nodes

    def start_worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:  # noqa: ARG002
        return LocalWorker(node.name, module, threads)

    def close(self) -> None: ...


class LocalWorker(Worker):
    """`python -m MODULE` with a number of threads. It ends by itself when the process that started it ends."""

    def __init__(self, node: str, module: str, threads: int, scratch: Path | None = None) -> None:
        """scratch: the folder for its temporary files, by default the machine's."""
        super().__init__(node)
        environment = {"OMP_WAIT_POLICY": "PASSIVE"} | package_environment() | KEEP_FREED_MEMORY
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        environment |= {} if scratch is None else {"TMPDIR": str(scratch)}
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._events = cast(BinaryIO, self._process.stdout)

    def send(self, message: Message, content: bytes = b"", *, cache: bool = False) -> None:  # noqa: ARG002
        try:
            send(self._requests, message, content)
        except (BrokenPipeError, ValueError):  # it has ended, or was stopped
            raise WorkerLostError(self._explain_death()) from None

    def receive(self) -> tuple[Message, bytes]:
        event = receive(self._events)
        if event is None:
            raise WorkerLostError(self._explain_death())
        return event

    def stop(self) -> None:
        """End it at once. Files are written atomically, so none is left half-written."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        for stream in (self._requests, self._events, self._stderr):
            with suppress(BrokenPipeError):
                stream.close()

    def _explain_death(self) -> Exception:
        code = self._process.wait()
        if code == -9:
            return OutOfResourcesError(
                f"The system killed worker process {self._process.pid}, most likely for want of memory. "
                "Use fewer side by side (--workers 1); what is finished is safe."
            )
        self._stderr.seek(0)
        tail = self._stderr.read()[-STDERR_BYTES_SHOWN:].decode("utf-8", errors="replace")
        return RuntimeError(f"A worker process ended with code {code}:\n{tail}")
