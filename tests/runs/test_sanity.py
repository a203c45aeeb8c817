"""Each setting that cannot work is said before the training, and none of the presets' settings."""

import re
from typing import Any

import numpy as np
import pytest

from hitofude.inputs.sources import Dataset, sample
from hitofude.recipe import Recipe, preset_names
from hitofude.runs.plan import RunPlan
from hitofude.runs.sanity import doubtful_settings
from hitofude.stage import parse_settings
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def data() -> Dataset:
    """1,000 digits."""
    return Dataset("digits", sample().train.take(np.arange(1000)))


def warnings_of(data: Dataset, settings: dict[str, Any], preset: str = "fast") -> list[str]:
    recipe = Recipe.preset(preset).with_settings(SMALL | settings)
    return doubtful_settings(RunPlan.of_checked(recipe, data, "hitofude run"))


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("debug", [False, True])
def test_no_preset_is_doubtful(preset: str, debug: bool) -> None:
    recipe = Recipe.preset(preset)
    plan = RunPlan.of_checked(recipe.for_debugging() if debug else recipe, sample(), "hitofude run")
    assert doubtful_settings(plan) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows": 5000}, "rows=5,000 is more than there are; all 1,000 are used"),
        ({"schedule.epochs": 1, "schedule.min_steps": 0, "augment.no_aug_epochs": 0}, "makes 4 steps in all"),
        ({"optimizer.batch_size": 600}, "batch_size=600 is more than the 500 rows"),
        ({"optimizer.batch_size": 4}, "too small for batch normalisation"),
        ({"schedule.warmup": 1.0}, "warmup=1 raises the learning rate until almost the end"),
        ({"schedule.name": "step", "schedule.milestones": [500]}, "never lowered after epoch 500, as there are 125"),
        ({"schedule.name": "step", "schedule.gamma": 10.0}, "gamma=10 raises the learning rate"),
        ({"schedule.name": "constant"}, "schedule.name=constant never lowers the learning rate"),
        ({"ema.decay": 0.999}, "ema.decay=0.999 is never reached in 500 steps"),
        ({"ema.batch_norm": "recomputed"}, "changes nothing without averaging"),
        ({"optimizer.learning_rate": 5.0}, "learning_rate=5 is far from what muon learns with"),
        ({"optimizer.name": "adam", "optimizer.learning_rate": 1e-7}, "far from what adam learns with"),
        ({"optimizer.weight_decay": 5.0}, "shrinks the weights by 25%"),
        ({"optimizer.label_smoothing": 0.95}, "gives the right class a target of only"),
        ({"optimizer.momentum": 0.999}, "remembers 1,000 steps"),
        ({"augment.no_aug_epochs": 200}, "covers all 125 epochs"),
        ({"augment.max_translation": 14}, "moves images of 28 pixels half out of sight"),
        ({"augment.elastic_std": 10.0}, "tears images of 28 pixels apart"),
        ({"augment.min_crop": 0.1}, "shows as little as 1% of an image"),
        ({"augment.min_scale": 0.1}, "a speck or a detail"),
        ({"augment.erase_probability": 1.0, "augment.erase_max_area": 0.5}, "erases too much"),
        ({"ensemble.split": "holdout", "ensemble.holdout": 0.01}, "holds out 10 rows"),
        ({"ensemble.variants": [{}, {"network.name": "senet"}]}, "variant 2 is never used"),
        ({"ensemble.variants": [{}, {"ema.decay": 0.999}], "ensemble.repeats": 2}, "variant 2: ema.decay=0.999 is"),
        ({"tta.threshold": 0.0}, "tta.shift=1 changes nothing"),
        ({"tta.shift": 8}, "tta.shift=8 moves images"),
    ],
)
def test_a_setting_that_cannot_work_is_said(settings: dict[str, Any], message: str, data: Dataset) -> None:
    found = warnings_of(data, settings)
    assert any(message in warning for warning in found), found


@pytest.mark.parametrize(
    "settings",
    [
        {"ema.decay": 0.999},
        {"augment.max_translation": 20},
        {"schedule.name": "step", "schedule.milestones": [500]},
        {"optimizer.batch_size": 600},
        {"optimizer.weight_decay": 5.0},
        {"ensemble.variants": [{}, {"network.name": "senet"}]},
    ],
)
def test_the_remedy_works_as_it_is_typed(settings: dict[str, Any], data: Dataset) -> None:
    (warning,) = warnings_of(data, settings)
    typed = re.search(r'--set (?:"([^"]+)"|(\S+?),?(?:\s|$))', warning)
    assert typed is not None
    assert warnings_of(data, settings | parse_settings([typed[1] or typed[2]])) == []


def test_a_momentum_is_not_replaced_by_itself(data: Dataset) -> None:
    few = {"rows": 20, "schedule.epochs": 1, "schedule.min_steps": 0, "optimizer.name": "muon"}
    assert any("optimizer.momentum=0.9" in one for one in warnings_of(data, few | {"optimizer.momentum": 0.9}))
    assert not any("optimizer.momentum" in one for one in warnings_of(data, few | {"optimizer.momentum": 0.6}))
