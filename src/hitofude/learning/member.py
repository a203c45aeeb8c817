"""One member from plan to probabilities."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hitofude.errors import RunFolderError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.epoch_log import member_folder_name
from hitofude.learning.plugins import explaining_plugin_errors
from hitofude.learning.predicting import Predictor
from hitofude.learning.training import MemberPlan, Observer, Targets, TrainingData, train_member
from hitofude.storage import owning

logger = logging.getLogger(__name__)

SECONDS_FOR_ANOTHER_WORKER = 60


@dataclass(frozen=True, eq=False)
class EnsembleTask:
    """All that the members of an ensemble are made from."""

    compute: Compute
    plans: tuple[MemberPlan, ...]
    train: ImageSet
    test: ImageSet | None
    folder: Path
    """It contains a folder for each member."""
    unattended: bool = False
    """Save and validate no epoch, which takes most of the time with few rows: nobody follows or continues the task."""
    targets: Mapping[int, Targets] = field(default_factory=dict)
    """Of the members that learn from another run's answers in place of labels, by number; see MemberRunner.run."""

    def member_folder(self, member: int) -> Path:
        return self.folder / member_folder_name(member)


@dataclass(frozen=True, eq=False)
class MemberProbabilities:
    """One member's probabilities: of the rows that it held out, the images to predict, and those that it teaches."""

    held_out: NDArray[np.float32]  # (its validation rows, classes); no rows if it was trained on all
    test: NDArray[np.float32] | None  # (N of the test set, classes)
    train: NDArray[np.float32] | None = None  # (N, classes) of all training images, if it teaches others


@contextmanager
def owning_member_folder(path: Path) -> Iterator[None]:
    """Own the folder in the block. Raises RunFolderError if another worker does not release it."""
    with owning(path, wait=SECONDS_FOR_ANOTHER_WORKER) as is_ours:
        if not is_ours:
            raise RunFolderError(f"{path} is in use by a process of an earlier run. End that process, and run again.")
        yield


class MemberRunner:
    """A maker of a task's members, one after the other, which has the data on the device once."""

    def __init__(self, task: EnsembleTask, observer: Observer) -> None:
        self._task, self._observer = task, observer
        with task.compute.applied():
            self._data = TrainingData.on_device(task.train, task.compute)
            self._test = None if task.test is None else torch.from_numpy(task.test.images).to(task.compute.device)

    def run(self, plan: MemberPlan, targets: Targets | None = None) -> MemberProbabilities:
        """Train the member, continue it or load it, and predict its held-out rows and the test set.

        targets: of the training images and, if they are learned too, the images to predict behind them; None for the
        labels.
        Raises UserError of every kind, RunFolderError also if another worker uses the member's folder.
        """
        task, compute = self._task, self._task.compute
        path = task.member_folder(plan.member)
        with owning_member_folder(path), compute.applied(), explaining_plugin_errors():
            data = self._data if targets is None else self._with_targets(targets)
            folder = MemberFolder(path, self._observer.warned, keeps_states=not task.unattended)
            watched = replace(plan, validation_rows=plan.validation_rows[:0]) if task.unattended else plan
            network = train_member(watched, data, compute, folder, self._observer)
            rows = torch.from_numpy(plan.validation_rows).to(compute.device)
            started = time.monotonic()
            predictor = Predictor(network, compute, tta=plan.recipe.tta)
            held_out = predictor(self._data.images[rows])
            test = None if self._test is None else predictor(self._test)
            train = predictor(self._data.images) if plan.teaches else None
        logger.info("member %d: predicting took %.2f s", plan.member + 1, time.monotonic() - started)
        return MemberProbabilities(held_out, test, train)

    def _with_targets(self, targets: Targets) -> TrainingData:
        """Return the data with these targets, and with the images to predict behind the others if they have some."""
        images, test = self._all_images[: len(targets)], self._task.test
        are_learned = test is not None and len(images) > len(self._data.images)
        return self._data.with_targets(images, targets, test.fingerprint if test is not None and are_learned else "")

    @cached_property
    def _all_images(self) -> Tensor:
        return self._data.images if self._test is None else torch.cat([self._data.images, self._test])
