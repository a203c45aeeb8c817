"""The recipe: all settings of a run, validated and frozen, saved as one TOML file.

One class per stage. Defaults are written only here; a preset is a TOML file with the settings that differ.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from hitofude.errors import RecipeError, explain_invalid, suggest
from hitofude.storage import write_text

DEFAULT_PRESET = "fast"
PRESETS = Path(__file__).with_name("recipes")

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Metric = Literal["accuracy", "balanced-accuracy", "macro-f1", "log-loss", "auc", "quadratic-kappa"]
"""The names of the metrics; hitofude.metrics.scores computes them."""

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
"""Renamed stages and keys, former name first: errors name the new one, and pickles are translated."""


TABLES = ("class_weights",)
"""Settings whose value may be a table."""

ClassWeights = dict[str, float]


class Stage(BaseModel):
    """The settings of one stage: frozen and strictly typed; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Restore a pickle, also one with the former names of settings, or without settings that are new."""
        values = {name: field.default for name, field in type(self).model_fields.items()}
        values |= {FORMER_NAMES.get(name, name): value for name, value in state["__dict__"].items()}
        set_fields = {FORMER_NAMES.get(name, name) for name in state["__pydantic_fields_set__"]}
        super().__setstate__(state | {"__dict__": values, "__pydantic_fields_set__": set_fields})


class TomlFile(Stage):
    """Settings that are read from and saved as one TOML file."""

    noun: ClassVar[str]
    """The kind of file, for messages."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file. Raises RecipeError if it cannot be read or is invalid."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The {cls.noun} {path} cannot be read: {error}.") from None
        return cls.from_toml(text, str(path))

    @classmethod
    def from_toml(cls, text: str, origin: str) -> Self:
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"The {cls.noun} {origin} is not valid TOML: {error}.") from None
        return cls._validated(content, f"The {cls.noun} {origin}")

    def to_toml(self) -> str:
        """Return all settings as TOML, including the defaults."""
        return tomli_w.dumps(self._content())

    def save(self, path: Path) -> None:
        write_text(path, self.to_toml())

    def difference(self, other: Self) -> list[str]:
        """Return `name: ours → theirs` for each setting that differs; None if it is not set."""
        ours, theirs = flat(self._content()), flat(other._content())
        pairs = ((name, ours.get(name), theirs.get(name)) for name in ours | theirs)
        return [f"{name}: {our} → {their}" for name, our, their in pairs if our != their]

    def _content(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def _validated(cls, content: Mapping[str, Any], origin: str) -> Self:
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise RecipeError(f"{origin} cannot be used:\n  {explain_invalid(error, cls._explain_unknown)}") from None

    @classmethod
    def _explain_unknown(cls, name: str) -> str:
        return f"there is no such key.{suggest(name, list(cls.model_fields))}"


class NetworkRecipe(Stage):
    """The network to train."""

    name: str = "cnn-medium"


class AugmentRecipe(Stage):
    """The random transformation of training images, drawn anew in each epoch. The defaults are the tutorial's."""

    probability: Share = 1.0
    """The probability that an image is warped at all, by affine map, crop and elastic displacement."""
    min_scale: Positive = 0.90
    max_scale: Positive = 1.10
    """The scales of x and y are drawn separately."""
    max_rotation: Annotated[float, Field(ge=0, le=180)] = 4.0
    """Degrees, in either direction."""
    max_shear: Annotated[float, Field(ge=0, lt=90)] = 2.0
    """Degrees, in either direction."""
    max_translation: CountOrZero = 3
    """Whole pixels, in either direction, drawn separately for x and y."""
    about: Literal["center", "origin"] = "center"
    """The fixed point of scale, rotation and shear: the centre of the image or, as in the tutorial, its corner."""
    min_crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Crop and resize: the smallest share of height and of width, drawn separately, enlarged to the whole image."""
    elastic_std: NotNegative = 0.0
    """Elastic displacement: the standard deviation, in pixels, at the knots of a coarse grid over the image."""
    elastic_grid: Annotated[int, Field(ge=2)] = 4
    """The number of knots along each side of that grid."""
    erase_probability: Share = 0.0
    """The probability that a random rectangle is blackened."""
    erase_max_area: Annotated[float, Field(gt=0, le=0.5)] = 0.15
    """The largest share of the image that the rectangle covers."""
    no_aug_epochs: CountOrZero = 0
    """The number of final epochs that train on the images as they are."""

    @model_validator(mode="after")
    def _scales_in_order(self) -> Self:
        if self.min_scale > self.max_scale:
            raise ValueError(f"min_scale ({self.min_scale}) is above max_scale ({self.max_scale})")
        return self


class OptimizerRecipe(Stage):
    """The loss and its optimizer."""

    name: Literal["adam", "adamw", "sgd", "muon"] = "adam"
    """`sgd` has Nesterov momentum; `muon` trains the convolution filters, and AdamW the other parameters."""
    learning_rate: Positive = 0.001
    """The peak of the schedule."""
    adamw_learning_rate: Positive = 0.01
    """`muon`: the peak for AdamW, which trains norms, biases and the last layer."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """For `sgd` and `muon`."""
    weight_decay: NotNegative = 0.0
    batch_size: Count = 128
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "balanced"] | ClassWeights = "none"
    """The weights of the classes in the loss: `balanced` as the inverse of their rows, or a table of class and weight,
    1 for the others. Only their ratios count."""
    sampling: Literal["natural", "balanced"] = "natural"
    """`balanced`: an epoch draws equally many rows of each class, as many in all as there are rows."""

    @field_validator("class_weights", mode="before")
    @classmethod
    def _weights_are_above_0(cls, weights: Any) -> Any:
        if weights in ("none", "balanced"):
            return weights
        if not isinstance(weights, Mapping):
            raise ValueError("expected none, balanced, or a table of class and weight such as { three = 1, eight = 5 }")
        for name, weight in weights.items():
            if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 < weight < math.inf:
                raise ValueError(f"the weight of '{name}' is {weight!r}, expected a number above 0")
        return {str(name): float(weight) for name, weight in weights.items()}


class ScheduleRecipe(Stage):
    """The length of the training and its learning rate over time."""

    name: Literal["constant", "step", "one-cycle", "cosine"] = "constant"
    """After a warm-up, `one-cycle` falls linearly and `cosine` along half a wave, both to zero."""
    epochs: Count = 20
    min_steps: CountOrZero = 0
    """If there are few rows, epochs are added until the training has this many steps."""
    milestones: tuple[Count, ...] = Field(default=(), strict=False)
    """`step`: after each of these epochs the learning rate is multiplied by `gamma`."""
    gamma: Positive = 0.1
    warmup: Share = 0.2
    """`one-cycle` and `cosine`: the share of the steps in which the learning rate rises."""
    validation_rows: Count | None = None
    """Validate each epoch on a seeded sample of this many held-out rows; out-of-fold predictions still use all."""


class EmaRecipe(Stage):
    """An exponential moving average of the weights, which replaces them in validation and prediction."""

    decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the average kept at each step, less in the first steps; 0 turns averaging off."""
    batch_norm: Literal["averaged", "recomputed"] = "averaged"
    """The batch-norm statistics: averaged like the weights, or recomputed at the end on training images."""


class EnsembleRecipe(Stage):
    """The members, and the rows that each trains on and is validated on."""

    split: Literal["folds", "holdout"] = "folds"
    """Stratified folds with one member each, or a single member with one plain random split."""
    folds: Annotated[int, Field(ge=2)] = 5
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """The share of the rows held out by `split = "holdout"`."""
    repeats: Count = 1
    """The number of different splits into folds."""
    group_copies: bool = True
    """Hold copies of an image out together, identical or nearly so: no member trains on a copy of what it holds out."""
    full_data_members: CountOrZero = 0
    """The number of additional members that train on all rows; they predict, but have no out-of-fold rows."""
    networks: tuple[str, ...] = Field(default=(), strict=False)
    """The networks of the repeats and full-data members, in turn; by default network.name for all."""


class TtaRecipe(Stage):
    """Test-time augmentation: the mean of the probabilities of an image and its shifted copies."""

    shift: CountOrZero = 0
    """Pixels, in each of the four directions; 0 turns it off."""
    threshold: Share = 1.0
    """Only images whose highest probability is below this are predicted again."""


ViewsRecipe, AveragingRecipe = TtaRecipe, EmaRecipe  # the names in pickled estimators of earlier versions


class Recipe(TomlFile):
    """All settings of a run."""

    noun = "recipe"

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    metric: Metric = "accuracy"
    """The metric that the run is judged by. It changes no network, only the headline and the kind of the submission."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 if the device has native support for it, else float32."""
    rows: Annotated[int, Field(ge=2)] | None = None
    """Train on a seeded sample of this many rows, as balanced over the classes as possible."""
    network: NetworkRecipe = NetworkRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    ema: EmaRecipe = EmaRecipe()
    ensemble: EnsembleRecipe = EnsembleRecipe()
    tta: TtaRecipe = TtaRecipe()

    @classmethod
    def preset(cls, name: str) -> Self:
        """Read a preset by name. Raises RecipeError if it does not exist."""
        if name not in preset_names():
            raise RecipeError(f"There is no preset '{name}'.{suggest(name, preset_names())}")
        return cls.from_toml((PRESETS / f"{name}.toml").read_text(encoding="utf-8"), name)

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with settings replaced, by dotted name: `{"schedule.epochs": 3}`.

        Raises RecipeError for an unknown name, an invalid value, or settings that contradict each other.
        """
        content = self.model_dump()
        for name, value in settings.items():
            *stages, key = name.split(".")
            stage: Any = content
            for part in stages:
                stage = stage.get(part) if isinstance(stage, dict) else None
            if not isinstance(stage, dict) or key not in stage:
                raise RecipeError(f"There is no setting '{name}'.{_suggest_setting(name)}")
            stage[key] = value
        if "network.name" in settings and content["ensemble"]["networks"]:
            names = ", ".join(content["ensemble"]["networks"])
            raise RecipeError(
                f"network.name contradicts ensemble.networks, which names the members' networks ({names}). "
                "Set ensemble.networks instead."
            )
        return self._validated(content, "The settings")

    def for_debugging(self) -> Self:
        """Return the tutorial's debug variant: 1,000 rows, 5 epochs, 2 folds, and batches of at most 32."""
        epochs = 5
        return self.with_settings(
            {
                "rows": 1000,
                "optimizer.batch_size": min(self.optimizer.batch_size, 32),
                "schedule.epochs": epochs,
                "schedule.milestones": tuple(end for end in self.schedule.milestones if end < epochs),
                "schedule.min_steps": 0,
                "ensemble.folds": 2,
                "ensemble.repeats": 1,
                "ensemble.full_data_members": 0,
                "ensemble.networks": self.ensemble.networks[:1],
            }
        )

    @classmethod
    def _explain_unknown(cls, name: str) -> str:
        return f"there is no such setting.{_suggest_setting(name)}"


def choose_recipe(
    preset: str | Path = DEFAULT_PRESET, settings: Mapping[str, Any] | None = None, *, debug: bool = False
) -> Recipe:
    """Return a preset or recipe file (.toml), reduced if debugging, with some settings replaced."""
    recipe = Recipe.load(Path(preset)) if str(preset).endswith(".toml") else Recipe.preset(str(preset))
    return (recipe.for_debugging() if debug else recipe).with_settings(settings or {})


def preset_names() -> list[str]:
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Parse `["schedule.epochs=3", "network.name=cnn-lean"]`; a value is TOML, else plain text.

    Raises RecipeError for text without an equals sign, and for a duplicate name.
    """
    settings: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise RecipeError(f"'{assignment}' is not a setting. Write name=value, such as schedule.epochs=3.")
        if name in settings:
            raise RecipeError(f"'{name}' is set twice. Leave one out.")
        try:
            settings[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[name] = value
    return settings


def flat(table: Mapping[str, Any], prefix: str = "", *, leaves: Iterable[str] = ()) -> dict[str, Any]:
    """Give the values in tables within tables dotted names.

    A table with one of the keys `leaves` is a value itself, and so is a setting in TABLES.
    """
    values: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping) and name not in TABLES and value.keys().isdisjoint(leaves):
            values |= flat(value, f"{prefix}{name}.", leaves=leaves)
        else:
            values[prefix + name] = value
    return values


def _suggest_setting(name: str) -> str:
    """Return the new name of a renamed setting or stage, else the nearest known setting."""
    known = [*flat(Recipe().model_dump()), *Recipe.model_fields]
    renamed = ".".join(FORMER_NAMES.get(part, part) for part in name.split("."))
    return f" It is called '{renamed}' now." if renamed != name and renamed in known else suggest(name, known)
