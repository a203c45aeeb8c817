"""The speed of members in the processes, and with the threads, that would train them here.

Members that are made at once share memory bandwidth and the processor's clock, so they are measured at once.
"""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Self

from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.learning.compute import Compute
from hitofude.learning.dispatch import MODULE, ComputeQuestion
from hitofude.learning.member import EnsembleTask
from hitofude.learning.speed import MemberSpeed, kind_of, measure_member
from hitofude.learning.training import MemberPlan
from hitofude.learning.worker import EnsembleMessage
from hitofude.workers.messages import Event, Message
from hitofude.workers.pool import error_of
from hitofude.workers.process import LocalWorker
from hitofude.workers.worker import WorkerLostError

logger = logging.getLogger(__name__)

IMAGES = 2048
"""To measure with."""


@dataclass(frozen=True)
class _Processes:
    """Processes that wait for questions, and the time that they took to start."""

    workers: list[LocalWorker]
    seconds_to_start: float


class SpeedMeter:
    """Measures each kind of member once; used in a block, at the end of which its processes end."""

    def __init__(self, images: ImageSet) -> None:
        """images: of the source; some of them are used."""
        some = shuffled_evenly(images.known_labels(), 0)[:IMAGES]
        self._images = images.take(some)
        self._speeds: dict[object, MemberSpeed] = {}
        self._processes: dict[tuple[Compute, int], _Processes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for process in [one for started in self._processes.values() for one in started.workers]:
            process.stop()
            process.close()

    def measure(self, member: MemberPlan, compute: Compute, workers: int) -> MemberSpeed:
        """Return the mean speed of so many members of this kind that are made at once."""
        kind = kind_of(member)
        key = compute, workers, kind.network, kind.recipe.to_toml()
        if key not in self._speeds:
            speed = self._measure_at_once(kind, compute, workers)
            logger.info("%s: %.0f images/s trained, %.0f predicted", kind.network, speed.trained, speed.predicted)
            self._speeds[key] = speed
        return self._speeds[key]

    def seconds_to_start(self, compute: Compute, workers: int) -> float:
        """Return the time until so many processes have started."""
        return 0.0 if workers == 1 else self._started(compute, workers).seconds_to_start

    def _measure_at_once(self, kind: MemberPlan, compute: Compute, workers: int) -> MemberSpeed:
        if workers == 1:
            return measure_member(kind, self._images, compute)
        processes = self._started(compute, workers).workers
        message, content = self._message(compute).member(kind, None, ask="speed")
        for process in processes:
            process.send(message, content)
        answers = [_answer_of(process) for process in processes]
        trained, predicted = (fmean(answer[name] for answer in answers) for name in ("trained", "predicted"))
        return MemberSpeed(trained, predicted)

    def _message(self, compute: Compute) -> EnsembleMessage:
        return EnsembleMessage(EnsembleTask(compute, (), self._images, None, Path()))

    def _started(self, compute: Compute, workers: int) -> _Processes:
        """Return processes that have the images, the same ones each time."""
        if (compute, workers) not in self._processes:
            started = time.monotonic()
            processes = [LocalWorker("this machine", MODULE, compute.threads) for _ in range(workers)]
            question = ComputeQuestion(str(compute.device), compute.precision, compute.threads)
            for process in processes:
                question.send(process)
                process.send(*self._message(compute).images)
            for process in processes:
                _answer_of(process)
            self._processes[compute, workers] = _Processes(processes, time.monotonic() - started)
        return self._processes[compute, workers]


def _answer_of(process: LocalWorker) -> Message:
    """Wait for the answer to a question. Raises the process's error."""
    try:
        answer, _ = process.receive()
    except WorkerLostError as loss:
        raise loss.reason from None
    if answer["event"] == Event.FAILED:
        raise error_of(answer)
    return answer
