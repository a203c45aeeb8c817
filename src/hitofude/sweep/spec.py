"""A sweep's file: TOML, validated, frozen. An unknown key is an error that suggests the nearest."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from hitofude.errors import suggest
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.layout import SHAPE_PATTERN, parse_shape
from hitofude.inputs.scale import parse_scale
from hitofude.inputs.sources import open_source
from hitofude.recipe import DEFAULT_PRESET, Count, Recipe, choose_recipe
from hitofude.stage import Stage, TomlFile, flat

Number = int | Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Settings = dict[str, Any]
"""Values by dotted name, such as {"schedule.epochs": 3}."""
RANGE_KEYS = ("from", "to", "log")


class Range(Stage):
    """Numbers between two bounds, both included; whole numbers if both bounds are whole."""

    lowest: Number = Field(alias="from")
    highest: Number = Field(alias="to")
    log: bool = False
    """Draw the logarithm evenly: as many numbers between 0.001 and 0.01 as between 0.01 and 0.1."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"from ({self.lowest}) must be below to ({self.highest})")
        if self.log and self.lowest <= 0:
            raise ValueError(f"log = true needs numbers above 0, found from = {self.lowest}")
        return self

    @property
    def is_whole(self) -> bool:
        return isinstance(self.lowest, int) and isinstance(self.highest, int)


def _kind(value: Any) -> str | None:
    if isinstance(value, Mapping | Range):
        return "range"
    return "choices" if isinstance(value, list | tuple) and value else None


def _flat(table: Any) -> Any:
    """Tables within tables → dotted names; anything else is left to the validation."""
    return flat(table, leaves=RANGE_KEYS) if isinstance(table, Mapping) else table


def _all_different(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("duplicate seed")
    return seeds


def _refuse_former_name(search: Any) -> Any:
    if search == "guided":
        raise ValueError("it is called 'tpe' now")
    return search


Choices = tuple[Any, ...]
Variation = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Field(strict=False), Tag("choices")],
    Discriminator(
        _kind,
        custom_error_type="variation",
        custom_error_message="expected choices, such as [1, 2], or a range, such as { from = 1, to = 5 }",
    ),
]


class SweepSpec(TomlFile):
    """The content of a sweep's file."""

    noun = "sweep"

    source: str | None = None
    """As for `hitofude run`; the embedded sample if left out."""
    train: str | None = None
    test: str | None = None
    label: str | None = None
    shape: Annotated[str, Field(pattern=SHAPE_PATTERN)] | None = None
    """HEIGHTxWIDTH, such as `24x32`; `24x32x3` for colour."""
    groups: str | None = None
    folds: str | None = None
    weights: str | None = None
    """A column of the training file, or a CSV file of ids and groups, folds or weights."""
    labels: str | None = None
    header: bool | None = None
    ignore: Annotated[tuple[str, ...], Field(strict=False)] = ()
    transpose: bool | None = None
    scale: str | None = None
    """As the options of `hitofude run`."""
    preset: str = DEFAULT_PRESET
    """The base of all recipes: a preset's name or a recipe file (.toml)."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False), AfterValidator(_all_different)] = (0,)
    """Each recipe is trained with each seed; all recipes with the same seed have the same folds."""
    search: Annotated[Literal["grid", "random", "tpe"], BeforeValidator(_refuse_former_name)] = "grid"
    trials: Count = 20
    """The number of recipes, for random and tpe."""
    search_seed: Seed = 0
    """Another seed draws other recipes, for random and tpe."""
    batch: Count = 4
    """For tpe: the recipes proposed at once and trained side by side."""
    settings: Annotated[Settings, BeforeValidator(_flat)] = Field(default_factory=dict)
    """Changes of the preset, the same for all recipes."""
    vary: Annotated[dict[str, Variation], BeforeValidator(_flat)] = Field(default_factory=dict)
    """The values tried of each setting that differs between the recipes."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if "seed" in self.settings or "seed" in self.vary:
            raise ValueError("'seed' is not a setting of a sweep. Name the seeds by seeds = [0, 1].")
        if "metric" in self.vary:
            raise ValueError("'metric' cannot vary: it judges the recipes. Name it in [settings].")
        if both := sorted(self.settings.keys() & self.vary.keys()):
            raise ValueError(f"'{both[0]}' is in [settings] and in [vary]. Remove one.")
        ranges = [name for name, values in self.vary.items() if isinstance(values, Range)]
        if self.search == "grid" and ranges:
            raise ValueError(
                f"a grid needs choices, and '{ranges[0]}' is a range. List its values, such as [0.3, 0.6], "
                'or use search = "random".'
            )
        if self.search != "grid" and not self.vary:
            raise ValueError(f'search = "{self.search}" needs at least one setting in [vary].')
        return self

    def base(self) -> Recipe:
        """Return the recipe that all others change. Raise RecipeError for an unknown preset or setting."""
        return choose_recipe(self.preset, self.settings)

    def open_source(self) -> Dataset:
        """Read the data. Raise InputError if they cannot be used."""
        return open_source(
            self.source,
            train=self.train,
            test=self.test,
            label=self.label,
            shape=parse_shape(self.shape),
            groups=self.groups,
            folds=self.folds,
            sample_weight=self.weights,
            labels=self.labels,
            header=self.header,
            ignore=self.ignore,
            transpose=self.transpose,
            scale=parse_scale(self.scale),
        )

    def source_arguments(self) -> list[str]:
        """Return the arguments with which `hitofude run` reads the same data."""
        names = ("train", "test", "label", "shape", "groups", "folds", "weights", "labels", "scale")
        options = {f"--{name}": getattr(self, name) for name in names}
        given = [word for name, value in options.items() if value is not None for word in (name, value)]
        given += [word for column in self.ignore for word in ("--ignore", column)]
        for name in ("header", "transpose"):
            if (value := getattr(self, name)) is not None:
                given.append(f"--{'' if value else 'no-'}{name}")
        return given if self.source is None else [self.source, *given]

    @classmethod
    def _explain_unknown(cls, name: str) -> str:
        *stages, key = name.split(".")
        return f"there is no such key.{suggest(key, list(RANGE_KEYS if stages else cls.model_fields))}"
