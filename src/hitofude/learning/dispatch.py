"""Where members are made: in this process, side by side in processes of their own, or on a cluster.

Several processes of few threads make small networks faster than one of many. A member's bytes depend on its
threads and on nothing else of this: not on the number of workers, on the order, on the machine, or on who made it.
"""

import logging
import math
import secrets
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from hitofude.errors import RecipeError
from hitofude.learning.checkpoint import MemberFolder, SavedState
from hitofude.learning.compute import Compute, choose_compute, processors
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask, MemberProbabilities, MemberRunner, keeping_member_folder
from hitofude.learning.messages import EnsembleMessage, pack_plan, unpack_probabilities
from hitofude.learning.training import MemberPlan, Observer
from hitofude.learning.worker import AWAY, SEEN, pack_state
from hitofude.storage import write_text
from hitofude.workers.clusters import open_cluster
from hitofude.workers.messages import Event, Message
from hitofude.workers.pool import WorkerPool, wait_for_nodes
from hitofude.workers.versions import versions
from hitofude.workers.worker import LocalProcesses, Node, Worker

MODULE = "hitofude.learning.worker"

SPEEDUP_EXPONENT = 0.75
"""t threads are about t ** 0.75 times as fast as one: 1.6 to 1.8 times with two (`hitofude bench` measures it)."""

IMAGES_WORTH_A_PROCESS = 50_000
"""Fewer are trained on before a second process has imported PyTorch."""

IMAGES_WORTH_IDLE_PROCESSORS = 12_500
"""The same where the threads are given, and one process would leave processors idle."""

PARAMETERS_OF_A_SMALL_NETWORK, SMALL_MEMBERS_A_GPU = 1_000_000, 4
"""So many networks that are smaller share a GPU, which one of them does not fill."""


