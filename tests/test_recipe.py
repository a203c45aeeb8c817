"""Recipes: the tutorial's presets, helpful errors, and the names of earlier versions."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from hitofude.errors import RecipeError
from hitofude.recipe import AugmentRecipe, EnsembleRecipe, Recipe, ScheduleRecipe, choose_recipe, preset_names
from hitofude.stage import FORMER_NAMES, Stage, parse_settings

RENAMED = {
    "augment.rate": "augment.probability",
    "augment.erase_rate": "augment.erase_probability",
    "augment.max_erased": "augment.erase_max_area",
    "augment.elastic": "augment.elastic_std",
    "augment.elastic_knots": "augment.elastic_grid",
    "augment.untouched_epochs": "augment.no_aug_epochs",
    "optimizer.other_learning_rate": "optimizer.adamw_learning_rate",
    "schedule.factor": "schedule.gamma",
    "schedule.minimum_steps": "schedule.min_steps",
    "averaging.decay": "ema.decay",
    "averaging.batch_norm": "ema.batch_norm",
    "ensemble.all_rows": "ensemble.full_data_members",
    "views.shift": "tta.shift",
    "views.below": "tta.threshold",
}


def as_formerly_pickled(stage: Stage) -> Stage:
    """A copy whose pickle has the names of earlier versions."""
    former = {new: old for old, new in FORMER_NAMES.items()}
    state = stage.__getstate__()
    values = {
        former.get(name, name): as_formerly_pickled(value) if isinstance(value, Stage) else value
        for name, value in state["__dict__"].items()
    }
    set_fields = {former.get(name, name) for name in state["__pydantic_fields_set__"]}
    copy = type(stage).__new__(type(stage))
    BaseModel.__setstate__(copy, state | {"__dict__": values, "__pydantic_fields_set__": set_fields})
    return copy


def test_article_simple_is_the_tutorials_first_step() -> None:
    recipe = Recipe.preset("article-simple")
    assert recipe.network.name == "cnn-medium"
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.optimizer.batch_size) == ("adam", 1e-3, 16)
    assert (recipe.schedule.name, recipe.schedule.epochs) == ("constant", 20)
    assert (recipe.ensemble.split, recipe.ensemble.holdout, recipe.seed) == ("holdout", 0.2, 777)
    assert recipe.augment.probability == 0


def test_article_is_the_tutorials_second_step() -> None:
    recipe = Recipe.preset("article")
    assert recipe.network.name == "cnn-medium"
    assert (recipe.optimizer.name, recipe.optimizer.learning_rate, recipe.optimizer.batch_size) == ("adam", 1e-3, 16)
    assert recipe.schedule == ScheduleRecipe(name="step", epochs=30, milestones=(10, 20), gamma=0.1)
    assert recipe.augment == AugmentRecipe(
        probability=0.5,
        min_scale=0.95,
        max_scale=1.05,
        max_rotation=7.0,
        max_shear=3.0,
        max_translation=2,
        about="origin",
    )
    assert (recipe.ensemble.split, recipe.ensemble.folds) == ("folds", 5)


def test_the_tutorials_own_augmentation_is_the_default() -> None:
    augment = Recipe().augment
    assert (augment.probability, augment.min_scale, augment.max_scale) == (1.0, 0.90, 1.10)
    assert (augment.max_rotation, augment.max_shear, augment.max_translation) == (4.0, 2.0, 3)
    assert (augment.min_crop, augment.elastic_std, augment.erase_probability, augment.no_aug_epochs) == (
        1.0,
        0.0,
        0.0,
        0,
    )
    assert (Recipe().ema.decay, Recipe().tta.shift) == (0.0, 0)


@pytest.mark.parametrize("name", preset_names())
def test_a_recipe_survives_being_written_and_read(name: str, tmp_path: Path) -> None:
    recipe = Recipe.preset(name)
    recipe.save(tmp_path / "recipe.toml")
    assert Recipe.load(tmp_path / "recipe.toml") == recipe


def test_an_unknown_setting_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'schedule\.epochs'"):
        Recipe().with_settings({"schedule.epoch": 3})


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("network", "senet", r"Did you mean network\.name=senet\?"),
        ("schedule", "cosine", r"Did you mean schedule\.name=cosine\?"),
        ("tta", 1, r"Set one of them: tta\.shift, tta\.threshold\."),
    ],
)
def test_a_plain_value_for_a_table_of_settings_suggests_the_one_that_was_meant(
    name: str, value: object, meant: str
) -> None:
    with pytest.raises(RecipeError, match=f"'{name}' is a table of settings. {meant}"):
        Recipe().with_settings({name: value})
    assert Recipe().with_settings({"tta": {"shift": 1}}).tta.shift == 1


@pytest.mark.parametrize("name", ["schedule.epochs.x", "network.name.cnn", "seed.x", "", "."])
def test_a_name_below_a_value_is_no_setting(name: str) -> None:
    with pytest.raises(RecipeError, match="There is no setting"):
        Recipe().with_settings({name: 1})


def test_an_unknown_key_in_a_file_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"augment\.max_rotations: there is no such setting. Did you mean 'augment"):
        Recipe.from_toml("[augment]\nmax_rotations = 3\n", "mine.toml")


def test_an_unknown_preset_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'article'"):
        Recipe.preset("artcle")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schedule.epochs", 0),
        ("schedule.epochs", "many"),
        ("augment.probability", 1.5),
        ("optimizer.name", "sgdd"),
        ("ensemble.folds", 1),
        ("augment.min_scale", 2.0),
        ("network", 3),
        ("ensemble.predict_by", "full-data"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: object) -> None:
    with pytest.raises(RecipeError, match=name.split(".")[0]):
        Recipe().with_settings({name: value})


def test_settings_are_read_as_toml_or_as_text() -> None:
    settings = parse_settings(["schedule.epochs=3", "network.name=cnn-lean", "schedule.milestones=[1, 2]"])
    assert settings == {"schedule.epochs": 3, "network.name": "cnn-lean", "schedule.milestones": [1, 2]}
    assert Recipe().with_settings(settings).schedule.milestones == (1, 2)


def test_a_setting_without_an_equals_sign_is_refused() -> None:
    with pytest.raises(RecipeError, match="name=value"):
        parse_settings(["schedule.epochs"])


def test_a_variant_is_a_recipe_with_its_own_settings() -> None:
    variants = [{}, {"augment": {"elastic_std": 0.8}, "schedule.milestones": (1, 2)}]
    recipe = Recipe().with_settings({"ensemble.variants": variants})
    changed = Recipe().with_settings({"augment.elastic_std": 0.8, "schedule.milestones": (1, 2)})
    assert [recipe.variant(turn) for turn in range(3)] == [Recipe(), changed, Recipe()]
    assert Recipe.from_toml(recipe.to_toml(), "mine.toml") == recipe


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([{"tta.shift": 1}], r"variant 1 sets 'tta\.shift'; a variant may set network, augment, optimizer"),
        ([{}, {"augment.elastc_std": 1}], r"variant 2 of .*'augment\.elastc_std'. Did you mean 'augment\.elastic_std'"),
        ([{}, {"schedule.epochs": 0}], r"variant 2 of ensemble\.variants: schedule\.epochs: Input should be greater"),
        ([{}, {"augment.min_scale": 2.0}], r"variant 2 of ensemble\.variants: augment: .*above max_scale"),
        ([{"schedule.validation_rows": None}], "variant 1 gives 'schedule.validation_rows' no value"),
        ("resnet", "expected a list of tables of settings"),
    ],
)
def test_a_variant_that_is_no_recipe_is_named_when_the_recipe_is_read(variants: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe().with_settings({"ensemble.variants": variants})


def test_a_setting_that_variants_set_otherwise_is_refused_unless_they_are_replaced() -> None:
    recipe = Recipe().with_settings({"ensemble.variants": [{}, {"schedule.epochs": 9}]})
    with pytest.raises(RecipeError, match=r"contradicts ensemble\.variants, where it is 9 .*ensemble\.variants=\[\]"):
        recipe.with_settings({"schedule.epochs": 3})
    assert recipe.with_settings({"schedule.epochs": 3, "ensemble.variants": []}).variant(1).schedule.epochs == 3


def test_the_networks_of_earlier_versions_are_read_as_variants() -> None:
    recipe = Recipe.from_toml('[ensemble]\nnetworks = ["resnet", "senet"]\n', "mine.toml")
    assert recipe.ensemble.variants == ({"network.name": "resnet"}, {"network.name": "senet"})
    assert Recipe.from_toml("[ensemble]\nnetworks = []\n", "mine.toml") == Recipe()


def test_a_pickle_with_the_networks_of_an_earlier_version_loads() -> None:
    former = EnsembleRecipe()
    former.__dict__["networks"] = ("resnet", "senet")
    former.__pydantic_fields_set__.add("networks")
    del former.__dict__["variants"]
    loaded = pickle.loads(pickle.dumps(former))  # noqa: S301
    assert loaded == EnsembleRecipe(variants=({"network.name": "resnet"}, {"network.name": "senet"}))


def test_asking_for_networks_names_the_variants_to_type() -> None:
    with pytest.raises(RecipeError, match="Networks are variants now") as raised:
        Recipe().with_settings(parse_settings(['ensemble.networks=["resnet", "vgg-24"]']))
    typed = str(raised.value).partition("--set '")[2].rstrip("'")
    recipe = Recipe().with_settings(parse_settings([typed]))
    assert [recipe.variant(turn).network.name for turn in range(2)] == ["resnet", "vgg-24"]


def test_a_whole_number_is_accepted_where_a_fraction_is_expected() -> None:
    assert Recipe().with_settings({"augment.max_rotation": 10}).augment.max_rotation == 10.0


def test_debugging_is_a_thousand_rows_five_epochs_two_folds() -> None:
    recipe = Recipe.preset("article").for_debugging()
    assert (recipe.rows, recipe.schedule.epochs, recipe.ensemble.folds) == (1000, 5, 2)
    assert Recipe.preset("fast").for_debugging().schedule.epoch_share == 1, "five epochs are few"


def test_the_difference_of_two_recipes_names_both_values() -> None:
    changed = Recipe().with_settings({"schedule.epochs": 7})
    assert Recipe().difference(changed) == ["schedule.epochs: 20 → 7"]


def test_a_recipe_that_is_not_toml_is_refused_with_its_line() -> None:
    with pytest.raises(RecipeError, match="line 1"):
        Recipe.from_toml("= 3", "mine.toml")


def test_a_missing_recipe_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        Recipe.load(tmp_path / "none.toml")


@pytest.mark.parametrize(("former", "name"), RENAMED.items())
def test_a_former_name_is_an_error_with_the_new_one(former: str, name: str) -> None:
    with pytest.raises(RecipeError, match=rf"There is no setting '{former}'\. It is called '{name}' now\."):
        Recipe().with_settings(parse_settings([f"{former}=1"]))
    stage, key = former.split(".")
    expected = f"'{name}'" if stage in Recipe.model_fields else f"'{name.partition('.')[0]}'"
    with pytest.raises(RecipeError, match=rf"there is no such setting\. It is called {expected} now\."):
        Recipe.from_toml(f"[{stage}]\n{key} = 1\n", "mine.toml")


@pytest.mark.parametrize(("former", "name"), [("views", "tta"), ("averaging", "ema")])
def test_a_former_stage_is_an_error_with_the_new_one(former: str, name: str) -> None:
    with pytest.raises(RecipeError, match=rf"It is called '{name}' now\."):
        Recipe().with_settings({former: {}})


@pytest.mark.parametrize("name", preset_names())
def test_a_pickle_with_former_names_is_read(name: str) -> None:
    settings = {"ensemble.variants": [], "tta.shift": 2, "ema.decay": 0.5, "augment.elastic_std": 1.0}
    recipe = Recipe.preset(name).with_settings(settings)
    content = pickle.dumps(as_formerly_pickled(recipe))
    assert b"averaging" in content
    again = pickle.loads(content)  # noqa: S301
    assert again == recipe
    assert again.to_toml() == recipe.to_toml()
    assert again.model_fields_set == recipe.model_fields_set


def test_weights_of_classes_are_a_word_or_a_table() -> None:
    settings = parse_settings(["optimizer.class_weights={three=1, eight=5.5}"])
    recipe = Recipe().with_settings(settings)
    assert recipe.optimizer.class_weights == {"three": 1.0, "eight": 5.5}
    assert Recipe.from_toml(recipe.to_toml(), "of a run") == recipe
    assert Recipe().difference(recipe) == ["optimizer.class_weights: none → {'three': 1.0, 'eight': 5.5}"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("even", "optimizer.class_weights: .*expected none, balanced, or a table"),
        ({"eight": 0}, "the weight of 'eight' is 0, expected a number above 0"),
        ({"eight": True}, "the weight of 'eight' is True"),
    ],
)
def test_other_weights_of_classes_are_refused(weights: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe().with_settings({"optimizer.class_weights": weights})


@pytest.mark.parametrize("settings", [{"schedule.epochs": 3}, {"schedule": {"epochs": 3}}])
def test_the_epochs_that_are_asked_for_are_trained_however_few_rows_there_are(settings: dict[str, Any]) -> None:
    schedule = choose_recipe("fast", settings).schedule
    assert (schedule.epochs, schedule.min_steps) == (3, 0)


def test_a_least_number_of_steps_that_is_asked_for_too_stays() -> None:
    assert choose_recipe("fast", {"schedule.epochs": 3, "schedule.min_steps": 80}).schedule.min_steps == 80
