"""The operations of a planned run."""

import pytest

from hitofude.inputs.sources import Dataset
from hitofude.learning.speed import multiplications
from hitofude.recipe import Recipe
from hitofude.runs.plan import RunPlan

VARIANTS = [{"network.name": "cnn-lean"}, {"network.name": "vgg-24", "schedule.epochs": 12}]
TWO_KINDS = {"ensemble.repeats": 2, "ensemble.variants": VARIANTS}


def test_the_operations_are_those_of_each_members_network_rows_and_epochs(quick: Recipe, dataset: Dataset) -> None:
    plan = RunPlan.of_checked(quick.with_settings(TWO_KINDS), dataset, "")
    lean, vgg = (6 * multiplications(name, (1, 28, 28)) for name in ("cnn-lean", "vgg-24"))
    assert plan.training_flop() == pytest.approx(600 * (3 * lean + 12 * vgg))