@dataclass(frozen=True)
class Parallelism:
    """How many members are made at once, and by how many threads each."""

    workers: int
    threads: int

    @classmethod
    def choose(
        cls,
        members: int,
        images: int,
        compute: Compute,
        workers: int | None = None,
        threads: int | None = None,
        available: int | None = None,
    ) -> "Parallelism":
        """What was asked for; the rest such that all members are done soonest and no processor has two threads.

        images: how many are trained on in all, counted once an epoch. available: the processors, by default all
        that this process may use. Raises RecipeError for numbers below 1.
        """
        _check_counts(workers, threads)
        available = available or processors()
        worth = IMAGES_WORTH_IDLE_PROCESSORS if threads and threads < available else IMAGES_WORTH_A_PROCESS
        if workers is None and (compute.device.type != "cpu" or images < worth):
            workers = 1
        if workers is None:
            candidates = [available // threads or 1] if threads else range(1, available + 1)
            workers = min(
                (min(count, members) for count in candidates),
                key=lambda count: _relative_duration(members, count, threads or available // count),
            )
        workers = min(workers, members)
        return cls(workers, threads or max(1, available // workers))

    @classmethod
    def on_cluster(cls, members: int, nodes: Sequence[Node]) -> "Parallelism":
        """Such that all members are done soonest, none with more threads than the smallest node has."""
        sizes = [node.threads for node in nodes if node.threads > 0] or [1]

        def workers(threads: int) -> int:
            return min(members, sum(size // threads for size in sizes))

        threads = min(range(1, min(sizes) + 1), key=lambda count: _relative_duration(members, workers(count), count))
        return cls(workers(threads), threads)


@dataclass(frozen=True)
class TrainingBackend:
    """Where the members of a run are made, by which compute each, and how many at once."""

    compute: Compute
    workers: int
    pool: WorkerPool | None = None
    """Those who make them, where that is not this process or its own processes."""
    environment: Message | None = None
    """Of the machines that they are made on, as describe_environment has it, where it is not this one's."""

    def __str__(self) -> str:
        side_by_side = f", {self.workers} members side by side" if self.workers > 1 else ""
        return f"{self.compute}{side_by_side}" + ("" if self.pool is None else f", on {self.pool.workers.name}")


@contextmanager
def open_backend(
    where: int | str | WorkerPool | None,
    *,
    members: int,
    images: int,
    parameters: int,
    device: str,
    precision: str,
    threads: int | None,
) -> Iterator[TrainingBackend]:
    """Where so many members are made; left when the block ends.

    where: a number of processes, None for the best, a cluster (see hitofude.workers.clusters), or a pool, which stays.
    images: how many are trained on in all, counted once an epoch. parameters: of the largest network. device,
    precision, threads: what is asked for. Raises RecipeError for what is not here, ClusterError where no cluster is.
    """
    if where is None or isinstance(where, int):
        compute = choose_compute(device, precision)
        team = Parallelism.choose(members, images, compute, where, threads)
        yield TrainingBackend(replace(compute, threads=team.threads), team.workers)
    elif isinstance(where, WorkerPool):
        yield _backend_of(where, members, device, precision)
    else:
        with open_worker_pool(where, members, images, device, threads, gpus=share_of_gpu(parameters)) as pool:
            yield _backend_of(pool, members, device, precision)


@contextmanager
def open_worker_pool(
    where: int | str | None,
    pieces: int,
    images: int,
    device: str = "auto",
    threads: int | None = None,
    *,
    gpus: float = 1.0,
    module: str = MODULE,
) -> Iterator[WorkerPool]:
    """Those who do so many pieces of work: processes of this machine, even where it is one, or a cluster's workers.

    where, device, threads: as of open_backend. images: how many are computed on in all. gpus: so much of one has each
    worker, on a cluster that has some, where they are wanted. module: what a worker runs.
    """
    _check_counts(None, threads)
    if isinstance(where, str):
        with _gather_cluster(where, pieces, device, threads, gpus, module) as pool:
            yield pool
    else:
        team = Parallelism.choose(pieces, images, choose_compute(device), where, threads)
        with WorkerPool(LocalProcesses(team.workers, team.threads), module, team.threads) as pool:
            yield pool


@contextmanager
def _gather_cluster(
    cluster: str, pieces: int, device: str, threads: int | None, gpus: float, module: str
) -> Iterator[WorkerPool]:
    workers = open_cluster(cluster, processors())
    try:
        nodes = wait_for_nodes(workers)
        has_gpus = device in ("auto", "cuda") and any(node.gpus > 0 for node in nodes)
        threads = threads or (1 if has_gpus else Parallelism.on_cluster(pieces, nodes).threads)
    except BaseException:
        workers.close()
        raise
    with WorkerPool(workers, module, threads, gpus=gpus if has_gpus else 0) as pool:
        yield pool


def share_of_gpu(parameters: int) -> float:
    """How much of one a member takes. parameters: of the largest network."""
    return 1 / SMALL_MEMBERS_A_GPU if parameters < PARAMETERS_OF_A_SMALL_NETWORK else 1.0


def _backend_of(pool: WorkerPool, members: int, device: str, precision: str) -> TrainingBackend:
    environment, compute = _ask_for_compute(pool, device, precision)
    return TrainingBackend(compute, min(members, max(1, pool.size())), pool, environment)


def _ask_for_compute(pool: WorkerPool, device: str, precision: str) -> tuple[Message, Compute]:
    """The environment and the compute of a worker: those of all, for a run has only one kind."""
    *_, (_, answer, _) = pool.work([ComputeQuestion(device, precision, pool.threads)])
    described, environment = answer["compute"], answer["environment"]
    compute = Compute(torch.device(described["device"]), described["precision"], described["threads"])
    return environment, replace(compute, name=environment["device"])


@dataclass(frozen=True)
class ComputeQuestion:
    """Which compute a worker has."""

    device: str
    precision: str
    threads: int
    name: str = "its first question"

    def ask(self, worker: Worker) -> None:
        worker.tell({"ask": "compute", "versions": versions(), **asdict(self)})


def run_members(job: EnsembleTask, workers: int | WorkerPool, observer: Observer) -> list[MemberProbabilities]:
    """Every member's probabilities, in the order of the job's plans.

    workers: how many processes, this one alone where it is 1; or a pool elsewhere. Raises what a member's training
    raises; OutOfResourcesError when the system kills a process; ClusterError when a pool is lost.
    """
    if isinstance(workers, WorkerPool):
        done = _run_away(job, workers, observer)
    elif workers == 1:
        runner = MemberRunner(job, observer)
        return [runner.run(plan) for plan in job.plans]
    else:
        with WorkerPool(LocalProcesses(workers, job.compute.threads), MODULE, job.compute.threads) as pool:
            done = make_members(EnsembleMessage(job), pool, observer)
    return [done[plan.member] for plan in job.plans]


def _check_counts(workers: int | None, threads: int | None) -> None:
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise RecipeError(f"--{name} {value}: expected a number from 1 up.")


def _relative_duration(members: int, workers: int, threads: int) -> float:
    """Until all members are done, with one thread alone on one member as the unit."""
    return math.ceil(members / workers) / math.pow(threads, SPEEDUP_EXPONENT)


def _run_away(job: EnsembleTask, pool: WorkerPool, observer: Observer) -> dict[int, MemberProbabilities]:
    """On a pool whose machines may see the run's folder or not."""
    seen, away = job.folder / SEEN, job.folder / AWAY
    token = secrets.token_hex()
    shutil.rmtree(away, ignore_errors=True)  # of a run that was killed
    write_text(seen, token)
    try:
        return make_members(EnsembleMessage(job, token), pool, observer)
    finally:
        seen.unlink(missing_ok=True)
        shutil.rmtree(away, ignore_errors=True)


def make_members(packed: EnsembleMessage, pool: WorkerPool, observer: Observer) -> dict[int, MemberProbabilities]:
    """What each member says, by its number. Raises as run_members does."""
    listener = _Listener(packed.job, observer)
    _ = packed.images  # packed once, before several threads ask for them
    for task, message, content in pool.work([_MemberTask(packed, plan) for plan in packed.job.plans]):
        listener.hear(task.plan.member, message, content)
    return listener.done


@dataclass(frozen=True, eq=False)
class _MemberTask:
    """A member to be made."""

    packed: EnsembleMessage
    plan: MemberPlan

    @property
    def name(self) -> str:
        return f"member {self.plan.member + 1}"

    def ask(self, worker: Worker) -> None:
        packed, member = self.packed, self.plan.member
        if not worker.knows(packed.images_name):
            worker.tell(*packed.images, keep=True)
        if not worker.knows(packed.name):
            worker.tell(packed.rest)
        plan, rows = pack_plan(self.plan)
        worker.tell({"ask": "plan"} | plan, rows)
        pair = None if packed.away is None else MemberFolder(packed.job.member_folder(member)).newest_saved()
        worker.tell(*pack_state({"ask": "member", "job": packed.name, "member": member}, pair))


class _Listener:
    """Keeps what members send home, and tells the observer."""

    def __init__(self, job: EnsembleTask, observer: Observer) -> None:
        self._job, self._observer = job, observer
        self._images: Counter[int] = Counter()
        """Of each member, those that were trained on since its last state."""
        self.done: dict[int, MemberProbabilities] = {}

    def hear(self, member: int, message: Message, content: bytes) -> None:
        """What one who makes a member tells. Raises what keeping it raises."""
        match event := message.pop("event"):
            case Event.SAVED:
                self._keep(member, message, content)
            case Event.FINISHED:
                self.done[member] = unpack_probabilities(content)
            case Event.EPOCH_FINISHED:
                self._observer.epoch_finished(EpochLog.from_json(message["log"]))
            case Event.BATCH_FINISHED:
                self._images[member] += message["images"]
                self._observer.batch_finished(message["images"])
            case Event.MEMBER_STARTED:
                self._observer.batch_finished(-self._images.pop(member, 0))  # of a worker that was lost
                self._observer.member_started(**message)
            case Event.WARNED:
                self._observer.warned(message["message"])
            case Event.LOGGED:
                logging.getLogger(message["logger"]).log(message["level"], "%s", message["text"])
            case _:
                raise ValueError(f"unexpected event {event!r} of member {member + 1}")

    def _keep(self, member: int, message: Message, content: bytes) -> None:
        path, name = self._job.member_folder(member), message["name"]
        with keeping_member_folder(path):
            folder = MemberFolder(path)
            if "folder" in message:
                folder.adopt_from(Path(message["folder"]), name)
            else:
                folder.adopt(SavedState.unpack(name, message["tensors"], content))
        self._images.pop(member, None)
        if message["log"] is not None:
            self._observer.epoch_finished(EpochLog.from_json(message["log"]))
