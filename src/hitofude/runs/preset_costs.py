"""The presets, each with its purpose, its members, its operations, and the time it takes here."""

import textwrap
from dataclasses import dataclass

import numpy as np

from hitofude.errors import counted
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.layout import describe_size
from hitofude.inputs.sources import sample
from hitofude.learning.compute import processor_name, processors
from hitofude.recipe import PRESETS, Recipe, preset_names
from hitofude.runs.cost import CostModel
from hitofude.runs.frontier import describe_members, tera
from hitofude.runs.plan import RunPlan
from hitofude.runs.time_limit import about

COMPETITION_ROWS = 42_000, 28_000
"""To train on and to predict."""


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
        members = textwrap.fill(self.members, 80, initial_indent=costs, subsequent_indent=" " * len(costs))
        return f"{members}\n{textwrap.indent(textwrap.fill(self.purpose, 64), ' ' * 16)}"


def as_the_competition() -> Dataset:
    """Return a data set with as many images as the competition's: those of the sample, again and again."""
    digits = sample().train
    train, test = (digits.take(np.arange(rows) % len(digits)) for rows in COMPETITION_ROWS)
    return Dataset("competition", train, test)


def cost_of_presets(dataset: Dataset, costs: CostModel, seconds_to_read: float) -> list[PresetCost]:
    """Return all presets, those of the fewest operations first.

    seconds_to_read: from the start of the command until the members are planned. Copies among the images are not
    searched for; they change the costs little.
    """
    found = []
    for name in preset_names():
        plan = RunPlan.of_checked(Recipe.preset(name).with_settings({"ensemble.group_copies": False}), dataset, "")
        seconds = seconds_to_read + costs.seconds(plan)
        found.append(PresetCost(name, purpose_of(name), describe_members(plan), plan.training_flop(), seconds))
    return sorted(found, key=lambda preset: preset.flop)


def describe_setting(dataset: Dataset) -> str:
    """Describe the images and the machine that the costs are about, in a line each."""
    test = 0 if dataset.test is None else len(dataset.test)
    size = describe_size(dataset.train.image_shape)
    return (
        f"source   {counted(len(dataset.train), 'image')} of {size} to learn from, {test:,} to predict\n"
        f"machine  {processor_name()}, {counted(processors(), 'processor')}"
    )


def purpose_of(preset: str) -> str:
    """Return the comment at the top of the preset's file."""
    lines = (PRESETS / f"{preset}.toml").read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.removeprefix("#").strip() for line in lines[:end])
