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
from hitofude.learning.checkpoint import MemberFolder, Pair
from hitofude.learning.engine import Engine, choose_engine, processors
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleJob, MemberProbabilities, MemberRunner, keeping_member_folder
from hitofude.learning.messages import PackedJob, pack_plan, unpack_probabilities
from hitofude.learning.training import MemberPlan, Observer
from hitofude.learning.worker import AWAY, SEEN, pack_pair
from hitofude.storage import write_text
from hitofude.workers.clusters import open_workers
from hitofude.workers.messages import Event, Message
from hitofude.workers.pool import Crew, wait_for_places
from hitofude.workers.versions import versions
from hitofude.workers.worker import LocalProcesses, Place, Seat

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
class Team:
    """How many members are made at once, and by how many threads each."""

    workers: int
    threads: int

    @classmethod
    def choose(
        cls,
        members: int,
        images: int,
        engine: Engine,
        workers: int | None = None,
        threads: int | None = None,
        available: int | None = None,
    ) -> "Team":
        """What was asked for; the rest such that all members are done soonest and no processor has two threads.

        images: how many are trained on in all, counted once an epoch. available: the processors, by default all
        that this process may use. Raises RecipeError for numbers below 1.
        """
        _check_counts(workers, threads)
        available = available or processors()
        worth = IMAGES_WORTH_IDLE_PROCESSORS if threads and threads < available else IMAGES_WORTH_A_PROCESS
        if workers is None and (engine.device.type != "cpu" or images < worth):
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
    def on_cluster(cls, members: int, places: Sequence[Place]) -> "Team":
        """Such that all members are done soonest, none with more threads than the smallest place has."""
        sizes = [place.threads for place in places if place.threads > 0] or [1]

        def seats(threads: int) -> int:
            return min(members, sum(size // threads for size in sizes))

        threads = min(range(1, min(sizes) + 1), key=lambda count: _relative_duration(members, seats(count), count))
        return cls(seats(threads), threads)


@dataclass(frozen=True)
class Workshop:
    """Where the members of a run are made, by which engine each, and how many at once."""

    engine: Engine
    workers: int
    crew: Crew | None = None
    """Those who make them, where that is not this process or its own processes."""
    environment: Message | None = None
    """Of the machines that they are made on, as describe_environment has it, where it is not this one's."""

    def __str__(self) -> str:
        side_by_side = f", {self.workers} members side by side" if self.workers > 1 else ""
        return f"{self.engine}{side_by_side}" + ("" if self.crew is None else f", on {self.crew.workers.name}")


@contextmanager
def open_workshop(
    where: int | str | Crew | None,
    *,
    members: int,
    images: int,
    parameters: int,
    device: str,
    precision: str,
    threads: int | None,
) -> Iterator[Workshop]:
    """Where so many members are made; left when the block ends.

    where: a number of processes, None for the best, a cluster (see hitofude.workers.clusters), or a crew, which stays.
    images: how many are trained on in all, counted once an epoch. parameters: of the largest network. device,
    precision, threads: what is asked for. Raises RecipeError for what is not here, ClusterError where no cluster is.
    """
    if where is None or isinstance(where, int):
        engine = choose_engine(device, precision)
        team = Team.choose(members, images, engine, where, threads)
        yield Workshop(replace(engine, threads=team.threads), team.workers)
    elif isinstance(where, Crew):
        yield _workshop_of(where, members, device, precision)
    else:
        with gather_crew(where, members, images, device, threads, gpus=share_of_gpu(parameters)) as crew:
            yield _workshop_of(crew, members, device, precision)


@contextmanager
def gather_crew(
    where: int | str | None,
    pieces: int,
    images: int,
    device: str = "auto",
    threads: int | None = None,
    *,
    gpus: float = 1.0,
    module: str = MODULE,
) -> Iterator[Crew]:
    """Those who do so many pieces of work: processes of this machine, even where it is one, or a cluster's workers.

    where, device, threads: as of open_workshop. images: how many are computed on in all. gpus: so much of one has each
    seat, on a cluster that has some, where they are wanted. module: what a seat runs.
    """
    _check_counts(None, threads)
    if isinstance(where, str):
        with _gather_cluster(where, pieces, device, threads, gpus, module) as crew:
            yield crew
    else:
        team = Team.choose(pieces, images, choose_engine(device), where, threads)
        with Crew(LocalProcesses(team.workers, team.threads), module, team.threads) as crew:
            yield crew


@contextmanager
def _gather_cluster(
    cluster: str, pieces: int, device: str, threads: int | None, gpus: float, module: str
) -> Iterator[Crew]:
    workers = open_workers(cluster, processors())
    try:
        places = wait_for_places(workers)
        has_gpus = device in ("auto", "cuda") and any(place.gpus > 0 for place in places)
        threads = threads or (1 if has_gpus else Team.on_cluster(pieces, places).threads)
    except BaseException:
        workers.close()
        raise
    with Crew(workers, module, threads, gpus=gpus if has_gpus else 0) as crew:
        yield crew


def share_of_gpu(parameters: int) -> float:
    """How much of one a member takes. parameters: of the largest network."""
    return 1 / SMALL_MEMBERS_A_GPU if parameters < PARAMETERS_OF_A_SMALL_NETWORK else 1.0


def _workshop_of(crew: Crew, members: int, device: str, precision: str) -> Workshop:
    environment, engine = _ask_for_engine(crew, device, precision)
    return Workshop(engine, min(members, max(1, crew.size())), crew, environment)


def _ask_for_engine(crew: Crew, device: str, precision: str) -> tuple[Message, Engine]:
    """The environment and the engine of a worker: those of all, for a run has only one kind."""
    *_, (_, answer, _) = crew.work([EngineQuestion(device, precision, crew.threads)])
    described, environment = answer["engine"], answer["environment"]
    engine = Engine(torch.device(described["device"]), described["precision"], described["threads"])
    return environment, replace(engine, name=environment["device"])


@dataclass(frozen=True)
class EngineQuestion:
    """Which engine a worker has."""

    device: str
    precision: str
    threads: int
    name: str = "its first question"

    def ask(self, seat: Seat) -> None:
        seat.tell({"ask": "engine", "versions": versions(), **asdict(self)})


def run_members(job: EnsembleJob, workers: int | Crew, observer: Observer) -> list[MemberProbabilities]:
    """Every member's probabilities, in the order of the job's plans.

    workers: how many processes, this one alone where it is 1; or a crew elsewhere. Raises what a member's training
    raises; OutOfResourcesError when the system kills a process; ClusterError when a crew is lost.
    """
    if isinstance(workers, Crew):
        done = _run_away(job, workers, observer)
    elif workers == 1:
        runner = MemberRunner(job, observer)
        return [runner.run(plan) for plan in job.plans]
    else:
        with Crew(LocalProcesses(workers, job.engine.threads), MODULE, job.engine.threads) as crew:
            done = make_members(PackedJob(job), crew, observer)
    return [done[plan.member] for plan in job.plans]


def _check_counts(workers: int | None, threads: int | None) -> None:
    for name, value in (("workers", workers), ("threads", threads)):
        if value is not None and value < 1:
            raise RecipeError(f"--{name} {value}: expected a number from 1 up.")


def _relative_duration(members: int, workers: int, threads: int) -> float:
    """Until all members are done, with one thread alone on one member as the unit."""
    return math.ceil(members / workers) / math.pow(threads, SPEEDUP_EXPONENT)


def _run_away(job: EnsembleJob, crew: Crew, observer: Observer) -> dict[int, MemberProbabilities]:
    """On a crew whose machines may see the run's folder or not."""
    seen, away = job.folder / SEEN, job.folder / AWAY
    token = secrets.token_hex()
    shutil.rmtree(away, ignore_errors=True)  # of a run that was killed
    write_text(seen, token)
    try:
        return make_members(PackedJob(job, token), crew, observer)
    finally:
        seen.unlink(missing_ok=True)
        shutil.rmtree(away, ignore_errors=True)


def make_members(packed: PackedJob, crew: Crew, observer: Observer) -> dict[int, MemberProbabilities]:
    """What each member says, by its number. Raises as run_members does."""
    listener = _Listener(packed.job, observer)
    _ = packed.images  # packed once, before several threads ask for them
    for task, message, content in crew.work([_MemberTask(packed, plan) for plan in packed.job.plans]):
        listener.hear(task.plan.member, message, content)
    return listener.done


@dataclass(frozen=True, eq=False)
class _MemberTask:
    """A member to be made."""

    packed: PackedJob
    plan: MemberPlan

    @property
    def name(self) -> str:
        return f"member {self.plan.member + 1}"

    def ask(self, seat: Seat) -> None:
        packed, member = self.packed, self.plan.member
        if not seat.knows(packed.images_name):
            seat.tell(*packed.images, keep=True)
        if not seat.knows(packed.name):
            seat.tell(packed.rest)
        plan, rows = pack_plan(self.plan)
        seat.tell({"ask": "plan"} | plan, rows)
        pair = None if packed.away is None else MemberFolder(packed.job.member_folder(member)).newest_pair()
        seat.tell(*pack_pair({"ask": "member", "job": packed.name, "member": member}, pair))


class _Listener:
    """Keeps what members send home, and tells the observer."""

    def __init__(self, job: EnsembleJob, observer: Observer) -> None:
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
                folder.adopt(Pair.unpack(name, message["tensors"], content))
        self._images.pop(member, None)
        if message["log"] is not None:
            self._observer.epoch_finished(EpochLog.from_json(message["log"]))
