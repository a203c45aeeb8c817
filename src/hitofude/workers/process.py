"""A worker process of this machine and its pipes: requests go in, events come out, complaints are kept."""

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

import hitofude
from hitofude.errors import OutOfResourcesError

COMPLAINTS_SHOWN = 4000

KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""For glibc: memory that a step frees is kept for the next one. To fetch it anew took a tenth of the time."""


class WorkerProcess:
    """`python -m MODULE`, with so many threads. It ends by itself when who started it is gone."""

    def __init__(self, module: str, threads: int, scratch: Path | None = None) -> None:
        """scratch: its folder for temporary files, where that is not the machine's."""
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=_environment(threads) | ({} if scratch is None else {"TMPDIR": str(scratch)}),
            start_new_session=True,
        )
        self.requests = cast(BinaryIO, self._process.stdin)
        self.events = cast(BinaryIO, self._process.stdout)

    def explain_death(self) -> Exception:
        """Why it ended; waits for it."""
        code = self._process.wait()
        if code == -9:
            return OutOfResourcesError(
                f"The system killed worker process {self._process.pid}, most likely for want of memory. "
                "Use fewer side by side (--workers 1); what is finished is safe."
            )
        self._complaints.seek(0)
        tail = self._complaints.read()[-COMPLAINTS_SHOWN:].decode("utf-8", errors="replace")
        return RuntimeError(f"A worker process ended with code {code}:\n{tail}")

    def kill(self) -> None:
        """End it at once; what it was writing is whole or not there."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Close what is left of it."""
        for stream in (self.requests, self.events, self._complaints):
            with suppress(BrokenPipeError):
                stream.close()


def _environment(threads: int) -> dict[str, str]:
    """As ours, with its threads; this very package is found first, and nothing in the current folder."""
    package_root = str(Path(hitofude.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return (
        {"OMP_WAIT_POLICY": "PASSIVE"}
        | os.environ
        | KEEPING_MEMORY  # Dask's workers are told the opposite
        | {
            "PYTHONPATH": os.pathsep.join([package_root, others] if others else [package_root]),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        }
    )
