"""A Dask cluster's workers: each worker is a task that sits on one worker while its process works there.

So the scheduler and its dashboard know that the worker is busy. What is asked and told goes through the scheduler, by
the engine's own connections with its own TLS, and each call waits on the worker's event loop, not on a thread of its.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from hitofude.errors import ClusterError, RecipeError, first_line
from hitofude.workers.host import HostedProcess
from hitofude.workers.remote_worker import RemoteWorker
from hitofude.workers.worker import Node, Worker, WorkerLostError

logger = logging.getLogger(__name__)

LOCAL = "dask"
QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
SECONDS_TO_CONNECT = 10
SECONDS_TO_SIT = 120.0
"""A worker may be busy with other programs' tasks before it gives a worker."""
SECONDS_TO_WAIT_FOR_WORDS = 1.0
SECONDS_BETWEEN_LOOKS = 0.02
UNREACHABLE = (OSError, TimeoutError, LookupError, RuntimeError, CancelledError)

_hosts: dict[str, HostedProcess] = {}
"""On a Dask worker: the processes that it hosts, by the names of their workers."""


class DaskCluster:
    """The workers of a scheduler, or of a cluster of this machine that lives as long as this."""

    replaces_lost = True

    def __init__(self, address: str, processors: int) -> None:
        """address: `dask`, or a scheduler's. processors: of this machine's cluster.

        Raises RecipeError where the package is missing, ClusterError where no scheduler answers.
        """
        distributed = _import_distributed()
        self.name = f"the Dask cluster {address}" if address != LOCAL else "the Dask cluster of this machine"
        _silence()
        self._cluster = None
        if address == LOCAL:
            self._cluster = distributed.LocalCluster(
                n_workers=processors,
                threads_per_worker=1,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                env=QUIET,
            )
        _check_tls(distributed, address)
        try:
            self._client = distributed.Client(
                self._cluster or address, timeout=SECONDS_TO_CONNECT, set_as_default=False, name="hitofude"
            )
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"No Dask scheduler answers at {address} ({first_line(error)}). Start one with "
                "`dask scheduler` and workers with `dask worker`, or leave --workers out; see docs/scaling.md."
            ) from error

    def nodes(self) -> Sequence[Node]:
        if self._client.status != "running":
            raise ClusterError(f"The connection to {self.name} is lost.")
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return [
            Node(address, worker["nthreads"], worker["resources"].get("GPU", 0)) for address, worker in workers.items()
        ]

    def worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        host = _DaskHost(self._client, node.name)
        host.sit(module, threads, {"GPU": gpus} if gpus else {})
        return RemoteWorker(node.name, host)

    def close(self) -> None:
        self._client.close(timeout=SECONDS_TO_CONNECT)
        if self._cluster is not None:
            self._cluster.close()


class _DaskHost:
    """A hosted process on a Dask worker, called by name."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._name = f"hitofude-{uuid.uuid4().hex}"
        self._sitting: Any = None
        self._is_lost = False

    def sit(self, module: str, threads: int, resources: dict[str, float]) -> None:
        """Returns when the process runs. Raises WorkerLostError."""
        self._sitting = self._client.submit(
            host_process,
            self._name,
            module,
            threads,
            key=self._name,
            workers=[self._address],
            resources=resources,
            pure=False,
            retries=0,
        )
        deadline = time.monotonic() + SECONDS_TO_SIT
        while not self._call(is_hosted):
            if self._sitting.status in ("error", "lost", "cancelled"):
                raise WorkerLostError(_explain(self._sitting, self._address))
            if time.monotonic() > deadline:
                self.end()
                raise WorkerLostError(ClusterError(f"{self._address} is busy with other work"))
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def has(self, sha256: str) -> bool:
        found: bool = self._call(call_host, "has", sha256)
        return found

    def keep(self, content: bytes) -> None:
        self._call(call_host, "keep", content)

    def write(self, content: bytes) -> None:
        self._call(call_host, "write", content)

    def stay(self) -> None:
        self._call(call_host, "stay")

    def write_kept(self, sha256: str) -> None:
        self._call(call_host, "write_kept", sha256)

    def read(self) -> tuple[bytes, str | None]:
        found: tuple[bytes, str | None] = self._call(read_host)
        return found

    def end(self) -> None:
        with suppress(WorkerLostError):
            if not self._is_lost:  # to look for it once more would take half a minute
                self._call(call_host, "end")
        self._sitting.release()

    def _call(self, function: Any, *arguments: Any) -> Any:
        try:
            return self._client.run(function, self._name, *arguments, workers=[self._address])[self._address]
        except UNREACHABLE as error:
            self._is_lost = True
            logger.info("%s: %s", self._address, first_line(error))
            raise WorkerLostError(ClusterError("it does not answer")) from error


def host_process(name: str, module: str, threads: int) -> None:
    """On a Dask worker: sit there until the process has ended."""
    host = _hosts[name] = HostedProcess(module, threads)
    try:
        host.wait()
    finally:
        host.end()
        del _hosts[name]


async def is_hosted(name: str) -> bool:
    """On a Dask worker: whether the process runs there."""
    return name in _hosts


async def call_host(name: str, method: str, *arguments: Any) -> Any:
    """On a Dask worker, beside its event loop: call a process that it hosts. Raises LookupError where it has ended."""
    return await asyncio.to_thread(getattr(_hosts[name], method), *arguments)


async def read_host(name: str) -> tuple[bytes, str | None]:
    """On a Dask worker: what a process has told, as soon as there is something."""
    host, deadline = _hosts[name], time.monotonic() + SECONDS_TO_WAIT_FOR_WORDS
    while True:
        content, ended = host.read()
        if content or ended or time.monotonic() > deadline:
            return content, ended
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)


def _check_tls(distributed: Any, address: str) -> None:
    """Raises ClusterError where an address wants a certificate and none is configured, or none that can be read."""
    if not address.startswith(("tls://", "wss://")):
        return
    try:
        arguments = distributed.Security().get_connection_args("client")
    except OSError as error:
        raise ClusterError(f"The certificate for {address} cannot be read ({error}); see docs/scaling.md.") from error
    if arguments["ssl_context"] is None:
        raise ClusterError(
            f"{address} wants a certificate. Name one by DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY; "
            "see docs/scaling.md."
        )


def _silence() -> None:
    """We say ourselves what is lost."""
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _explain(sitting: Any, address: str) -> Exception:
    """Why a worker gave no worker."""
    error = sitting.exception() if sitting.status == "error" else None
    if isinstance(error, ModuleNotFoundError):
        return ClusterError(f"{address} has no hitofude ({error}). Install the same version there as here.")
    return ClusterError(f"{address} gave no worker: {first_line(error) if error else 'it is gone'}")


def _import_distributed() -> Any:
    try:
        import distributed
    except ModuleNotFoundError:
        raise RecipeError("--workers dask needs the package distributed: pip install 'hitofude[dask]'") from None
    return distributed
