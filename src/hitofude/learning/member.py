"""One member from plan to probabilities: what a worker is given, what it does, and what it gives back."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hitofude.errors import RunFolderError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.predicting import predict_probabilities
from hitofude.learning.training import MemberPlan, Observer, TrainingData, train_member
from hitofude.recipe import Recipe
from hitofude.storage import owning

logger = logging.getLogger(__name__)

SECONDS_FOR_ANOTHER_WORKER = 60


@dataclass(frozen=True, eq=False)
class EnsembleTask:
    """All that the members of an ensemble are made from."""

    recipe: Recipe
    compute: Compute
    plans: tuple[MemberPlan, ...]
    train: ImageSet
    test: ImageSet | None
    folder: Path
    """It holds a folder for each member."""
    unattended: bool = False
    """Nobody will follow or continue it: no epoch is saved or validated, which is most of the time with few rows."""

    def member_folder(self, member: int) -> Path:
        return self.folder / f"{member:02d}"


@dataclass(frozen=True, eq=False)
class MemberProbabilities:
    """What one member says of the images that it never saw."""

    held_out: NDArray[np.float32]  # (its validation rows, classes); none where it learned from all
    test: NDArray[np.float32] | None  # (N of the test set, classes)


@contextmanager
def keeping_member_folder(path: Path) -> Iterator[None]:
    """Within it, nobody else writes there. Raises RunFolderError where another worker keeps the folder for long."""
    with owning(path, wait=SECONDS_FOR_ANOTHER_WORKER) as is_ours:
        if not is_ours:
            raise RunFolderError(f"{path} is kept by a process of an earlier run. End that process, and run again.")
        yield


class MemberRunner:
    """Makes members of a job, one after the other, with the data on the device once."""

    def __init__(self, job: EnsembleTask, observer: Observer) -> None:
        self._job, self._observer = job, observer
        with job.compute.applied():
            self._data = TrainingData.on_device(job.train, job.compute)
            self._test = None if job.test is None else torch.from_numpy(job.test.images).to(job.compute.device)

    def run(self, plan: MemberPlan) -> MemberProbabilities:
        """Train the member, continue or load it, and let it predict what it never saw.

        Raises UserError of every kind, RunFolderError among them where another worker keeps the member's folder.
        """
        job, compute = self._job, self._job.compute
        path = job.member_folder(plan.member)
        with keeping_member_folder(path), compute.applied():
            folder = MemberFolder(path, self._observer.warned, keeps_states=not job.unattended)
            watched = replace(plan, validation_rows=plan.validation_rows[:0]) if job.unattended else plan
            network = train_member(watched, self._data, job.recipe, compute, folder, self._observer)
            rows = torch.from_numpy(plan.validation_rows).to(compute.device)
            started = time.monotonic()
            held_out = self._predict(network, self._data.images[rows])
            of_test = None if self._test is None else self._predict(network, self._test)
        logger.info("member %d: predicting took %.2f s", plan.member + 1, time.monotonic() - started)
        return MemberProbabilities(held_out, of_test)

    def _predict(self, network: nn.Module, images: Tensor) -> NDArray[np.float32]:
        return predict_probabilities(network, images, self._job.compute, tta=self._job.recipe.tta)
