"""Every setting is explained, with the range that the recipe enforces and the values that the presets have."""

import re

import pytest

from hitofude.errors import RecipeError
from hitofude.recipe import Recipe, preset_names
from hitofude.runs.setting_texts import Setting, explain_settings, find_settings, stage_texts
from hitofude.stage import flat

NAMES = {*flat(Recipe().model_dump())}


def setting(name: str) -> Setting:
    (found,) = find_settings(name)
    return found


def test_every_setting_and_stage_has_its_text() -> None:
    assert {one.name for one in explain_settings()} == NAMES
    for one in explain_settings():
        assert one.text.endswith("."), one.name
    assert {one.stage for one in explain_settings()} == stage_texts().keys()
    assert all(stage_texts().values())


@pytest.mark.parametrize(
    ("name", "values", "outside"),
    [
        ("ensemble.folds", "a whole number from 2 up", 1),
        ("schedule.epoch_share", "a number above 0, to 1", 0),
        ("optimizer.momentum", "a number from 0, below 1", 1.0),
        ("augment.probability", "a number from 0 to 1", 1.1),
        ("optimizer.name", "adam, adamw, sgd or muon", "lion"),
        ("ensemble.resplit", "true or false", "yes"),
        ("network.margin", "a whole number from 0 up, or blank", "wide"),
        ("schedule.milestones", "a list of whole numbers from 1 up", [0]),
        ("rows", "a whole number from 2 up, or left out", 1),
    ],
)
def test_the_range_is_the_one_that_is_enforced(name: str, values: str, outside: object) -> None:
    assert setting(name).values == values
    with pytest.raises(RecipeError):
        Recipe().with_settings({name: outside})


def test_the_presets_have_these_values() -> None:
    assert setting("schedule.epochs").default == str(Recipe().schedule.epochs)
    for name in preset_names():
        recipe = Recipe.preset(name)
        values = setting("schedule.epochs").presets[name]
        expected = [str(one.schedule.epochs) for one in recipe.in_turn()]
        assert values == (tuple(expected) if len(set(expected)) > 1 else (expected[0],))


def test_a_stage_or_part_of_a_name_finds_several() -> None:
    assert {one.name for one in find_settings("ema")} == {"ema.decay", "ema.batch_norm"}
    assert [one.name for one in find_settings("elastic")] == ["augment.elastic_std", "augment.elastic_grid"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("tta.shfit", "tta.shift"), ("elastik", "augment.elastic_std"), ("learning-rate", "optimizer.learning_rate"),
     ("Epohcs", "schedule.epochs"), ("smothing", "optimizer.label_smoothing")],
)  # fmt: skip
def test_a_name_with_a_slip_suggests_the_nearest_also_by_its_last_part(name: str, meant: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(f"Did you mean '{meant}'?")):
        find_settings(name)
    with pytest.raises(RecipeError, match=re.escape(f"Did you mean '{meant}'?")):
        Recipe().with_settings({name: 1})
