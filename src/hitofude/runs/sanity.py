"""Settings that cannot work as they are, said before the training."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn

from hitofude.errors import counted
from hitofude.language.translation import note
from hitofude.learning.optimizers import WARM_UP_OF_AVERAGE
from hitofude.learning.training import MemberPlan, batch_sizes
from hitofude.recipe import Recipe
from hitofude.runs.plan import RunPlan

FEWEST_STEPS = 20
FEWEST_VALIDATED = 100
SMALLEST_BATCH_TO_NORMALISE = 8
SHORT_MOMENTUM = 0.6
"""It remembers two or three steps, and is the least that is advised."""
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
    """Return a note for each setting that cannot work with so few rows or steps, with a remedy to type.

    If it concerns some variants only, the sentence begins with the number of the first.
    """
    by_variant = {plan.variant_of(member): list[MemberPlan]() for member in plan.members}
    for member in plan.members:
        by_variant[plan.variant_of(member)].append(member)
    found = {variant: list(_doubts(plan, members)) for variant, members in by_variant.items()}
    first = {message: variant for variant in reversed(found) for message in found[variant]}
    concerns_all = set.intersection(*map(set, found.values()))
    own = [
        message
        if message in concerns_all
        else note("variant {number}: {message}", number=first[message], message=message)
        for message in first
    ]
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
        yield note(
            "A member makes {steps} in all, too few to learn much. Use --set schedule.min_steps=500, which adds epochs",
            steps=counted(shortest.steps, "step"),
        )
    if size > shortest.rows:
        yield note(
            "optimizer.batch_size={size} is more than the {rows:,} rows that a member trains on, so an epoch is one "
            "step. Use --set optimizer.batch_size={better}",
            size=size, rows=shortest.rows, better=max(8, shortest.rows // 16),
        )  # fmt: skip
    modules = [module for network in plan.networks.values() for module in network.modules()]
    has_norms = any(isinstance(module, BATCH_NORMS) for module in modules)
    if size < SMALLEST_BATCH_TO_NORMALISE and has_norms:
        yield note(
            "optimizer.batch_size={size} is too small for batch normalisation: the statistics of so few images are "
            "noise. Use --set optimizer.batch_size=32, or a network without it, --set network.name=cnn-medium",
            size=size,
        )


def _schedule(_: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    schedule, epochs = recipe.schedule, shortest.epochs
    if schedule.name in ("one-cycle", "cosine") and schedule.warmup > 0.8:
        yield note(
            "schedule.warmup={warmup:g} raises the learning rate until almost the end, so it hardly falls. "
            "Use --set schedule.warmup=0.2",
            warmup=schedule.warmup,
        )
    late = [milestone for milestone in schedule.milestones if milestone >= epochs]
    if schedule.name == "step" and late:
        yield note(
            "schedule.milestones: the learning rate is never lowered after epoch {milestone}, as there are {epochs} "
            'epochs. Use --set "schedule.milestones={better}"',
            milestone=late[0], epochs=epochs, better=sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)}),
        )  # fmt: skip
    if schedule.name == "step" and schedule.gamma > 1:
        yield note(
            "schedule.gamma={gamma:g} raises the learning rate at milestones. Use --set schedule.gamma=0.1",
            gamma=schedule.gamma,
        )
    if schedule.name == "constant" and recipe.optimizer.name == "muon":
        yield note(
            "schedule.name=constant never lowers the learning rate, and muon's steps have the same length to the end. "
            "Use --set schedule.name=one-cycle"
        )


def _average(_: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    decay, steps = recipe.ema.decay, shortest.steps
    reached = (steps - 1) / (steps - 1 + WARM_UP_OF_AVERAGE)
    if decay > reached:
        yield note(
            "ema.decay={decay:g} is never reached in {steps} steps, since it rises from 0: the average keeps at most "
            "{reached:.3g} of itself. Use --set ema.decay={better:g}, or train longer, --set "
            "schedule.min_steps={needed}",
            decay=decay, steps=steps, reached=reached, better=math.floor(reached * 100) / 100,
            needed=math.ceil(WARM_UP_OF_AVERAGE * decay / (1 - decay)) + 1,
        )  # fmt: skip
    if decay == 0 and recipe.ema.batch_norm == "recomputed":
        yield note("ema.batch_norm=recomputed changes nothing without averaging. Use --set ema.decay=0.9")


def _optimizer(plan: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    optimizer, classes = recipe.optimizer, len(plan.train.classes)
    lowest, highest = LEARNING_RATES[optimizer.name]
    if not lowest <= optimizer.learning_rate <= highest:
        yield note(
            "optimizer.learning_rate={rate:g} is far from what {optimizer} learns with, {lowest:g} to {highest:g}. Use "
            "--set optimizer.learning_rate={usual:g}",
            rate=optimizer.learning_rate, optimizer=optimizer.name, lowest=lowest, highest=highest,
            usual=USUAL_LEARNING_RATES[optimizer.name],
        )  # fmt: skip
    shrinking = optimizer.learning_rate * optimizer.weight_decay
    if shrinking > 0.05:
        yield note(
            "optimizer.weight_decay={decay:g} shrinks the weights by {share:.0%} at each step. Use --set "
            "optimizer.weight_decay=0.01",
            decay=optimizer.weight_decay, share=min(shrinking, 1),
        )  # fmt: skip
    target = 1 - optimizer.label_smoothing * (1 - 1 / classes)
    if target < 0.6:
        yield note(
            "optimizer.label_smoothing={smoothing:g} gives the right class a target of only {target:.2f}. Use --set "
            "optimizer.label_smoothing=0.1",
            smoothing=optimizer.label_smoothing, target=target,
        )  # fmt: skip
    remembers_much = optimizer.momentum > SHORT_MOMENTUM and 1 / (1 - optimizer.momentum) > shortest.steps / 5
    if optimizer.name in ("sgd", "muon") and remembers_much:
        yield note(
            "optimizer.momentum={momentum:g} remembers {remembered:,.0f} steps, and a member makes {steps}. Use --set "
            "optimizer.momentum={shorter:g}",
            momentum=optimizer.momentum, remembered=1 / (1 - optimizer.momentum), steps=shortest.steps,
            shorter=SHORT_MOMENTUM,
        )  # fmt: skip


def _augmentation(plan: RunPlan, recipe: Recipe, shortest: _Length) -> Iterator[str]:
    augment, size = recipe.augment, min(plan.train.image_shape[1:])
    is_on = augment.probability > 0 or augment.erase_probability > 0
    if is_on and augment.no_aug_epochs >= shortest.epochs:
        yield note(
            "augment.no_aug_epochs={without} covers all {epochs} epochs, so that no image is augmented. Use --set "
            "augment.no_aug_epochs=0, or more epochs",
            without=augment.no_aug_epochs, epochs=shortest.epochs,
        )  # fmt: skip
    if augment.probability > 0 and augment.max_translation * 2 >= size:
        yield note(
            "augment.max_translation={translation} moves images of {size} pixels half out of sight. Use --set "
            "augment.max_translation={better}",
            translation=augment.max_translation, size=size, better=max(1, size // 12),
        )  # fmt: skip
    if augment.probability > 0 and augment.elastic_std > size / 8:
        yield note(
            "augment.elastic_std={elastic:g} pixels tears images of {size} pixels apart. Use --set "
            "augment.elastic_std=0.5",
            elastic=augment.elastic_std, size=size,
        )  # fmt: skip
    if augment.probability > 0 and augment.min_crop < 0.4:
        yield note(
            "augment.min_crop={crop:g} shows as little as {share:.0%} of an image. Use --set augment.min_crop=0.8",
            crop=augment.min_crop, share=augment.min_crop**2,
        )  # fmt: skip
    if augment.probability > 0 and (augment.min_scale < 0.4 or augment.max_scale > 2.5):
        yield note(
            "augment.min_scale={least:g} and max_scale={most:g} leave a speck or a detail of an image. Use --set "
            "augment.min_scale=0.9 --set augment.max_scale=1.1",
            least=augment.min_scale, most=augment.max_scale,
        )  # fmt: skip
    if augment.erase_probability * augment.erase_max_area > 0.3:
        yield note(
            "augment.erase_max_area={area:g} in {share:.0%} of the images erases too much of them. Use --set "
            "augment.erase_max_area=0.15",
            area=augment.erase_max_area, share=augment.erase_probability,
        )  # fmt: skip


def _rows(plan: RunPlan) -> Iterator[str]:
    """Return the doubts about the rows, the members and test-time augmentation."""
    recipe, ensemble = plan.recipe, plan.recipe.ensemble
    if ensemble.group_copies and plan.groups is None and plan.dataset.copies(plan.train).links(near=False).size:
        yield note(
            "so many images are copies of each other that they cannot be held out together: the accuracy is too high. "
            "Remove the copies; hitofude audit lists them"
        )
    if recipe.rows is not None and recipe.rows > (there := len(plan.dataset.train)):
        yield note("rows={rows:,} is more than there are; all {there:,} are used", rows=recipe.rows, there=there)
    if ensemble.split == "holdout":
        yield from _held_out(plan)
    yield from _unused_variants(plan)
    tta, size = recipe.tta, min(plan.train.image_shape[1:])
    if tta.shift and tta.threshold == 0:
        yield note(
            "tta.shift={shift} changes nothing with tta.threshold=0. Use --set tta.threshold=0.85", shift=tta.shift
        )
    if tta.shift * 4 >= size:
        yield note(
            "tta.shift={shift} moves images of {size} pixels partly out of sight. Use --set tta.shift=1",
            shift=tta.shift, size=size,
        )  # fmt: skip


def _unused_variants(plan: RunPlan) -> Iterator[str]:
    ensemble = plan.recipe.ensemble
    turns, variants = ensemble.repeats + ensemble.full_data_members, len(ensemble.variants)
    better = variants - ensemble.full_data_members
    if variants == turns + 1:
        yield note(
            "ensemble.variants: variant {first} is never used, as there are {turns} repeats and full-data members. Use "
            "--set ensemble.repeats={better}",
            first=turns + 1, turns=turns, better=better,
        )  # fmt: skip
    elif variants > turns:
        yield note(
            "ensemble.variants: variant {first} and those after it are never used, as there are {turns} repeats and "
            "full-data members. Use --set ensemble.repeats={better}",
            first=turns + 1, turns=turns, better=better,
        )  # fmt: skip


def _held_out(plan: RunPlan) -> Iterator[str]:
    held_out = sum(len(member.validation_rows) for member in plan.members)
    if held_out < min(FEWEST_VALIDATED, len(plan.train) // 5):
        yield note(
            "ensemble.holdout={share:g} holds out {rows}, so the accuracy is hardly known. Use --set "
            "ensemble.split=folds",
            share=plan.recipe.ensemble.holdout, rows=counted(held_out, "row"),
        )  # fmt: skip


CHECKS: tuple[Callable[[RunPlan, Recipe, _Length], Iterator[str]], ...] = (
    _steps, _schedule, _average, _optimizer, _augmentation,
)  # fmt: skip
"""The checks of a variant's recipe, with its shortest training."""
