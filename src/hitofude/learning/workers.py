"""Where members are made: in this process, or side by side in processes of their own.

Several processes of few threads make small networks faster than one of many. A member's bytes depend on its
threads and on nothing else of this: not on the number of workers, on the order, or on who made it.
"""

import logging
import math
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import hitofude
from hitofude import errors
from hitofude.errors import OutOfResourcesError, RecipeError, WorkerError
from hitofude.learning.checkpoint import EpochLog
from hitofude.learning.engine import Engine, processors
from hitofude.learning.member import EnsembleJob, MemberProbabilities, MemberRunner
from hitofude.learning.messages import Message, Tensors, pack_job, receive, send
from hitofude.learning.training import Observer

Events = queue.Queue["tuple[_Worker, tuple[Message, Tensors] | None]"]
"""What each worker told; None when it has ended."""

SPEEDUP_EXPONENT = 0.75
"""t threads are about t ** 0.75 times as fast as one: 1.6 to 1.8 times with two (`hitofude bench` measures it)."""

IMAGES_WORTH_A_PROCESS = 50_000
"""Fewer are trained on before a second process has imported PyTorch."""

IMAGES_WORTH_IDLE_PROCESSORS = 12_500
"""The same where the threads are given, and one process would leave processors idle."""


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
        for name, value in (("workers", workers), ("threads", threads)):
            if value is not None and value < 1:
                raise RecipeError(f"--{name} {value}: expected a number from 1 up.")
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


def run_members(job: EnsembleJob, workers: int, observer: Observer) -> list[MemberProbabilities]:
    """Every member's probabilities, in the order of the job's plans.

    Raises what a member's training raises; OutOfResourcesError when the system kills a worker.
    """
    if workers == 1:
        runner = MemberRunner(job, observer)
        return [runner.run(plan) for plan in job.plans]
    done = _run_in_processes(job, workers, observer)
    return [done[plan.member] for plan in job.plans]


def _relative_duration(members: int, workers: int, threads: int) -> float:
    """Until all members are done, with one thread alone on one member as the unit."""
    return math.ceil(members / workers) / math.pow(threads, SPEEDUP_EXPONENT)


def _run_in_processes(job: EnsembleJob, workers: int, observer: Observer) -> dict[int, MemberProbabilities]:
    waiting = [plan.member for plan in job.plans]
    done: dict[int, MemberProbabilities] = {}
    events: Events = queue.Queue()
    with _started(job, workers, events) as crew:
        for worker in crew:
            worker.make(waiting.pop(0))
        while len(done) < len(job.plans):
            worker, event = events.get()
            if event is None:
                raise worker.explain_death()
            message, tensors = event
            if message["event"] == "member_finished":
                arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
                done[message["member"]] = MemberProbabilities(arrays["held_out"], arrays.get("test"))
                if waiting:
                    worker.make(waiting.pop(0))
            else:
                _pass_on(message, observer)
    return done


def _pass_on(message: Message, observer: Observer) -> None:
    """Tell the observer what a worker told us. Raises the error of a worker that failed."""
    event = message.pop("event")
    if event == "failed":
        kind, text = message["kind"], message["message"]
        raise WorkerError(text, message["places"]) if kind is None else getattr(errors, kind)(text)
    if event == "logged":
        logging.getLogger(message["logger"]).log(message["level"], "%s", message["text"])
        return
    if event == "epoch_finished":
        observer.epoch_finished(EpochLog.from_json(message["log"]))
    else:
        getattr(observer, event)(**message)


class _Worker:
    """A worker process, as the run sees it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "hitofude.learning.worker_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=environment,
            start_new_session=True,
        )

    def give(self, job: tuple[Message, Tensors]) -> None:
        self._send(*job)

    def make(self, member: int) -> None:
        self._send({"member": member})

    def pump(self, events: Events) -> None:
        """Put its messages into the queue, and None when it has ended."""
        while (event := receive(cast(BinaryIO, self._process.stdout))) is not None:
            events.put((self, event))
        events.put((self, None))

    def explain_death(self) -> Exception:
        code = self._process.wait()
        if code == -9:
            return OutOfResourcesError(
                f"The system killed worker process {self._process.pid}, most likely for want of memory. "
                "Use fewer members side by side (--workers 1); finished epochs are safe."
            )
        self._complaints.seek(0)
        tail = self._complaints.read()[-4000:].decode("utf-8", errors="replace")
        return RuntimeError(f"A worker process ended with code {code}:\n{tail}")

    def kill(self) -> None:
        """End it at once; what it was writing is whole or not there."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            with suppress(BrokenPipeError):
                cast(BinaryIO, stream).close()

    def _send(self, message: Message, tensors: Tensors | None = None) -> None:
        try:
            send(cast(BinaryIO, self._process.stdin), message, tensors)
        except BrokenPipeError:
            raise self.explain_death() from None


@contextmanager
def _started(job: EnsembleJob, workers: int, events: Events) -> Iterator[list[_Worker]]:
    """So many processes that know the job; none outlives the block."""
    environment = _environment(job.engine.threads)
    crew: list[_Worker] = []
    listeners: list[threading.Thread] = []
    try:
        crew.extend(_Worker(environment) for _ in range(workers))
        packed = pack_job(job)
        for worker in crew:
            worker.give(packed)
            listeners.append(threading.Thread(target=worker.pump, args=(events,), daemon=True))
            listeners[-1].start()
        yield crew
    finally:
        for worker in crew:
            worker.kill()
        for listener in listeners:
            listener.join()
        for worker in crew:
            worker.close()


KEEPING_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""For glibc: memory that a step frees is kept for the next one. To fetch it anew took a tenth of the time."""


def _environment(threads: int) -> dict[str, str]:
    """As ours, with its threads; this very package is found first, and nothing in the current folder."""
    package_root = str(Path(hitofude.__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return (
        {"OMP_WAIT_POLICY": "PASSIVE"}
        | KEEPING_MEMORY
        | os.environ
        | {
            "PYTHONPATH": os.pathsep.join([package_root, others] if others else [package_root]),
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
        }
    )
