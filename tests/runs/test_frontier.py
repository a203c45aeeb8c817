"""The choice of a recipe for a time limit, with speeds that are given: no time is measured, nothing is trained."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hitofude
from hitofude.errors import RecipeError, RunFolderError
from hitofude.inputs.sources import Dataset
from hitofude.recipe import FRONTIER, preset_names
from hitofude.runs import cost
from hitofude.runs.cost import CostModel
from hitofude.runs.frontier import AIM, Choice, Frontier, choose_plan
from hitofude.runs.result import RunResult
from hitofude.runs.time_limit import TimeLimit
from tests.conftest import SETTINGS
from tests.runs.test_cost import GivenSpeeds, plan_of

Choose = Callable[..., Choice]
LEAN = """
settings.network = { name = "cnn-lean", margin = 0 }
settings.schedule = { epochs = 9, epoch_share = 1.0, min_steps = 0 }
settings.ensemble.folds = 2
"""
POINTS = f"""
[[points]]
preset = "fast"
settings.rows = 2000
{LEAN}
[[points]]
preset = "fast"
{LEAN}
[[points]]
preset = "fast"
least_share = 0.6
settings.network = {{ name = "vgg-24", margin = 0 }}
settings.schedule = {{ epochs = 7, epoch_share = 1.0, min_steps = 0 }}
settings.ensemble.folds = 4
"""
QUICK_POINT = f"""
[[points]]
preset = "fast"
settings.optimizer.batch_size = 32
{LEAN.replace("epochs = 9", "epochs = 3")}
"""


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "slowness", lambda: 1.0)


@pytest.fixture(scope="module")
def many(dataset: Dataset) -> Dataset:
    """20,000 images, of which many are copies."""
    return Dataset("many", dataset.train.take(np.arange(20_000) % 300), dataset.test)


def offer(points: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put points in place of the shipped ones."""
    (folder / "frontier.toml").write_text(points)
    monkeypatch.setattr("hitofude.runs.frontier.FRONTIER", folder / "frontier.toml")


