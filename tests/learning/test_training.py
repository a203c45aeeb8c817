"""Training one member: exact, resumable, and never seeing what it is validated on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hitofude.errors import DivergedError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import EpochLog, MemberFolder
from hitofude.learning.engine import Engine
from hitofude.learning.training import MemberPlan, TrainingData, count_epochs, learning_rate_at, train_member
from hitofude.recipe import Recipe, ScheduleRecipe

PLAN = MemberPlan(member=1, train_rows=np.arange(200), validation_rows=np.arange(200, 300))


class Listener:
    """Remembers the epochs; may stop the training at one, as a crash would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.logs: list[EpochLog] = []
        self.warnings: list[str] = []
        self.images = 0
        self.stop_after = stop_after

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self.epochs_done = epochs_done

    def batch_finished(self, images: int) -> None:
        self.images += images
        if self.stop_after is not None and self.images > self.stop_after:
            raise KeyboardInterrupt

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)

    def warned(self, message: str) -> None:
        self.warnings.append(message)


def train(recipe: Recipe, digits: ImageSet, engine: Engine, folder: Path, listener: Listener) -> nn.Module:
    data = TrainingData.on_device(digits, engine)
    return train_member(PLAN, data, recipe, engine, MemberFolder(folder), listener)


def weights(folder: Path) -> bytes:
    return MemberFolder(folder).weights_path.read_bytes()


def test_two_identical_trainings_produce_identical_bytes(
    quick: Recipe, digits: ImageSet, engine: Engine, tmp_path: Path
) -> None:
    for name in "ab":
        train(quick, digits, engine, tmp_path / name, Listener())
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_another_seed_produces_other_weights(quick: Recipe, digits: ImageSet, engine: Engine, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(quick.with_settings({"seed": seed}), digits, engine, tmp_path / str(seed), Listener())
    assert weights(tmp_path / "0") != weights(tmp_path / "1")


@pytest.mark.parametrize("stop_after", [50, 250, 450])
@pytest.mark.parametrize("preset", ["fast", "article"])
def test_an_interrupted_training_ends_with_the_same_bytes(
    preset: str, stop_after: int, quick: Recipe, digits: ImageSet, engine: Engine, tmp_path: Path
) -> None:
    recipe = quick if preset == "fast" else Recipe.preset("article").with_settings({"schedule.epochs": 3})
    train(recipe, digits, engine, tmp_path / "whole", Listener())
    with pytest.raises(KeyboardInterrupt):
        train(recipe, digits, engine, tmp_path / "broken", Listener(stop_after))
    resumed = Listener()
    train(recipe, digits, engine, tmp_path / "broken", resumed)
    assert resumed.epochs_done == stop_after // 200
    assert weights(tmp_path / "whole") == weights(tmp_path / "broken")


def test_a_finished_member_is_loaded_not_trained(
    quick: Recipe, digits: ImageSet, engine: Engine, tmp_path: Path
) -> None:
    first = train(quick, digits, engine, tmp_path, Listener())
    listener = Listener()
    second = train(quick, digits, engine, tmp_path, listener)
    assert listener.images == 0
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_validation_rows_do_not_touch_the_weights(
    quick: Recipe, digits: ImageSet, engine: Engine, tmp_path: Path
) -> None:
    images = digits.images.copy()
    images[PLAN.validation_rows] = 255 - images[PLAN.validation_rows]
    train(quick, digits, engine, tmp_path / "a", Listener())
    train(quick, ImageSet(images, digits.labels, digits.ids, digits.classes), engine, tmp_path / "b", Listener())
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_it_learns(digits: ImageSet, engine: Engine, quick: Recipe, tmp_path: Path) -> None:
    listener = Listener()
    train(quick.with_settings({"schedule.epochs": 12}), digits, engine, tmp_path, listener)
    assert listener.logs[-1].validation_accuracy > 0.8
    assert listener.logs[-1].train_loss < listener.logs[0].train_loss


def test_bfloat16_learns_too(digits: ImageSet, quick: Recipe, tmp_path: Path) -> None:
    listener = Listener()
    half = Engine(torch.device("cpu"), "bfloat16")
    train(quick.with_settings({"schedule.epochs": 4}), digits, half, tmp_path, listener)
    assert listener.logs[-1].train_loss < listener.logs[0].train_loss


def test_a_loss_that_is_no_number_ends_the_training(
    digits: ImageSet, engine: Engine, quick: Recipe, tmp_path: Path
) -> None:
    recipe = quick.with_settings({"network.name": "cnn-medium", "optimizer.learning_rate": 1e30})
    with pytest.raises(DivergedError, match=r"epoch 1, batch \d+.*1e\+30"):
        train(recipe, digits, engine, tmp_path, Listener())


def test_the_step_schedule_falls_after_its_milestones() -> None:
    schedule = Recipe.preset("article").schedule
    rates = [learning_rate_at(schedule, 1e-3, done / 30, done) for done in range(30)]
    assert rates == pytest.approx([1e-3] * 10 + [1e-4] * 10 + [1e-5] * 10)


def test_one_cycle_rises_to_its_highest_and_falls_to_zero() -> None:
    schedule = ScheduleRecipe(name="one-cycle", warmup=0.25)
    rates = [learning_rate_at(schedule, 8.0, step / 100, 0) for step in range(100)]
    assert rates[0] == 0
    assert max(rates) == rates[25] == 8.0
    assert rates[50] == pytest.approx(8 * 2 / 3)
    assert 0 < rates[-1] < 0.2


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_one_cycle_needs_neither_rise_nor_fall(warmup: float) -> None:
    schedule = ScheduleRecipe(name="one-cycle", warmup=warmup)
    assert all(0 <= learning_rate_at(schedule, 1.0, step / 10, 0) <= 1 for step in range(10))


def test_few_rows_get_more_epochs() -> None:
    schedule = ScheduleRecipe(epochs=8, minimum_steps=500)
    assert count_epochs(schedule, batch_size=100, rows=100_000) == 8
    assert count_epochs(schedule, batch_size=100, rows=950) == 50
