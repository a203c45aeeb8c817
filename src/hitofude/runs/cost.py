"""The seconds that a planned run will take on this machine.

The speed of training and predicting is measured (hitofude.learning.speed_meter); the rest, which is a small part, was
measured once on another machine, and is scaled by the speed of sorting numbers here.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.dispatch import Parallelism
from hitofude.learning.speed import MemberSpeed
from hitofude.learning.speed_meter import SpeedMeter
from hitofude.learning.teaching import stages
from hitofude.learning.training import MemberPlan
from hitofude.runs.plan import RunPlan

UNCLEAR = 0.12
"""The share of images that are predicted again, shifted, if only unclear ones are."""
VIEWS = 4

SECONDS_TO_SORT = 0.055
"""A million random numbers, on the machine on which the following seconds were measured."""
SECONDS_A_MEMBER, SECONDS_AN_EPOCH = 0.3, 0.06
"""To build and save a network; to save an epoch's state and report it."""
SECONDS_OF_OUTPUTS, SECONDS_OF_OUTPUTS_A_ROW = 3.0, 5e-5
"""The evaluation, the audit, the submission and the report."""
SECONDS_TO_READ, SECONDS_TO_READ_A_ROW = 3.0, 1.1e-4
"""To start the command, read a source of 28×28 images and compare all images, for sources that are not there."""


@dataclass(frozen=True)
class CostModel:
    """Tells how long runs take with these choices of the user.

    available: the number of processors that may be used, None for all. is_attended: epochs are saved and validated, and
    files are written.
    """

    meter: SpeedMeter
    device: str = "auto"
    workers: int | None = None
    threads: int | None = None
    available: int | None = None
    is_attended: bool = True

    def seconds(self, plan: RunPlan) -> float:
        """Return the time from the planning to the end of the command, measuring what was not measured before."""
        compute, workers = self._compute_and_workers(plan)
        seconds = self.meter.seconds_to_start(compute, workers)
        for stage in stages(plan.members):
            speeds = [self.meter.measure(member, compute, workers) for member in stage]
            each = [self._seconds_of(plan, *pair) for pair in zip(stage, speeds, strict=True)]
            seconds += makespan(each, workers)
        rows = len(plan.train) + _images_to_predict(plan)
        outputs = SECONDS_OF_OUTPUTS + rows * SECONDS_OF_OUTPUTS_A_ROW if self.is_attended else 0.0
        return seconds + slowness() * outputs

    def _compute_and_workers(self, plan: RunPlan) -> tuple[Compute, int]:
        """Return the compute of each member, and the number of members made at once, as a run chooses them."""
        compute = choose_compute(self.device, plan.recipe.precision)
        members, images = len(plan.members), plan.images_to_train()
        found = Parallelism.choose(members, images, compute, self.workers, self.threads, self.available)
        return replace(compute, threads=found.threads), found.workers

    def _seconds_of(self, plan: RunPlan, member: MemberPlan, speed: MemberSpeed) -> float:
        """Return the time to make a member."""
        recipe, held_out = member.recipe, len(member.validation_rows)
        watched = min(recipe.schedule.validation_rows or held_out, held_out) if self.is_attended else 0
        an_epoch = watched / speed.predicted + (slowness() * SECONDS_AN_EPOCH if self.is_attended else 0.0)
        again = 1.0 if recipe.tta.threshold >= 1 else UNCLEAR
        views = 1 + VIEWS * again if recipe.tta.shift else 1
        taught = len(plan.train) if member.teaches else 0
        predicted = views * (held_out + _images_to_predict(plan) + taught) / speed.predicted
        return member.images / speed.trained + member.epochs * an_epoch + predicted + slowness() * SECONDS_A_MEMBER


def _images_to_predict(plan: RunPlan) -> int:
    return 0 if plan.dataset.test is None else len(plan.dataset.test)


def makespan(durations: Iterable[float], workers: int) -> float:
    """Return the time until workers have done all pieces of work, each taken in order by the first that is free."""
    free = [0.0] * workers
    for seconds in durations:
        free.sort()
        free[0] += seconds
    return max(free)


def seconds_to_read(rows: int) -> float:
    """Estimate the time to start the command and read a source of so many rows."""
    return slowness() * (SECONDS_TO_READ + rows * SECONDS_TO_READ_A_ROW)


@cache
def slowness() -> float:
    """Return how many times longer than where the seconds were measured this machine takes to sort numbers."""
    numbers, taken = np.random.default_rng(0).random(1_000_000), list[float]()
    for _ in range(5):
        started = time.perf_counter()
        np.sort(numbers)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken)) / SECONDS_TO_SORT
