"""A worker process of this machine and its pipes: requests go in, events come out, standard error is kept."""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from hitofude.errors import OutOfResourcesError

STDERR_BYTES_SHOWN = 4000

KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""glibc keeps the memory that a step frees for the next one. To allocate it anew took a tenth of the time."""


def package_environment() -> dict[str, str]:
    """Return this process's environment, with a PYTHONPATH by which its Python finds this very package first."""
    root, others = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([root, others] if others else [root])}


class WorkerProcess:
    """`python -m MODULE` with a number of threads. It ends by itself when the process that started it ends."""

    def __init__(self, module: str, threads: int, scratch: Path | None = None) -> None:
        """scratch: the folder for its temporary files, by default the machine's."""
        environment = {"OMP_WAIT_POLICY": "PASSIVE"} | package_environment()
        environment |= KEEP_FREED_MEMORY  # Dask sets the opposite for its workers
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        if scratch is not None:
            environment["TMPDIR"] = str(scratch)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,
        )
        self.requests = cast(BinaryIO, self._process.stdin)
        self.events = cast(BinaryIO, self._process.stdout)

    def explain_death(self) -> Exception:
        """Wait for its end, and return the reason."""
        code = self._process.wait()
        if code == -9:
            return OutOfResourcesError(
                f"The system killed worker process {self._process.pid}, most likely for want of memory. "
                "Use fewer side by side (--workers 1); what is finished is safe."
            )
        self._stderr.seek(0)
        tail = self._stderr.read()[-STDERR_BYTES_SHOWN:].decode("utf-8", errors="replace")
        return RuntimeError(f"A worker process ended with code {code}:\n{tail}")

    def kill(self) -> None:
        """End it at once. Files are written atomically, so none is left half-written."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close its pipes and its standard error."""
        for stream in (self.requests, self.events, self._stderr):
            with suppress(BrokenPipeError):
                stream.close()
