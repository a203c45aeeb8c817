"""Make members in this process, in several local processes, or on a cluster.

Several processes of few threads train small networks faster than one process of many. A member's bytes depend on its
number of threads, but not on the number of workers, the order, the machine, or the process that makes it.
"""

import logging
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from hitofude.errors import RecipeError
from hitofude.language.translation import say, translate
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, choose_compute, processors
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask, MemberProbabilities, MemberRunner, owning_member_folder
from hitofude.learning.teaching import stages, taught_targets
from hitofude.learning.training import MemberPlan, Observer, Targets
from hitofude.learning.worker import REMOTE, EnsembleMessage, unpack_compute, unpack_probabilities, unpack_state
from hitofude.workers.clusters import open_cluster
from hitofude.workers.handshake import disk_token, versions
from hitofude.workers.messages import Event, Message
from hitofude.workers.pool import WorkerPool, wait_for_nodes
from hitofude.workers.process import LocalProcesses
from hitofude.workers.worker import Node, Worker

logger = logging.getLogger(__name__)

Lesson = tuple[MemberPlan, Targets | None]
"""A member, and its targets if they are not the labels; see hitofude.learning.member.MemberRunner.run."""

MODULE = "hitofude.learning.worker"

SPEEDUP_EXPONENT = 0.75
"""t threads are about t ** 0.75 times as fast as one: 1.6 to 1.8 times with two (`hitofude bench` measures it)."""

IMAGES_WORTH_A_PROCESS = 50_000
"""Training on fewer images takes less time than a second process needs to import PyTorch."""

IMAGES_WORTH_IDLE_PROCESSORS = 12_500
"""The same if the number of threads is given, and one process would leave processors idle."""

PARAMETERS_OF_A_SMALL_NETWORK, SMALL_MEMBERS_A_GPU = 1_000_000, 4
"""This many networks share a GPU if they are smaller: one of them does not use it fully."""


@dataclass(frozen=True)
class Parallelism:
    """The number of members that are made at once, and the threads of each."""

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
        """Choose what is not given so that all members are done soonest and no processor has two threads.

        images: to train on in all, counted once an epoch. available: the number of processors, by default all that
        this process may use. Raises RecipeError for numbers below 1.
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
        """Choose so that all members are done soonest, none with more threads than the smallest node has."""
        sizes = [node.threads for node in nodes if node.threads > 0] or [1]

        def workers(threads: int) -> int:
            return min(members, sum(size // threads for size in sizes))

        threads = min(range(1, min(sizes) + 1), key=lambda count: _relative_duration(members, workers(count), count))
        return cls(workers(threads), threads)


@dataclass(frozen=True)
class TrainingBackend:
    """The means to make the members of a run: the compute of each, and the number made at once."""

    compute: Compute
    workers: int
    pool: WorkerPool | None = None
    """None for this process or processes that it starts for this run."""
    environment: Message | None = None
    """The environment of the cluster's machines, from describe_environment; None for this machine."""

    def __str__(self) -> str:
        text = str(self.compute)
        if self.workers > 1:
            text += say(", {workers} members side by side", workers=self.workers)
        if self.pool is not None:
            text += say(", on {machine}", machine=translate(self.pool.cluster.name))
        return text


@contextmanager
def open_backend(
    workers: int | str | WorkerPool | None,
    *,
    members: int,
    images: int,
    parameters: int,
    device: str,
    precision: str,
    threads: int | None,
) -> Iterator[TrainingBackend]:
    """Yield the means to make this many members, and close them at the end of the block.

    workers: a number of processes, None for the best, a cluster's address (see hitofude.workers.clusters), or a pool,
    which stays open. images: to train on in all, counted once an epoch. parameters: of the largest network. device,
    precision, threads: the user's choice. Raises RecipeError if the device is not available, ClusterError if no
    cluster answers.
    """
    if workers is None or isinstance(workers, int):
        compute = choose_compute(device, precision)
        parallelism = Parallelism.choose(members, images, compute, workers, threads)
        yield TrainingBackend(replace(compute, threads=parallelism.threads), parallelism.workers)
    elif isinstance(workers, WorkerPool):
        yield _backend_of(workers, members, device, precision)
    else:
        with open_worker_pool(workers, members, images, device, threads, gpus=share_of_gpu(parameters)) as pool:
            yield _backend_of(pool, members, device, precision)


