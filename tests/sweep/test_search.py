"""Which recipes are asked for: all, a sample, or those that earlier ones speak for; the same ones each time."""

import sys
from itertools import product

import numpy as np
import pytest

from hitofude.errors import RecipeError
from hitofude.sweep.search import first_round, next_tpe, outermost
from hitofude.sweep.spec import Settings, SweepSpec

RANGES = {
    "epochs": {"from": 1, "to": 5},
    "rate": {"from": 0.3, "to": 0.9},
    "decay": {"from": 1e-4, "to": 1e-1, "log": True},
    "name": ["adam", "muon"],
    "milestones": [[1], [1, 2]],
}


def spec(**keys: object) -> SweepSpec:
    return SweepSpec.of({"vary": RANGES} | keys, "The sweep")


def guided(goal: float, **keys: object) -> list[tuple[Settings, float]]:
    """A whole guided search for the rate that is nearest to the goal."""
    of_it = spec(search="guided", vary={"rate": {"from": 0.0, "to": 1.0}}, **keys)
    answered: list[tuple[Settings, float]] = []
    while asked := next_tpe(of_it, answered):
        answered += [(settings, -abs(settings["rate"] - goal)) for settings in asked]
    return answered


def test_a_grid_is_every_combination_of_the_choices() -> None:
    found = first_round(spec(vary={"a": [1, 2, 3], "b": ["x", "y"]}))
    assert [tuple(settings.values()) for settings in found] == list(product([1, 2, 3], ["x", "y"]))


def test_nothing_varied_is_one_recipe() -> None:
    assert first_round(spec(vary={})) == [{}]


def test_a_sample_stays_within_the_ranges_and_whole_numbers_stay_whole() -> None:
    found = first_round(spec(search="random", trials=200))
    assert len(found) == 200
    assert {settings["epochs"] for settings in found} == {1, 2, 3, 4, 5}
    assert all(isinstance(settings["epochs"], int) and 0.3 <= settings["rate"] <= 0.9 for settings in found)
    assert {settings["name"] for settings in found} == {"adam", "muon"}


def test_a_logarithmic_range_has_as_many_in_each_decade() -> None:
    found = first_round(spec(search="random", trials=600))
    decades = np.floor(np.log10([settings["decay"] for settings in found])).clip(-4, -2)
    assert all(150 < count < 250 for count in np.unique(decades, return_counts=True)[1])


def test_a_sample_is_the_same_each_time_and_another_with_another_search_seed() -> None:
    first = first_round(spec(search="random"))
    assert first == first_round(spec(search="random"))
    assert first != first_round(spec(search="random", search_seed=1))


def test_a_sample_of_few_recipes_has_each_once() -> None:
    found = first_round(spec(search="random", trials=20, vary={"a": [1, 2], "b": {"from": 1, "to": 2}}))
    assert sorted(tuple(settings.values()) for settings in found) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_the_outermost_recipes_hold_every_choice_and_both_ends() -> None:
    found = outermost(spec(search="guided"))
    assert {settings["rate"] for settings in found} == {0.3, 0.9}
    assert {settings["name"] for settings in found} == {"adam", "muon"}


def test_a_guided_round_depends_on_what_was_answered_and_on_nothing_else() -> None:
    answered = guided(0.7, trials=12, batch=4)
    of_it = spec(search="guided", vary={"rate": {"from": 0.0, "to": 1.0}}, trials=16, batch=4)
    assert next_tpe(of_it, answered) == next_tpe(of_it, answered)
    assert guided(0.7, trials=12, batch=4) == answered


def test_a_guided_search_comes_nearer_than_chance() -> None:
    found = [-accuracy for _, accuracy in guided(0.7, trials=30)]
    assert np.mean(found[-10:]) < np.mean(found[:10]) / 2


def test_a_guided_search_varies_all_that_can_be_varied() -> None:
    asked = next_tpe(spec(search="guided", trials=6, batch=6), [])
    assert all(settings["milestones"] in ([1], [1, 2]) and isinstance(settings["epochs"], int) for settings in asked)
    assert len(next_tpe(spec(search="guided", trials=8), [(settings, 0.5) for settings in asked])) == 2


def test_without_optuna_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RecipeError, match=r"pip install 'hitofude\[sweep\]'"):
        next_tpe(spec(search="guided"), [])
