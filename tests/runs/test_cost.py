"""The time of a planned run, with speeds that are given."""

from dataclasses import replace

import pytest

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import Compute
from hitofude.learning.speed import MemberSpeed, multiplications
from hitofude.learning.speed_meter import SpeedMeter
from hitofude.learning.training import MemberPlan
from hitofude.recipe import Recipe
from hitofude.runs import cost
from hitofude.runs.cost import CostModel, makespan
from hitofude.runs.plan import RunPlan


class GivenSpeeds(SpeedMeter):
    """Speeds by the network's operations: so many FLOP/s in training, three times as many images/s in prediction."""

    def __init__(self, images: ImageSet, flops: float) -> None:
        super().__init__(images)
        self.flops = flops

    def measure(self, member: MemberPlan, compute: Compute, workers: int) -> MemberSpeed:
        trained = self.flops / 6 / multiplications(member.network, (1, 28, 28))
        return MemberSpeed(trained, 3 * trained)

    def seconds_to_start(self, compute: Compute, workers: int) -> float:
        return 0.0


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "slowness", lambda: 1.0)


def plan_of(recipe: Recipe, dataset: Dataset) -> RunPlan:
    return RunPlan.of_checked(recipe.with_settings({"ensemble.group_copies": False}), dataset, "")


def test_the_time_is_that_of_the_rounds_of_members_and_of_what_follows(quick: Recipe, dataset: Dataset) -> None:
    plan = plan_of(quick.with_settings({"tta.shift": 0}), dataset)
    costs = CostModel(GivenSpeeds(dataset.train, 1e9), device="cpu", workers=2, threads=1)
    trained = 1e9 / 6 / multiplications("cnn-lean", (1, 28, 28))
    member = 3 * (200 / trained + 100 / trained / 3) + (100 + 50) / trained / 3
    member += 3 * cost.SECONDS_AN_EPOCH + cost.SECONDS_A_MEMBER
    outputs = cost.SECONDS_OF_OUTPUTS + 350 * cost.SECONDS_OF_OUTPUTS_A_ROW
    assert costs.seconds(plan) == pytest.approx(2 * member + outputs)
    assert replace(costs, workers=3).seconds(plan) == pytest.approx(member + outputs)


def test_a_fit_in_memory_has_no_files_and_no_validation(quick: Recipe, dataset: Dataset) -> None:
    plan = plan_of(quick.with_settings({"tta.shift": 0}), Dataset("X", dataset.train))
    costs = CostModel(GivenSpeeds(dataset.train, 1e9), device="cpu", workers=3, threads=1, is_attended=False)
    trained = 1e9 / 6 / multiplications("cnn-lean", (1, 28, 28))
    assert costs.seconds(plan) == pytest.approx(600 / trained + 100 / trained / 3 + cost.SECONDS_A_MEMBER)


def test_shifted_views_are_counted(quick: Recipe, dataset: Dataset) -> None:
    costs = CostModel(GivenSpeeds(dataset.train, 1e9), device="cpu", workers=1, threads=1)
    none, all_views = (
        costs.seconds(plan_of(quick.with_settings({"tta.shift": shift, "tta.threshold": 1.0}), dataset))
        for shift in (0, 1)
    )
    predicted = 3 * 1e9 / 6 / multiplications("cnn-lean", (1, 28, 28))
    assert all_views - none == pytest.approx(4 * (300 + 3 * 50) / predicted)


def test_members_wait_for_their_teachers(quick: Recipe, dataset: Dataset) -> None:
    """Two rounds of three members on four workers, not six members in one and a half."""
    one = quick.with_settings({"ensemble.pseudo_labels": "hard", "tta.shift": 0})
    two = one.with_settings({"ensemble.repeats": 2})
    costs = CostModel(GivenSpeeds(dataset.train, 1e9), device="cpu", workers=4, threads=1, is_attended=False)
    once, twice = (costs.seconds(plan_of(recipe, dataset)) for recipe in (one, two))
    rows, trained = 200 + 50, 1e9 / 6 / multiplications("cnn-lean", (1, 28, 28))
    assert twice - once == pytest.approx(3 * rows / trained + 150 / trained / 3 + cost.SECONDS_A_MEMBER)


def test_what_teachers_answer_is_counted(quick: Recipe, dataset: Dataset) -> None:
    settings = {"ensemble.repeats": 2, "ensemble.resplit": False, "tta.shift": 0}
    plain = quick.with_settings(settings)
    taught = plain.with_settings({"ensemble.soft_labels": True})
    costs = CostModel(GivenSpeeds(dataset.train, 1e9), device="cpu", workers=1, threads=1)
    without, with_answers = (costs.seconds(plan_of(recipe, dataset)) for recipe in (plain, taught))
    predicted = 3 * 1e9 / 6 / multiplications("cnn-lean", (1, 28, 28))
    assert with_answers - without == pytest.approx(3 * 300 / predicted)


def test_three_members_on_two_workers_take_two_rounds() -> None:
    assert makespan([5, 5, 5], workers=2) == 10
    assert makespan([5, 5, 5], workers=3) == 5
    assert makespan([8, 2, 2, 2], workers=2) == 8
