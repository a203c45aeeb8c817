"""The recipe: every setting of a run, validated, frozen, and written down in one TOML file.

One class per stage. A default is written here and nowhere else; a preset is a TOML file that names what
differs. An unknown key is an error that suggests the nearest known one.
"""

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hitofude.errors import RecipeError, suggest
from hitofude.storage import write_text

DEFAULT_PRESET = "fast"

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]

FORMER_NAMES = {
    "views": "tta",
    "below": "threshold",
    "averaging": "ema",
    "other_learning_rate": "adamw_learning_rate",
    "untouched_epochs": "no_aug_epochs",
    "rate": "probability",
    "erase_rate": "erase_probability",
    "max_erased": "erase_max_area",
    "elastic": "elastic_std",
    "elastic_knots": "elastic_grid",
    "factor": "gamma",
    "minimum_steps": "min_steps",
    "all_rows": "full_data_members",
}
"""Parts of dotted names that had another name before: errors name the new one, and pickles are translated."""


class Stage(BaseModel):
    """Settings of one stage: frozen, strictly typed; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Restore a pickle, also one with the former names of settings."""
        values = {FORMER_NAMES.get(name, name): value for name, value in state["__dict__"].items()}
        set_fields = {FORMER_NAMES.get(name, name) for name in state["__pydantic_fields_set__"]}
        super().__setstate__(state | {"__dict__": values, "__pydantic_fields_set__": set_fields})


class NetworkRecipe(Stage):
    """Which network is trained."""

    name: str = "cnn-medium"


class AugmentRecipe(Stage):
    """How each training image is transformed, drawn anew at each epoch. Defaults as in the tutorial."""

    probability: Share = 1.0
    """Probability that an image is warped at all: by the affine map, the crop and the elastic displacement."""
    min_scale: Positive = 0.90
    max_scale: Positive = 1.10
    """Scale of x and of y, drawn apart."""
    max_rotation: Annotated[float, Field(ge=0, le=180)] = 4.0
    """Degrees, to either side."""
    max_shear: Annotated[float, Field(ge=0, lt=90)] = 2.0
    """Degrees, to either side."""
    max_translation: Annotated[int, Field(ge=0)] = 3
    """Whole pixels, to either side, of x and of y, drawn apart."""
    about: Literal["center", "origin"] = "center"
    """The fixed point of scale, rotation and shear: the image's centre, or, as in the tutorial, its corner."""
    min_crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Crop and resize: the least share of height and of width, drawn apart, that is blown up to the whole image."""
    elastic_std: Annotated[float, Field(ge=0)] = 0.0
    """Elastic displacement: the standard deviation, in pixels, of the knots of a coarse grid laid over the image."""
    elastic_grid: Annotated[int, Field(ge=2)] = 4
    """Knots along each side of that grid."""
    erase_probability: Share = 0.0
    """Probability that a random rectangle is blackened."""
    erase_max_area: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """The largest share of the image that it covers."""
    no_aug_epochs: Annotated[int, Field(ge=0)] = 0
    """So many epochs at the end train on the images as they are."""

    @model_validator(mode="after")
    def _scales_in_order(self) -> Self:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale ({self.min_scale}) is above max_scale ({self.max_scale})")
        return self


class OptimizerRecipe(Stage):
    """What is minimised, and how."""

    name: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """`sgd` has Nesterov's momentum; `muon` trains the filters of convolutions, and AdamW the rest beside it."""
    learning_rate: Positive = 0.001
    """The highest of the schedule."""
    adamw_learning_rate: Positive = 0.01
    """`muon`: the highest of AdamW's, for norms, biases and the last layer."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of `sgd` and `muon`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    batch_size: Count = 128
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ScheduleRecipe(Stage):
    """How long, and the learning rate over that time."""

    name: Literal["constant", "step", "one-cycle", "cosine"] = "constant"
    """`one-cycle` falls in a straight line, `cosine` along half a wave, both to zero and after a warm-up."""
    epochs: Count = 20
    min_steps: Annotated[int, Field(ge=0)] = 0
    """Few rows get more epochs, until the training has this many steps."""
    milestones: tuple[Count, ...] = Field(default=(), strict=False)
    """`step`: after each of these epochs the learning rate is multiplied by `gamma`."""
    gamma: Positive = 0.1
    warmup: Share = 0.2
    """`one-cycle` and `cosine`: the share of the steps in which the learning rate rises."""
    validation_rows: Count | None = None
    """Watch each epoch on a seeded sample of so many held-out rows instead of all; the out-of-fold rows stay all."""


class EmaRecipe(Stage):
    """An exponential moving average of the weights, which then validates and predicts in their place."""

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share that stays at each step; 0 is no averaging."""
    batch_norm: Literal["averaged", "recomputed"] = "averaged"
    """The statistics of its batch norms: averaged as the weights are, or recomputed at the end on training images."""


