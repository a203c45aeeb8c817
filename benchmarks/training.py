"""The speed of training, measured by real trainings of the sample."""

import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.compute import Compute, processors
from hitofude.learning.dispatch import Parallelism, run_members
from hitofude.learning.ensemble import plan_members
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask
from hitofude.recipe import Recipe

MEMBERS, EPOCHS = 2, 5


class LogKeeper:
    """An observer that keeps the epochs."""

    def __init__(self) -> None:
        self.logs: list[EpochLog] = []

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None: ...

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)

    def warned(self, message: str) -> None: ...


def benchmark_recipe(network_name: str, preset: str = "fast") -> Recipe:
    """The preset's recipe for that network, with few epochs and two folds."""
    return Recipe.preset(preset).with_settings(
        {
            "network.name": network_name,
            "optimizer.learning_rate": 0.002,
            "schedule.epochs": EPOCHS,
            "schedule.min_steps": 0,
            "ensemble.split": "folds",
            "ensemble.folds": MEMBERS,
        }
    )


def training_rate(recipe: Recipe, images: ImageSet, compute: Compute, team: Parallelism) -> float:
    """Images/s of all members together, with augmentation, without the first epoch and validation."""
    keeper = LogKeeper()
    with tempfile.TemporaryDirectory() as folder:
        compute = replace(compute, threads=team.threads)
        job = EnsembleTask(compute, tuple(plan_members(recipe, images)), images, None, Path(folder))
        run_members(job, team.workers, keeper)
    return team.workers * statistics.median(log.images_per_second for log in keeper.logs if log.epoch > 1)


def parallelisms() -> dict[str, Parallelism]:
    """One member by all processors, and several side by side."""
    available = processors()
    found = {"one after the other": Parallelism(1, available)}
    if available > 1:
        found["side by side"] = Parallelism(MEMBERS, available // MEMBERS)
    return found
