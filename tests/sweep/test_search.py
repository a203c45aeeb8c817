"""The recipes that a sweep tries: a grid, a sample, or proposals of TPE; the same ones each time."""

import sys
from itertools import product

import numpy as np
import pytest

from hitofude.errors import RecipeError
from hitofude.sweep.search import next_round, recipes_to_check
from hitofude.sweep.spec import Settings, SweepSpec

RANGES = {
    "epochs": {"from": 1, "to": 5},
    "rate": {"from": 0.3, "to": 0.9},
    "decay": {"from": 1e-4, "to": 1e-1, "log": True},
    "name": ["adam", "muon"],
    "milestones": [[1], [1, 2]],
}
UNIT = {"rate": {"from": 0.0, "to": 1.0}}


def spec(**keys: object) -> SweepSpec:
    return SweepSpec.model_validate({"vary": RANGES} | keys)


def first_round(**keys: object) -> list[Settings]:
    return next_round(spec(**keys), [])


def search_by_tpe(goal: float, trials: int) -> list[tuple[Settings, float]]:
    """Search for the rate that is nearest to the goal."""
    tpe, tried = spec(search="tpe", vary=UNIT, trials=trials), list[tuple[Settings, float]]()
    while proposed := next_round(tpe, tried):
        tried += [(settings, -abs(settings["rate"] - goal)) for settings in proposed]
    return tried


def test_a_grid_is_every_combination_of_the_choices() -> None:
    found = first_round(vary={"a": [1, 2, 3], "b": ["x", "y"]})
    assert [tuple(settings.values()) for settings in found] == list(product([1, 2, 3], ["x", "y"]))


def test_nothing_varied_is_one_recipe() -> None:
    assert first_round(vary={}) == [{}]


@pytest.mark.parametrize("search", ["grid", "random"])
def test_a_grid_and_a_sample_have_one_round(search: str) -> None:
    choices = spec(search=search, vary={"a": [1, 2]})
    assert next_round(choices, [(settings, 0.5) for settings in next_round(choices, [])]) == []


def test_a_sample_stays_within_the_ranges_and_whole_numbers_stay_whole() -> None:
    found = first_round(search="random", trials=200)
    assert len(found) == 200
    assert {settings["epochs"] for settings in found} == {1, 2, 3, 4, 5}
    assert all(isinstance(settings["epochs"], int) and 0.3 <= settings["rate"] <= 0.9 for settings in found)
    assert {settings["name"] for settings in found} == {"adam", "muon"}


def test_a_logarithmic_range_has_as_many_in_each_decade() -> None:
    found = first_round(search="random", trials=600)
    decades = np.floor(np.log10([settings["decay"] for settings in found])).clip(-4, -2)
    assert all(150 < count < 250 for count in np.unique(decades, return_counts=True)[1])


def test_a_sample_is_the_same_each_time_and_another_with_another_search_seed() -> None:
    first = first_round(search="random")
    assert first == first_round(search="random")
    assert first != first_round(search="random", search_seed=1)


def test_a_sample_of_few_recipes_has_each_once() -> None:
    found = first_round(search="random", trials=20, vary={"a": [1, 2], "b": {"from": 1, "to": 2}})
    assert sorted(tuple(settings.values()) for settings in found) == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_tpe_is_checked_with_every_choice_and_both_ends_of_each_range() -> None:
    found = recipes_to_check(spec(search="tpe"))
    assert {settings["rate"] for settings in found} == {0.3, 0.9}
    assert {settings["name"] for settings in found} == {"adam", "muon"}


def test_a_round_of_tpe_depends_on_the_accuracies_before_and_on_nothing_else() -> None:
    tried = search_by_tpe(0.7, trials=12)
    longer = spec(search="tpe", vary=UNIT, trials=16)
    assert next_round(longer, tried) == next_round(longer, tried)
    assert search_by_tpe(0.7, trials=12) == tried


def test_tpe_comes_nearer_than_chance() -> None:
    distances = [-accuracy for _, accuracy in search_by_tpe(0.7, trials=30)]
    assert np.mean(distances[-10:]) < np.mean(distances[:10]) / 2


def test_tpe_varies_ranges_and_choices_even_lists() -> None:
    proposed = first_round(search="tpe", trials=6, batch=6)
    assert all(settings["milestones"] in ([1], [1, 2]) and isinstance(settings["epochs"], int) for settings in proposed)
    assert len(next_round(spec(search="tpe", trials=8), [(settings, 0.5) for settings in proposed])) == 2


def test_only_tpe_needs_optuna_and_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert first_round(search="random", trials=3)
    for ask in (lambda tpe: next_round(tpe, []), recipes_to_check):
        with pytest.raises(RecipeError, match=r"-m pip install .*\[sweep\]"):
            ask(spec(search="tpe"))
