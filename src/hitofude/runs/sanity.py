"""Settings that cannot work as they are, said before the training."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from hitofude.errors import counted
from hitofude.learning.optimizers import WARM_UP_OF_AVERAGE
from hitofude.learning.training import MemberPlan, batch_sizes
from hitofude.recipe import Recipe
from hitofude.runs.plan import RunPlan

FEWEST_STEPS = 20
FEWEST_VALIDATED = 100
SMALLEST_BATCH_TO_NORMALISE = 8
LEARNING_RATES = {"adam": (1e-5, 0.05), "adamw": (1e-5, 0.05), "sgd": (1e-4, 2.0), "muon": (1e-3, 0.5)}
"""Peaks outside of these learn nothing or diverge, with any network here."""
USUAL_LEARNING_RATES = {"adam": 0.001, "adamw": 0.005, "sgd": 0.1, "muon": 0.05}
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class _Length:
    """The shortest training among the members."""

    rows: int
    epochs: int
    steps: int


def doubtful_settings(plan: RunPlan) -> list[str]:
    """Return a sentence for each setting that cannot work with so few rows or steps, with a remedy to type.

    If it concerns some variants only, the sentence begins with the number of the first.
    """
    by_variant = {plan.variant_of(member): list[MemberPlan]() for member in plan.members}
    for member in plan.members:
        by_variant[plan.variant_of(member)].append(member)
    found = {variant: list(_doubts(plan, members)) for variant, members in by_variant.items()}
    first = {message: variant for variant in reversed(found) for message in found[variant]}
    concerns_all = set.intersection(*map(set, found.values()))
    own = [message if message in concerns_all else f"variant {first[message]}: {message}" for message in first]
    return [*_rows(plan), *own]


def _doubts(plan: RunPlan, members: list[MemberPlan]) -> Iterator[str]:
    """members: of one recipe."""
    recipe, shortest = members[0].recipe, min(map(_length_of, members), key=lambda length: length.steps)
    for check in CHECKS:
        yield from check(plan, recipe, shortest)


def _length_of(member: MemberPlan) -> _Length:
    rows, epochs = len(member.train_rows), member.epochs
    size = member.recipe.optimizer.batch_size
    steps = sum(len(batch_sizes(member.images_in(epoch), size)) for epoch in range(1, epochs + 1))
    return _Length(rows, epochs, steps)


def _steps(plan: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    size = recipe.optimizer.batch_size
    if shortest.steps < FEWEST_STEPS:
        yield (
            f"A member makes {counted(shortest.steps, 'step')} in all, too few to learn much. Use "
            "--set schedule.min_steps=500, which adds epochs"
        )
    if size > shortest.rows:
        yield (
            f"optimizer.batch_size={size} is more than the {shortest.rows:,} rows that a member trains on, so an epoch "
            f"is one step. Use --set optimizer.batch_size={max(8, shortest.rows // 16)}"
        )
    modules = [module for network in plan.networks.values() for module in network.modules()]
    has_norms = any(isinstance(module, BATCH_NORMS) for module in modules)
    if size < SMALLEST_BATCH_TO_NORMALISE and has_norms:
        yield (
            f"optimizer.batch_size={size} is too small for batch normalisation: the statistics of so few images are "
            "noise. Use --set optimizer.batch_size=32, or a network without it, --set network.name=cnn-medium"
        )


def _schedule(_: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    schedule, epochs = recipe.schedule, shortest.epochs
    if schedule.name in ("one-cycle", "cosine") and schedule.warmup > 0.8:
        yield (
            f"schedule.warmup={schedule.warmup:g} raises the learning rate until almost the end, so it hardly falls. "
            "Use --set schedule.warmup=0.2"
        )
    late = [milestone for milestone in schedule.milestones if milestone >= epochs]
    if schedule.name == "step" and late:
        better = sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)})
        yield (
            f"schedule.milestones: the learning rate is never lowered after epoch {late[0]}, as there are {epochs} "
            f'epochs. Use --set "schedule.milestones={better}"'
        )
    if schedule.name == "step" and schedule.gamma > 1:
        yield (
            f"schedule.gamma={schedule.gamma:g} raises the learning rate at milestones. Use --set schedule.gamma=0.1"
        )
    if schedule.name == "constant" and recipe.optimizer.name == "muon":
        yield (
            "schedule.name=constant never lowers the learning rate, and muon's steps have the same length to the end. "
            "Use --set schedule.name=one-cycle"
        )


def _average(_: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    decay, steps = recipe.ema.decay, shortest.steps
    reached = (steps - 1) / (steps - 1 + WARM_UP_OF_AVERAGE)
    if decay > reached:
        needed = math.ceil(WARM_UP_OF_AVERAGE * decay / (1 - decay)) + 1
        yield (
            f"ema.decay={decay:g} is never reached in {steps} steps, since it rises from 0: the average keeps at most "
            f"{reached:.3g} of itself. Use --set ema.decay={math.floor(reached * 100) / 100:g}, or train longer, "
            f"--set schedule.min_steps={needed}"
        )
    if decay == 0 and recipe.ema.batch_norm == "recomputed":
        yield "ema.batch_norm=recomputed changes nothing without averaging. Use --set ema.decay=0.9"


def _optimizer(plan: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    optimizer, classes = recipe.optimizer, len(plan.train.classes)
    lowest, highest = LEARNING_RATES[optimizer.name]
    if not lowest <= optimizer.learning_rate <= highest:
        yield (
            f"optimizer.learning_rate={optimizer.learning_rate:g} is far from what {optimizer.name} learns with, "
            f"{lowest:g} to {highest:g}. Use --set optimizer.learning_rate={USUAL_LEARNING_RATES[optimizer.name]:g}"
        )
    shrinking = optimizer.learning_rate * optimizer.weight_decay
    if shrinking > 0.05:
        yield (
            f"optimizer.weight_decay={optimizer.weight_decay:g} shrinks the weights by {min(shrinking, 1):.0%} at each "
            "step. Use --set optimizer.weight_decay=0.01"
        )
    target = 1 - optimizer.label_smoothing * (1 - 1 / classes)
    if target < 0.6:
        yield (
            f"optimizer.label_smoothing={optimizer.label_smoothing:g} gives the right class a target of only "
            f"{target:.2f}. Use --set optimizer.label_smoothing=0.1"
        )
    if optimizer.name in ("sgd", "muon") and 1 / (1 - optimizer.momentum) > shortest.steps / 5:
        yield (
            f"optimizer.momentum={optimizer.momentum:g} remembers {1 / (1 - optimizer.momentum):,.0f} steps, and a "
            f"member makes {shortest.steps}. Use --set optimizer.momentum=0.6"
        )


def _augmentation(plan: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    augment, size = recipe.augment, min(plan.train.image_shape[1:])
    is_on = augment.probability > 0 or augment.erase_probability > 0
    if is_on and augment.no_aug_epochs >= shortest.epochs:
        yield (
            f"augment.no_aug_epochs={augment.no_aug_epochs} covers all {shortest.epochs} epochs, so that no image is "
            "augmented. Use --set augment.no_aug_epochs=0, or more epochs"
        )
    if augment.probability > 0 and augment.max_translation * 2 >= size:
        yield (
            f"augment.max_translation={augment.max_translation} moves images of {size} pixels half out of sight. "
            f"Use --set augment.max_translation={max(1, size // 12)}"
        )
    if augment.probability > 0 and augment.elastic_std > size / 8:
        yield (
            f"augment.elastic_std={augment.elastic_std:g} pixels tears images of {size} pixels apart. "
            "Use --set augment.elastic_std=0.5"
        )
    if augment.probability > 0 and augment.min_crop < 0.4:
        yield (
            f"augment.min_crop={augment.min_crop:g} shows as little as {augment.min_crop**2:.0%} of an image. "
            "Use --set augment.min_crop=0.8"
        )
    if augment.probability > 0 and (augment.min_scale < 0.4 or augment.max_scale > 2.5):
        yield (
            f"augment.min_scale={augment.min_scale:g} and max_scale={augment.max_scale:g} leave a speck or a detail of "
            "an image. Use --set augment.min_scale=0.9 --set augment.max_scale=1.1"
        )
    if augment.erase_probability * augment.erase_max_area > 0.3:
        yield (
            f"augment.erase_max_area={augment.erase_max_area:g} in {augment.erase_probability:.0%} of the images "
            "erases too much of them. Use --set augment.erase_max_area=0.15"
        )


def _rows(plan: RunPlan) -> Iterator[str]:
    """Return the doubts about the rows, the members and test-time augmentation."""
    recipe, ensemble = plan.recipe, plan.recipe.ensemble
    if ensemble.group_copies and plan.groups is None and plan.dataset.copies(plan.train).links(near=False).size:
        yield (
            "so many images are copies of each other that they cannot be held out together: the accuracy is too high. "
            "Remove the copies; hitofude audit lists them"
        )
    if recipe.rows is not None and recipe.rows > len(plan.dataset.train):
        yield f"rows={recipe.rows:,} is more than there are; all {len(plan.dataset.train):,} are used"
    if ensemble.split == "holdout":
        yield from _held_out(plan)
    turns, variants = ensemble.repeats + ensemble.full_data_members, len(ensemble.variants)
    if variants > turns:
        unused = "is never used" if variants == turns + 1 else "and those after it are never used"
        yield (
            f"ensemble.variants: variant {turns + 1} {unused}, as there are {turns} repeats and full-data members. "
            f"Use --set ensemble.repeats={variants - ensemble.full_data_members}"
        )
    tta, size = recipe.tta, min(plan.train.image_shape[1:])
    if tta.shift and tta.threshold == 0:
        yield f"tta.shift={tta.shift} changes nothing with tta.threshold=0. Use --set tta.threshold=0.85"
    if tta.shift * 4 >= size:
        yield f"tta.shift={tta.shift} moves images of {size} pixels partly out of sight. Use --set tta.shift=1"


def _held_out(plan: RunPlan) -> Iterator[str]:
    held_out = sum(len(member.validation_rows) for member in plan.members)
    if held_out < min(FEWEST_VALIDATED, len(plan.train) // 5):
        yield (
            f"ensemble.holdout={plan.recipe.ensemble.holdout:g} holds out {counted(held_out, 'row')}, so the accuracy "
            "is hardly known. Use --set ensemble.split=folds"
        )


CHECKS: tuple[Callable[[RunPlan, Recipe, _Length], Iterator[str]], ...] = (
    _steps, _schedule, _average, _optimizer, _augmentation,
)  # fmt: skip
"""The checks of a variant's recipe, with its shortest training."""
