"""An ensemble: the rows that each member is trained on, and the predictions of all members together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.dispatch import run_members
from hitofude.learning.margin import settle_margin
from hitofude.learning.member import EnsembleTask
from hitofude.learning.splits import learned_rows, settle_folds, split_rows
from hitofude.learning.training import MemberPlan, Observer, load_member
from hitofude.recipe import EnsembleRecipe, Recipe
from hitofude.workers.pool import WorkerPool


@dataclass(frozen=True, eq=False)
class EnsembleProbabilities:
    """The predictions of an ensemble.

    out_of_fold: each training row's mean probabilities over the members that were not trained on it; NaN if all
    were (`split = "holdout"`).
    disagreement: the share of these members whose answer differs from their mean's; 0 if there is only one.
    held_out: each member's probabilities of its validation rows.
    """

    out_of_fold: NDArray[np.float32]  # (N, classes)
    disagreement: NDArray[np.float32]  # (N,)
    held_out: list[NDArray[np.float32]]  # each (len(validation_rows), classes)
    test: NDArray[np.float32] | None  # (members, N of the test set, classes)


def settle(recipe: Recipe, image_set: ImageSet, groups: NDArray[np.int64] | None) -> Recipe:
    """Return the recipe with the folds and the margin that the images allow. See settle_folds and settle_margin."""
    return settle_margin(settle_folds(recipe, image_set, groups), image_set)


def plan_members(
    recipe: Recipe, image_set: ImageSet, groups: NDArray[np.int64] | None = None, unlabelled: int = 0
) -> list[MemberPlan]:
    """Plan every member's recipe and rows, a pure function of the recipe, the labels, and the given groups and folds.

    groups: (N,) the number of each row's group, None if every row is alone; see hitofude.inputs.related. unlabelled:
    the number of images to predict, numbered on from the training images in the rows of a member that learns from
    them. The members are the folds of the first repeat, those of the next, and so on, then those trained on all rows.
    Raises InputError if nothing can be held out.
    """
    recipe = settle(recipe, image_set, groups)
    ensemble = recipe.ensemble
    has_teachers, repeats = has_taught_members(ensemble, unlabelled), ensemble.repeats
    resplit = ensemble.resplit and not has_teachers
    seeds = [recipe.seed + (repeat if resplit else 0) for repeat in range(repeats)]
    turns = [split_rows(image_set, groups, ensemble, seed) for seed in seeds]
    if not any(len(held_out) for splits in turns for _, held_out in splits):
        raise InputError(
            "No row can be held out: without its group, no image of its class is left to train on. Give fewer groups."
        )
    folds, all_rows = len(turns[0]), (learned_rows(image_set, np.arange(len(image_set))), np.arange(0))
    turns += [[all_rows] for _ in range(ensemble.full_data_members)]
    plans = list[MemberPlan]()
    for turn, splits in enumerate(turns):
        own = recipe.variant(turn)
        for fold, (train, validation) in enumerate(splits):
            earlier = range(fold, turn * folds, folds) if turn < repeats else range(repeats * folds)
            teachers = tuple(earlier) if has_teachers and turn >= ensemble.teaching_repeats else ()
            learned = unlabelled if teachers and ensemble.pseudo_labels != "none" else 0
            others = np.arange(len(image_set), len(image_set) + learned)
            train_rows = np.concatenate([train, others]).astype(np.int64)
            plans.append(MemberPlan(len(plans), own, train_rows, np.asarray(validation, dtype=np.int64), teachers))
    asked = {member for plan in plans for member in plan.teachers} if ensemble.soft_labels else set[int]()
    return [replace(plan, teaches=plan.member in asked) for plan in plans]


def has_taught_members(ensemble: EnsembleRecipe, unlabelled: int) -> bool:
    """Whether members learn from others' answers. unlabelled: the number of images to predict."""
    is_something_taught = ensemble.soft_labels or (ensemble.pseudo_labels != "none" and unlabelled > 0)
    return is_something_taught and ensemble.repeats > ensemble.teaching_repeats


def train_ensemble(task: EnsembleTask, workers: int | WorkerPool, observer: Observer) -> EnsembleProbabilities:
    """Train the members, or load finished ones, and predict with each.

    workers: the number of members made at once, or a pool; see hitofude.learning.dispatch.
    """
    members = run_members(task, workers, observer)
    held_out = [member.held_out for member in members]
    test = [member.test for member in members if member.test is not None]
    out_of_fold, disagreement = join_out_of_fold(task.plans, held_out, len(task.train), len(task.train.classes))
    return EnsembleProbabilities(out_of_fold, disagreement, held_out, np.stack(test) if test else None)


def load_members(
    folders: Mapping[int, Path], networks: Mapping[int, str], image_shape: ImageShape, classes: int, compute: Compute
) -> list[nn.Module]:
    """Load finished networks, in the order of their members. folders, networks: by the member's number.

    Raises RunFolderError if one is missing, damaged or of another kind: an ensemble is never averaged over fewer.
    """
    return [
        load_member(MemberFolder(folders[number]), name, image_shape, classes, compute, {"member": number})
        for number, name in networks.items()
    ]


def join_out_of_fold(
    plans: Sequence[MemberPlan], held_out: Sequence[NDArray[np.float32]], count: int, classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return out_of_fold and disagreement, as of EnsembleProbabilities, for `count` rows.

    held_out: for each plan (len(validation_rows), classes).
    """
    total = np.zeros((count, classes), dtype=np.float32)
    members, differing = np.zeros((2, count), dtype=np.float32)
    for plan, probabilities in zip(plans, held_out, strict=True):
        total[plan.validation_rows] += probabilities
        members[plan.validation_rows] += 1
    out_of_fold = np.where(members[:, None] > 0, total / np.maximum(members, 1)[:, None], np.nan).astype(np.float32)
    answers = np.nan_to_num(out_of_fold, nan=-1).argmax(axis=1)
    for plan, probabilities in zip(plans, held_out, strict=True):
        differing[plan.validation_rows] += probabilities.argmax(axis=1) != answers[plan.validation_rows]
    return out_of_fold, (differing / np.maximum(members, 1)).astype(np.float32)