@contextmanager
def open_worker_pool(
    workers: int | str | None,
    tasks: int,
    images: int,
    device: str = "auto",
    threads: int | None = None,
    *,
    gpus: float = 1.0,
    module: str = MODULE,
) -> Iterator[WorkerPool]:
    """Open a pool for this many tasks: local processes, at least one, or a cluster.

    workers, device, threads: as for open_backend. images: to compute on in all. gpus: the share of a GPU that each
    worker takes, if the cluster has GPUs and the device may be one. module: run by each worker.
    """
    _check_counts(None, threads)
    if isinstance(workers, str):
        cluster = open_cluster(workers, processors())
        try:
            nodes = wait_for_nodes(cluster)
        except BaseException:
            cluster.close()
            raise
        gpus = gpus if device in ("auto", "cuda") and any(node.gpus > 0 for node in nodes) else 0
        threads = threads or (1 if gpus else Parallelism.on_cluster(tasks, nodes).threads)
        pool = WorkerPool(cluster, module, threads, gpus=gpus)
    else:
        parallelism = Parallelism.choose(tasks, images, choose_compute(device), workers, threads)
        local = LocalProcesses(parallelism.workers, parallelism.threads)
        pool = WorkerPool(local, module, parallelism.threads)
    with pool:
        yield pool


def share_of_gpu(parameters: int) -> float:
    """Return the share of a GPU that a member takes. parameters: of the largest network."""
    return 1 / SMALL_MEMBERS_A_GPU if parameters < PARAMETERS_OF_A_SMALL_NETWORK else 1.0


def _backend_of(pool: WorkerPool, members: int, device: str, precision: str) -> TrainingBackend:
    """Ask one worker for its environment and compute: all workers of a run must have the same."""
    question = ComputeQuestion(device, precision, pool.threads)
    for _, answer, _ in pool.work([question]):
        if answer["event"] == Event.WARNED:
            logger.info("%s", answer["message"])
    environment = answer["environment"]
    compute = unpack_compute(answer["compute"], environment["device"])
    return TrainingBackend(compute, min(members, max(1, pool.size())), pool, environment)


@dataclass(frozen=True)
class ComputeQuestion:
    """The request for a worker's compute and environment."""

    device: str
    precision: str
    threads: int
    name: str = "the first request"

    def send(self, worker: Worker) -> None:
        worker.send({"ask": "compute", "versions": versions(), **asdict(self)})


def run_members(task: EnsembleTask, workers: int | WorkerPool, observer: Observer) -> list[MemberProbabilities]:
    """Make every member after its teachers, and return its probabilities in the order of the task's plans.

    workers: the number of processes, of which 1 is this one; or a pool of a cluster. Raises the errors of a member's
    training; OutOfResourcesError if the system kills a process; ClusterError if the cluster is lost.
    """
    done = dict[int, MemberProbabilities]()
    with _open_maker(task, workers, observer) as make:
        for plans in stages(task.plans):
            lessons = [(plan, _targets_of(task, plan, done)) for plan in plans]
            done |= zip((plan.member for plan in plans), make(lessons), strict=True)
    return [done[plan.member] for plan in task.plans]


def _targets_of(task: EnsembleTask, plan: MemberPlan, made: Mapping[int, MemberProbabilities]) -> Targets | None:
    given = task.targets.get(plan.member)
    return taught_targets(plan, task.train.known_labels(), made) if given is None else given


