"""Many members as one: who trains on which rows, and what they predict together."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, train_test_split
from torch import nn

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.dispatch import run_members
from hitofude.learning.member import EnsembleTask
from hitofude.learning.training import MemberPlan, Observer, load_member
from hitofude.recipe import EnsembleRecipe, Recipe
from hitofude.workers.pool import WorkerPool


@dataclass(frozen=True, eq=False)
class EnsembleProbabilities:
    """What the members say.

    out_of_fold: each training row's probabilities, the mean over the members that never saw it; NaN where
    every member saw it (`split = "holdout"`).
    disagreement: of the members that never saw a row, the share that answers otherwise than their mean.
    held_out: of each member, of its validation rows.
    """

    out_of_fold: NDArray[np.float32]  # (N, classes)
    disagreement: NDArray[np.float32]  # (N,)
    held_out: list[NDArray[np.float32]]  # each (len(validation_rows), classes)
    test: NDArray[np.float32] | None  # (members, N of the test set, classes)


def plan_members(recipe: Recipe, image_set: ImageSet) -> list[MemberPlan]:
    """Every member's network and rows, a pure function of recipe and labels.

    The folds of one repeat come one after the other, then those of the next, at last the members on all rows.
    Raises InputError when a class has fewer images than there are folds.
    """
    _check_classes(image_set, recipe.ensemble)
    labels, ensemble = image_set.known_labels(), recipe.ensemble
    networks = itertools.cycle(ensemble.networks or [recipe.network.name])
    parts = [(next(networks), _split(labels, ensemble, recipe.seed + repeat)) for repeat in range(ensemble.repeats)]
    everything = (np.arange(len(labels)), np.arange(0))
    parts += [(next(networks), [everything]) for _ in range(ensemble.full_data_members)]
    named = [(network, rows) for network, splits in parts for rows in splits]
    return [
        MemberPlan(member, network, np.asarray(train, dtype=np.int64), np.asarray(validation, dtype=np.int64))
        for member, (network, (train, validation)) in enumerate(named)
    ]


def _split(
    labels: NDArray[np.int64], ensemble: EnsembleRecipe, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows to learn from and to validate on, of each fold or of the one random split."""
    if ensemble.split == "holdout":
        train, validation = train_test_split(np.arange(len(labels)), test_size=ensemble.holdout, random_state=seed)
        return [(train, validation)]
    folds = StratifiedKFold(ensemble.folds, shuffle=True, random_state=seed)
    return list(folds.split(np.zeros(len(labels)), labels))


def train_ensemble(job: EnsembleTask, workers: int | WorkerPool, observer: Observer) -> EnsembleProbabilities:
    """Train the members, or load those that are finished, and let each predict what it never saw.

    workers: how many members are made side by side, or those who make them; see hitofude.learning.dispatch.
    """
    members = run_members(job, workers, observer)
    held_out = [member.held_out for member in members]
    of_test = [member.test for member in members if member.test is not None]
    out_of_fold = join_out_of_fold(job.plans, held_out, len(job.train), len(job.train.classes))
    disagreeing = disagreement(job.plans, held_out, out_of_fold)
    return EnsembleProbabilities(out_of_fold, disagreeing, held_out, np.stack(of_test) if of_test else None)


def load_members(
    folders: Sequence[Path], networks: Sequence[str], image_shape: ImageShape, classes: int, compute: Compute
) -> list[nn.Module]:
    """The finished networks of these names in these folders, in the members' order.

    Raises RunFolderError when one is missing, damaged or of another kind: never are fewer averaged.
    """
    return [
        load_member(MemberFolder(folder), name, image_shape, classes, compute, {"member": number})
        for number, (folder, name) in enumerate(zip(folders, networks, strict=True))
    ]


def join_out_of_fold(
    plans: Sequence[MemberPlan], held_out: Sequence[NDArray[np.float32]], count: int, classes: int
) -> NDArray[np.float32]:
    """(count, classes) the mean over the members that held the row out; NaN for rows that none did.

    held_out: for each plan (len(validation_rows), classes).
    """
    total = np.zeros((count, classes), dtype=np.float32)
    members = np.zeros((count, 1), dtype=np.float32)
    for plan, probabilities in zip(plans, held_out, strict=True):
        total[plan.validation_rows] += probabilities
        members[plan.validation_rows] += 1
    return np.where(members > 0, total / np.maximum(members, 1), np.nan).astype(np.float32)


def disagreement(
    plans: Sequence[MemberPlan], held_out: Sequence[NDArray[np.float32]], out_of_fold: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(N,) of the members that held a row out, the share that answers otherwise than their mean; 0 where one alone did.

    held_out: for each plan (len(validation_rows), classes); out_of_fold: (N, classes).
    """
    answers = np.nan_to_num(out_of_fold, nan=-1).argmax(axis=1)
    others, members = np.zeros((2, len(answers)), dtype=np.float32)
    for plan, probabilities in zip(plans, held_out, strict=True):
        others[plan.validation_rows] += probabilities.argmax(axis=1) != answers[plan.validation_rows]
        members[plan.validation_rows] += 1
    return (others / np.maximum(members, 1)).astype(np.float32)


def _check_classes(image_set: ImageSet, recipe: EnsembleRecipe) -> None:
    if len(image_set.classes) < 2:
        raise InputError(f"All images have the label '{image_set.classes[0]}'. A classifier needs two or more.")
    counts = np.bincount(image_set.known_labels(), minlength=len(image_set.classes))
    fewest = int(counts.argmin())
    if recipe.split == "folds" and counts[fewest] < recipe.folds:
        raise InputError(
            f"Class '{image_set.classes[fewest]}' has {counts[fewest]} images, fewer than the {recipe.folds} folds. "
            f"Add images of it, remove it, or use --set ensemble.folds={max(2, counts[fewest])}."
        )
