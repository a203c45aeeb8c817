"""A Dask cluster: each of our worker processes belongs to a task that occupies a Dask worker while the process runs.

So the scheduler and its dashboard know that the Dask worker is busy. Calls go through the scheduler, over Dask's own
connections with its own TLS, and a call that waits does so on the Dask worker's event loop, without a thread.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from typing import Any

import distributed

from hitofude.borrowed import environment_put_back, loggers_at
from hitofude.errors import ClusterError, first_line
from hitofude.language.translation import note
from hitofude.workers.remote_process import SECONDS_BETWEEN_READS, SECONDS_TO_READ, RemoteProcess, RemoteWorker, Result
from hitofude.workers.worker import Node, Worker, WorkerLostError

logger = logging.getLogger(__name__)

LOCAL = "dask"
QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
SECONDS_TO_CONNECT = 10
SECONDS_TO_START = 120.0
"""A Dask worker may first have to finish other programs' tasks."""
SECONDS_BETWEEN_LOOKS = 0.02
UNREACHABLE = (OSError, TimeoutError, LookupError, RuntimeError, CancelledError)

_processes: dict[str, RemoteProcess] = {}
"""On a Dask worker: its processes of ours, by the names of their tasks."""


class DaskCluster:
    """The workers of a scheduler, or of a cluster that is started on this machine for the life of this object."""

    replaces_lost = True

    def __init__(self, address: str, processors: int) -> None:
        """address: a scheduler's, or `dask` to start a cluster of this many processors here.

        Raises ClusterError if no scheduler answers.
        """
        self.name = (
            note("the Dask cluster {address}", address=address)
            if address != LOCAL
            else "the Dask cluster of this machine"
        )
        names = [name for name in list(logging.root.manager.loggerDict) if name.split(".")[0] == "distributed"]
        with ExitStack() as opened:
            opened.enter_context(environment_put_back())  # Dask sets OMP_NUM_THREADS and more for its workers
            opened.enter_context(loggers_at(logging.CRITICAL, names))  # lost workers are reported here
            cluster = None
            if address == LOCAL:
                cluster = _start_cluster(processors)
                opened.callback(cluster.close)
            _check_tls(address)
            self._client = _connect(address, cluster)
            self._opened = opened.pop_all()

    def nodes(self) -> Sequence[Node]:
        if self._client.status != "running":
            raise ClusterError(f"The connection to {self.name} is lost.")
        workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return [
            Node(address, worker["nthreads"], worker["resources"].get("GPU", 0)) for address, worker in workers.items()
        ]

    def start_worker(self, node: Node, module: str, threads: int, gpus: float) -> Worker:
        return DaskWorker(self._client, node.name, module, threads, gpus)

    def close(self) -> None:
        self._client.close(timeout=SECONDS_TO_CONNECT)
        self._opened.close()


class DaskWorker(RemoteWorker):
    """A process on a Dask worker."""

    def __init__(self, client: Any, address: str, module: str, threads: int, gpus: float) -> None:
        """Start the process, and wait until it runs. Raises WorkerLostError."""
        super().__init__(address)
        self._client, self._name, self._is_lost = client, f"hitofude-{uuid.uuid4().hex}", False
        self._task = client.submit(
            host_process,
            self._name,
            module,
            threads,
            key=self._name,
            workers=[address],
            resources={"GPU": gpus} if gpus else {},
            pure=False,
            retries=0,
        )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._run(has_process):
            if self._task.status in ("error", "lost", "cancelled"):
                raise WorkerLostError(_explain(self._task, address))
            if time.monotonic() > deadline:
                self.stop()
                raise WorkerLostError(ClusterError(f"{address} is busy with other work"))
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def call(self, method: Callable[..., Result], *arguments: object) -> Result:
        result: Result = self._run(call_process, method.__name__, *arguments)
        return result

    def stop(self) -> None:
        with suppress(WorkerLostError):
            if not self._is_lost:  # another attempt to reach it would take half a minute
                self.call(RemoteProcess.stop)
        self._task.release()

    def _run(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Run a function on the Dask worker, beside its tasks."""
        try:
            return self._client.run(function, self._name, *arguments, workers=[self.node])[self.node]
        except UNREACHABLE as error:
            self._is_lost = True
            logger.info("%s: %s", self.node, first_line(error))
            raise WorkerLostError(ClusterError("it does not answer")) from error


def host_process(name: str, module: str, threads: int) -> None:
    """The task on a Dask worker: start a process, and return when it has ended."""
    process = _processes[name] = RemoteProcess(module, threads)
    try:
        process.wait()
    finally:
        process.stop()
        del _processes[name]


async def has_process(name: str) -> bool:
    """On a Dask worker: whether the process has been started."""
    return name in _processes


async def call_process(name: str, method: str, *arguments: Any) -> Any:
    """On a Dask worker: call a method of a process; a read waits for events. Raises LookupError if it has ended."""
    process = _processes[name]
    if method != RemoteProcess.read.__name__:
        return await asyncio.to_thread(getattr(process, method), *arguments)
    deadline = time.monotonic() + SECONDS_TO_READ
    while not any(found := process.read()) and time.monotonic() < deadline:
        await asyncio.sleep(SECONDS_BETWEEN_READS)
    return found


def _start_cluster(processors: int) -> Any:
    return distributed.LocalCluster(
        n_workers=processors,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        env=QUIET,
    )


def _connect(address: str, cluster: Any) -> Any:
    """Return a client of the cluster or, if it is None, of the address. Raises ClusterError if it does not answer."""
    try:
        return distributed.Client(cluster or address, timeout=SECONDS_TO_CONNECT, set_as_default=False, name="hitofude")
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"No Dask scheduler answers at {address} ({first_line(error)}). Start one with "
            "`dask scheduler` and workers with `dask worker`, or leave --workers out; see docs/scaling.md."
        ) from error


def _check_tls(address: str) -> None:
    """Raise ClusterError if the address requires TLS, and no certificate is configured or it cannot be read."""
    if not address.startswith(("tls://", "wss://")):
        return
    try:
        arguments = distributed.Security().get_connection_args("client")
    except OSError as error:
        raise ClusterError(f"The certificate for {address} cannot be read ({error}); see docs/scaling.md.") from error
    if arguments["ssl_context"] is None:
        raise ClusterError(
            f"{address} requires TLS. Set DASK_DISTRIBUTED__COMM__TLS__CA_FILE, "
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT and DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY; "
            "see docs/scaling.md."
        )


def _explain(task: Any, address: str) -> Exception:
    """Return the reason why a Dask worker could not start a process."""
    error = task.exception() if task.status == "error" else None
    if isinstance(error, ModuleNotFoundError):
        return ClusterError(f"{address} has no hitofude ({error}). Install the same version there as here.")
    return ClusterError(f"{address} could not start a process: {first_line(error) if error else 'it has left'}")
