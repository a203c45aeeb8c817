"""The presets, each with its purpose, its members, its operations, and the time it takes here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hitofude.errors import RecipeError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.layout import describe_size
from hitofude.inputs.sources import sample
from hitofude.language.translation import line, say, say_count, translate
from hitofude.learning.compute import processor_name, processors
from hitofude.outputs.display.wrapping import fill
from hitofude.recipe import PRESETS, Recipe, choose_recipe, preset_names
from hitofude.runs.cost import CostModel
from hitofude.runs.frontier import describe_members, tera
from hitofude.runs.plan import RunPlan
from hitofude.runs.time_limit import about

COMPETITION_ROWS = 42_000, 28_000
"""To train on and to predict."""
INDENT = " " * 16
"""Before the lines of a purpose."""


@dataclass(frozen=True)
class PresetCost:
    """A preset with what it costs."""

    name: str
    purpose: str
    members: str
    flop: float
    seconds: float
    """Of the whole command."""

    def describe(self) -> str:
        """Describe the preset by its costs and members and, below, its purpose; at most 80 columns wide."""
        costs = f"{self.name:<15} {tera(self.flop):>6} TFLOP {about(self.seconds):>8}  "
        return f"{fill(self.members, 80, costs)}\n{fill(translate(self.purpose), 80, INDENT)}"


def as_the_competition() -> Dataset:
    """Return a data set with as many images as the competition's: those of the sample, again and again."""
    digits = sample().train
    train, test = (digits.take(np.arange(rows) % len(digits)) for rows in COMPETITION_ROWS)
    return Dataset("competition", train, test)


def choose_presets(preset: str | None, settings: Mapping[str, Any]) -> dict[str, Recipe]:
    """Return the recipe of a preset or recipe file, or of all presets, by name, with some settings replaced.

    Of all presets, those that the settings contradict are left out. Raises RecipeError if none is left.
    """
    if preset is not None:
        return {preset: choose_recipe(preset, settings)}
    found = dict[str, Recipe]()
    for name in preset_names():
        try:
            found[name] = choose_recipe(name, settings)
        except RecipeError as error:
            contradiction = error
    if not found:
        raise contradiction
    return found


def cost_of_presets(
    recipes: Mapping[str, Recipe], dataset: Dataset, costs: CostModel, seconds_to_read: float
) -> list[PresetCost]:
    """Return the costs of recipes, those of the fewest operations first.

    recipes: by the name of the preset or file. seconds_to_read: from the start of the command until the members are
    planned. Copies among the images are not searched for; they change the costs little.
    """
    found = []
    for name, recipe in recipes.items():
        plan = RunPlan.of_checked(recipe.with_settings({"ensemble.group_copies": False}), dataset, "")
        seconds, members = seconds_to_read + costs.seconds(plan), describe_members(plan)
        found.append(PresetCost(Path(name).name, purpose_of(name), members, plan.training_flop(), seconds))
    return sorted(found, key=lambda preset: preset.flop)


def describe_setting(dataset: Dataset) -> str:
    """Describe the images and the machine that the costs are about, in a line each."""
    test = 0 if dataset.test is None else len(dataset.test)
    images = say(
        "{images} of {size} to learn from, {test:,} to predict",
        images=say_count(len(dataset.train), "image"), size=describe_size(dataset.train.image_shape), test=test,
    )  # fmt: skip
    machine = f"{processor_name()}, {say_count(processors(), 'processor')}"
    return f"{line('source', images)}\n{line('machine', machine)}"


def purpose_of(preset: str) -> str:
    """Return the comment at the top of the file of a preset or recipe."""
    path = Path(preset) if preset.endswith(".toml") else PRESETS / f"{preset}.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.removeprefix("#").strip() for line in lines[:end])
