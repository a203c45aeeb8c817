"""The operations of a planned run, and its epochs scaled."""

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


def test_scaled_epochs_keep_the_proportions_and_are_those_of_the_recipe(quick: Recipe, dataset: Dataset) -> None:
    plan = RunPlan.of_checked(quick.with_settings(TWO_KINDS), dataset, "").with_epochs(8)
    assert [member.epochs for member in plan.members] == [2] * 3 + [8] * 3
    again = RunPlan.of_checked(plan.recipe, dataset, "")
    assert [member.recipe for member in again.members] == [member.recipe for member in plan.members]


def test_scaled_epochs_replace_the_least_number_of_steps(quick: Recipe, dataset: Dataset) -> None:
    plan = RunPlan.of_checked(quick.with_settings({"schedule.min_steps": 70}), dataset, "")
    assert plan.longest_training() == 10
    assert RunPlan.of_checked(plan.with_epochs(5).recipe, dataset, "").longest_training() == 5


def test_an_epoch_that_augments_is_left(quick: Recipe, dataset: Dataset) -> None:
    plan = RunPlan.of_checked(quick.with_settings({"augment.no_aug_epochs": 1}), dataset, "")
    assert plan.with_epochs(1).longest_training() == 2


def test_the_plan_says_whose_answers_are_learned(quick: Recipe, dataset: Dataset) -> None:
    def taught(**settings: object) -> list[str]:
        recipe = quick.with_settings({f"ensemble.{name}": value for name, value in settings.items()})
        lines = RunPlan.of_checked(recipe, dataset, "").describe().splitlines()
        return [line.removeprefix("taught   ") for line in lines if line.startswith("taught")]

    assert taught() == []
    of_training, of_test = "the training images, in place of their labels", "the 50 images to predict"
    learn = "3 members learn others' answers to"
    assert taught(repeats=2, soft_labels=True) == [f"{learn} {of_training}"]
    assert taught(repeats=2, pseudo_labels="soft") == [f"{learn} {of_test}"]
    assert taught(repeats=2, pseudo_labels="hard", soft_labels=True) == [f"{learn} {of_training} and {of_test}"]
    assert taught(repeats=2, teaching_repeats=2, soft_labels=True) == [
        "ensemble.soft_labels changes nothing here: no repeat comes after those that teach"
    ]
