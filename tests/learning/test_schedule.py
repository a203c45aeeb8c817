"""The number of epochs, and the learning rate over time."""

import pytest

from hitofude.learning.schedule import count_epochs, learning_rate_at
from hitofude.recipe import Recipe, ScheduleRecipe


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
    schedule = ScheduleRecipe(epochs=8, min_steps=500)
    assert count_epochs(schedule, batch_size=100, rows=100_000) == 8
    assert count_epochs(schedule, batch_size=100, rows=950) == 50