@contextmanager
def _open_maker(
    task: EnsembleTask, workers: int | WorkerPool, observer: Observer
) -> Iterator[Callable[[Sequence[Lesson]], list[MemberProbabilities]]]:
    """Yield a function that makes some of the task's members at once, in their order."""
    if workers == 1:
        runner = MemberRunner(task, observer)
        yield lambda lessons: [runner.run(*lesson) for lesson in lessons]
    elif not isinstance(workers, WorkerPool):
        with WorkerPool(LocalProcesses(workers, task.compute.threads), MODULE, task.compute.threads) as pool:
            yield partial(make_members, EnsembleMessage(task), pool, observer)
    else:
        remote = task.folder / REMOTE
        shutil.rmtree(remote, ignore_errors=True)  # a killed run may have left it
        try:
            with disk_token(task.folder) as token:
                yield partial(make_members, EnsembleMessage(task, token), workers, observer)
        finally:
            shutil.rmtree(remote, ignore_errors=True)


def _check_counts(workers: int | None, threads: int | None) -> None:
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise RecipeError(f"--{name} {value}: expected a number from 1 up.")


def _relative_duration(members: int, workers: int, threads: int) -> float:
    """Return the time until all members are done, in units of one member by one thread."""
    return math.ceil(members / workers) / math.pow(threads, SPEEDUP_EXPONENT)


def make_members(
    ensemble: EnsembleMessage, pool: WorkerPool, observer: Observer, lessons: Sequence[Lesson]
) -> list[MemberProbabilities]:
    """Make members by a pool, and return their probabilities in the same order. Raises as run_members does."""
    collector = _Collector(ensemble.task, observer)
    _ = ensemble.images  # packed once, before several threads need them
    for task, message, content in pool.work([_MemberTask(ensemble, *lesson) for lesson in lessons]):
        collector.handle(task.plan.member, message, content)
    return [collector.done[plan.member] for plan, _ in lessons]


@dataclass(frozen=True, eq=False)
class _MemberTask:
    """A member to be made."""

    ensemble: EnsembleMessage
    plan: MemberPlan
    targets: Targets | None

    @property
    def name(self) -> str:
        return f"member {self.plan.member + 1}"

    def send(self, worker: Worker) -> None:
        ensemble = self.ensemble
        if worker.first_time(ensemble.images_name):
            worker.send(*ensemble.images, cache=True)
        folder = MemberFolder(ensemble.task.member_folder(self.plan.member))
        state = None if ensemble.token is None else folder.newest_saved()
        worker.send(*ensemble.member(self.plan, state, self.targets))


class _Collector:
    """Keeps the states and results of members, and informs the observer."""

    def __init__(self, task: EnsembleTask, observer: Observer) -> None:
        self._task, self._observer = task, observer
        self._images: Counter[int] = Counter()
        """The images that each member was trained on since its last state."""
        self._unsaved: dict[int, list[EpochLog]] = {}
        """The epochs of each member whose state was gone before it could be kept; told with the next one."""
        self.done: dict[int, MemberProbabilities] = {}

    def handle(self, member: int, message: Message, content: bytes) -> None:
        """Handle an event of a member. Raises the errors of keeping a state."""
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
                self._observer.batch_finished(-self._images.pop(member, 0))  # by a worker that was lost
                self._unsaved.pop(member, None)
                self._observer.member_started(**message)
            case Event.WARNED:
                self._observer.warned(message["message"])
            case _:
                raise ValueError(f"unexpected event {event!r} of member {member + 1}")

    def _keep(self, member: int, message: Message, content: bytes) -> None:
        """Keep a state, and tell of the epochs that are safe by it."""
        path, is_kept = self._task.member_folder(member), True
        with owning_member_folder(path):
            if "folder" in message:
                is_kept = MemberFolder(path).adopt_from(Path(message["folder"]), message["state"])
            else:
                MemberFolder(path).adopt(unpack_state(message, content))
        if message["log"] is not None:
            self._unsaved.setdefault(member, []).append(EpochLog.from_json(message["log"]))
        if is_kept:
            self._images.pop(member, None)
            for log in self._unsaved.pop(member, []):
                self._observer.epoch_finished(log)