@pytest.fixture
def choose(many: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Choose among POINTS for `many` on a machine of so many FLOP/s in each of two processes, after no time."""
    offer(POINTS, tmp_path, monkeypatch)
    monkeypatch.setattr(TimeLimit, "spent", lambda _: 0.0)

    def of(limit: str, settings: Mapping[str, Any] | None = None, flops: float = 2e11) -> Choice:
        costs = CostModel(GivenSpeeds(many.train, flops), device="cpu", workers=2, threads=1)
        return choose_plan(TimeLimit.parse(limit), settings or {}, lambda recipe: plan_of(recipe, many), costs)

    return of


def test_the_frontier_is_no_preset_and_its_points_are_recipes_of_ever_more_operations(many: Dataset) -> None:
    assert FRONTIER.stem not in preset_names()
    operations = [plan_of(point.recipe({}), many).training_flop() for point in Frontier.load(FRONTIER).points]
    assert operations == sorted(operations)


@pytest.mark.parametrize("limit", ["20s", "30s", "1m", "90s"])
def test_the_choice_ends_in_time_and_uses_most_of_it(choose: Choose, limit: str) -> None:
    found = choose(limit)
    assert 0.6 * found.limit.seconds < found.expected <= AIM * found.limit.seconds


def test_more_time_or_a_faster_machine_buys_more_operations(choose: Choose) -> None:
    found = [choose(limit).plan.training_flop() for limit in ("10s", "15s", "20s", "30s", "1m", "2m")]
    assert found == sorted(set(found))
    assert choose("30s", flops=4e11).plan.training_flop() > found[3]


def test_time_that_is_spent_already_counts(choose: Choose, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = choose("1m")
    monkeypatch.setattr(TimeLimit, "spent", lambda _: 20.0)
    late = choose("1m")
    assert late.expected <= AIM * 60
    assert late.plan.training_flop() < at_once.plan.training_flop()


def test_the_largest_recipe_is_not_made_larger_and_the_reason_is_given(choose: Choose) -> None:
    found = choose("900h")
    assert found.plan.longest_training() == 7
    assert found.describe().endswith("because  this is the largest recipe there is")


def test_the_choice_its_time_and_its_reason_are_told(choose: Choose) -> None:
    assert choose("1m").describe() == (
        "limit    1m; this run will end after about 50s\n"
        "choice   cnn-lean, 2 members of 15 epochs, 16 TFLOP\n"
        "because  vgg-24, 4 members of at least 5 epochs, would take 1m here"
    )


def test_a_part_of_the_rows_is_taken_if_all_of_them_take_too_long(choose: Choose) -> None:
    assert choose("30s", flops=2e10).describe() == (
        "limit    30s; this run will end after about 23s\n"
        "choice   cnn-lean, 2 members of 5 epochs on 2,000 rows, 0.54 TFLOP\n"
        "because  all rows would take 2m 40s here"
    )


def test_a_limit_that_nothing_keeps_is_refused_with_one_that_is_kept(choose: Choose) -> None:
    with pytest.raises(RecipeError, match="--time-limit 2s is too short") as refusal:
        choose("2s")
    assert re.search(r"the smallest recipe takes about \d+s more; 17 % of the limit", str(refusal.value))
    assert str(refusal.value).endswith("If this machine was busy, try again.")
    (enough,) = re.findall(r"Use --time-limit (\w+)\.", str(refusal.value))
    assert choose(enough).chosen.is_in_time


def test_settings_of_the_user_are_kept_and_counted(choose: Choose) -> None:
    found = choose("1m", {"seed": 3, "tta.shift": 0, "schedule.epochs": 5})
    recipe = found.plan.recipe
    assert (recipe.seed, recipe.tta.shift, recipe.schedule.epochs) == (3, 0, 5)
    assert found.chosen.is_in_time


def test_the_recipe_says_which_limit_it_was_chosen_for(choose: Choose) -> None:
    assert choose("60s").plan.recipe.chosen_for == "1m"


def test_the_end_is_compared_with_the_expected_one(choose: Choose) -> None:
    found = choose("1m")
    assert found.describe_end(52) == "time     52s of 1m"
    assert found.describe_end(30) == (
        "time     30s of 1m, in place of 50s: this machine became faster after it was measured"
    )


def test_neither_a_preset_nor_debug_goes_with_a_limit(dataset: Dataset) -> None:
    for also in ({"preset": "fast"}, {"debug": True}):
        with pytest.raises(RecipeError, match="Leave one out"):
            hitofude.run(dataset, time_limit="1m", **also)


def test_a_cluster_is_refused_with_a_remedy(dataset: Dataset) -> None:
    with pytest.raises(RecipeError, match="Choose a recipe by --preset"):
        hitofude.run(dataset, time_limit="1m", workers="dask", run="nowhere", quiet=True)


def test_a_run_that_was_begun_without_a_limit_is_another_one(finished: RunResult, dataset: Dataset) -> None:
    with pytest.raises(RunFolderError, match="chosen_for: None → 10m"):
        hitofude.run(dataset, time_limit="10m", run=finished.folder.path, settings=SETTINGS, quiet=True)


def test_a_run_is_trained_with_the_chosen_recipe_and_its_command_measures_nothing_again(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    offer(QUICK_POINT, tmp_path, monkeypatch)
    monkeypatch.setattr("hitofude.runs.frontier.SpeedMeter", lambda images: GivenSpeeds(images, 1e11))
    result = hitofude.run(dataset, time_limit="10m", device="cpu", workers=1)
    assert result.folder.path.name == "digits-10m"
    assert (result.recipe.chosen_for, result.recipe.schedule.epochs) == ("10m", 3)
    assert re.search(r"limit    10m; .*\nchoice   .*\nbecause  .*(\n.*)*\ntime     \S+ of 10m", capsys.readouterr().out)
    monkeypatch.delattr("hitofude.runs.frontier.SpeedMeter")
    for workers in (1, 2, "dask"):
        assert hitofude.run(dataset, time_limit="10m", device="cpu", workers=workers).summary == result.summary