class EnsembleRecipe(Stage):
    """Which rows each member trains on, and which it is validated on."""

    split: Literal["folds", "holdout"] = "folds"
    """Stratified folds, one member each; or one member and one plain random split."""
    folds: Annotated[int, Field(ge=2)] = 5
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of the rows kept for validation by `split = "holdout"`."""
    repeats: Count = 1
    """Over how many different splits into folds."""
    full_data_members: Annotated[int, Field(ge=0)] = 0
    """So many members more that learn from every row: they help to predict, and have no out-of-fold rows."""
    networks: tuple[str, ...] = Field(default=(), strict=False)
    """The network of each repeat, and of each member on all rows, in turn; left out, network.name everywhere."""


class TtaRecipe(Stage):
    """Test-time augmentation: an image is also predicted shifted, and the probabilities averaged."""

    shift: Annotated[int, Field(ge=0)] = 0
    """Pixels, to each of the four sides; 0 is none."""
    threshold: Share = 1.0
    """Only images whose likeliest class has a probability below this; the others are clear at first sight."""


ViewsRecipe, AveragingRecipe = TtaRecipe, EmaRecipe  # as pickled estimators of earlier versions name them


class Recipe(Stage):
    """Every setting of a run."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where the processor computes in it, float32 elsewhere."""
    rows: Annotated[int, Field(ge=2)] | None = None
    """Train on a seeded sample of this many rows, with the classes as even as they allow."""
    network: NetworkRecipe = NetworkRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    ema: EmaRecipe = EmaRecipe()
    ensemble: EnsembleRecipe = EnsembleRecipe()
    tta: TtaRecipe = TtaRecipe()

    @classmethod
    def preset(cls, name: str) -> Self:
        """The preset of that name. Raises RecipeError when there is none."""
        file = resources.files("hitofude") / "recipes" / f"{name}.toml"
        if name not in preset_names():
            raise RecipeError(f"There is no preset '{name}'.{suggest(name, preset_names())}")
        return cls.from_toml(file.read_text(encoding="utf-8"), name)

    @classmethod
    def load(cls, path: Path) -> Self:
        """A recipe file. Raises RecipeError when it cannot be read or does not fit."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The recipe {path} cannot be read: {error}.") from None
        return cls.from_toml(text, str(path))

    @classmethod
    def from_toml(cls, text: str, origin: str) -> Self:
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"The recipe {origin} is not valid TOML: {error}.") from None
        return cls._validated(content, f"The recipe {origin}")

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """A copy with settings replaced, by dotted name: `{"schedule.epochs": 3}`.

        Raises RecipeError for an unknown name, a value that does not fit, or settings that contradict each other.
        """
        content = self.model_dump()
        for name, value in settings.items():
            *stages, last = name.split(".")
            place: Any = content
            for stage in stages:
                place = place.get(stage) if isinstance(place, dict) else None
            if not isinstance(place, dict) or last not in place:
                raise RecipeError(f"There is no setting '{name}'.{_suggest_setting(name, setting_names())}")
            place[last] = value
        if "network.name" in settings and content["ensemble"]["networks"]:
            names = ", ".join(content["ensemble"]["networks"])
            raise RecipeError(
                f"network.name contradicts ensemble.networks, which names the members' networks ({names}). "
                "Set ensemble.networks instead."
            )
        return self._validated(content, "The settings")

    def for_debugging(self) -> Self:
        """The tutorial's debug switch: 1,000 rows, 5 epochs, 2 folds; batches small enough for so few rows."""
        return self.with_settings(
            {
                "rows": 1000,
                "optimizer.batch_size": min(self.optimizer.batch_size, 32),
                "schedule.epochs": 5,
                "schedule.min_steps": 0,
                "ensemble.folds": 2,
                "ensemble.repeats": 1,
                "ensemble.full_data_members": 0,
            }
        )

    def to_toml(self) -> str:
        """The whole recipe, defaults included."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    def save(self, path: Path) -> None:
        write_text(path, self.to_toml())

    def difference(self, other: "Recipe") -> list[str]:
        """`name: ours → theirs` for each setting that differs."""
        ours, theirs = _flat(self.model_dump()), _flat(other.model_dump())
        return [f"{name}: {ours[name]} → {theirs[name]}" for name in ours if ours[name] != theirs[name]]

    @classmethod
    def _validated(cls, content: Mapping[str, Any], origin: str) -> Self:
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problems = "\n  ".join(_explain(dict(problem)) for problem in error.errors())
            raise RecipeError(f"{origin} cannot be used:\n  {problems}") from None


def choose_recipe(
    preset: str | Path = DEFAULT_PRESET, settings: Mapping[str, Any] | None = None, *, debug: bool = False
) -> Recipe:
    """A preset or a recipe file (.toml), made small for debugging, then with single settings replaced."""
    recipe = Recipe.load(Path(preset)) if str(preset).endswith(".toml") else Recipe.preset(str(preset))
    return (recipe.for_debugging() if debug else recipe).with_settings(settings or {})


def preset_names() -> list[str]:
    folder = resources.files("hitofude") / "recipes"
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def setting_names() -> list[str]:
    """Every setting by its dotted name."""
    return list(_flat(Recipe().model_dump()))


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """`["schedule.epochs=3", "network.name=cnn-lean"]` → names and values; a value is TOML, else plain text.

    Raises RecipeError for text without an equals sign, and for a name that stands there twice.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise RecipeError(f"'{assignment}' is not a setting. Write name=value, such as schedule.epochs=3.")
        if name.strip() in settings:
            raise RecipeError(f"'{name.strip()}' is set twice. Leave one out.")
        settings[name.strip()] = _parse_value(value.strip())
    return settings


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _suggest_setting(name: str, known: list[str]) -> str:
    """The name that a setting has now, else the nearest known one."""
    renamed = ".".join(FORMER_NAMES.get(part, part) for part in name.split("."))
    return f" It is called '{renamed}' now." if renamed != name and renamed in known else suggest(name, known)


def _explain(problem: dict[str, Any]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = [*setting_names(), *Recipe.model_fields]
        return f"{name}: there is no such setting.{_suggest_setting(name, known)}"
    found = "" if isinstance(problem["input"], Mapping) else f", found {problem['input']!r}"
    return f"{name or 'recipe'}: {problem['msg']}{found}"
