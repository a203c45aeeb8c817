"""What a sweep is to do: one TOML file, validated, frozen. An unknown key is an error that suggests the nearest."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import AfterValidator, Field, ValidationError, model_validator

from hitofude.errors import RecipeError, suggest
from hitofude.inputs.sources import Dataset, open_source
from hitofude.recipe import DEFAULT_PRESET, Count, Recipe, Stage, choose_recipe

Number = int | Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Settings = dict[str, Any]
"""By dotted name, such as {"schedule.epochs": 3}."""


class Range(Stage):
    """Numbers from one to another, both included; whole ones where both of these are."""

    lowest: Number = Field(alias="from")
    highest: Number = Field(alias="to")
    log: bool = False
    """Drawn by their logarithm: as many between 0.001 and 0.01 as between 0.01 and 0.1."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(f"from ({self.lowest}) must be below to ({self.highest})")
        if self.log and self.lowest <= 0:
            raise ValueError(f"log = true needs numbers above 0, found from = {self.lowest}")
        return self

    @property
    def is_whole(self) -> bool:
        return isinstance(self.lowest, int) and isinstance(self.highest, int)


Choices = tuple[Any, ...]


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed stands there twice")
    return seeds


class SweepSpec(Stage):
    """A sweep."""

    source: str | None = None
    """As of `hitofude run`; left out, the embedded sample."""
    train: str | None = None
    test: str | None = None
    label: str | None = None
    shape: Annotated[str, Field(pattern=r"^[1-9]\d{0,3}x[1-9]\d{0,3}(x[13])?$")] | None = None
    """`24x32`, HEIGHTxWIDTH; `24x32x3` in colour."""
    preset: str = DEFAULT_PRESET
    """The recipe that all start from: a preset's name or a recipe file (.toml)."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False), AfterValidator(_each_once)] = (0,)
    """Each recipe is made with each of them; all recipes of one seed have the same folds."""
    search: Literal["grid", "random", "guided"] = "grid"
    trials: Count = 20
    """How many recipes, where the search is random or guided."""
    search_seed: Seed = 0
    """Another one draws other recipes, where the search is random or guided."""
    batch: Count = 4
    """Guided: so many recipes are asked for at once and made side by side."""
    settings: Settings = Field(default_factory=dict)
    """What differs from the preset in all recipes."""
    vary: dict[str, Range | Choices] = Field(default_factory=dict)
    """What differs between them."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises RecipeError where the file cannot be read, or does not say what to do."""
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"The sweep {path} is not valid TOML: {error}.") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The sweep {path} cannot be read: {error}.") from None
        return cls.of(content, f"The sweep {path}")

    @classmethod
    def of(cls, content: Mapping[str, Any], origin: str) -> Self:
        """Settings may be named by dotted keys in quotes or by tables."""
        content = dict(content)
        if isinstance(settings := content.get("settings"), Mapping):
            content["settings"] = _flat(settings)
        if isinstance(vary := content.get("vary"), Mapping):
            content["vary"] = {name: _variation(origin, name, value) for name, value in _flat(vary).items()}
        try:
            spec = cls.model_validate(content)
        except ValidationError as error:
            raise RecipeError(f"{origin} cannot be used:\n  {_explain(error, cls.model_fields)}") from None
        spec._check(origin)
        return spec

    def base(self) -> Recipe:
        """What all recipes start from. Raises RecipeError where there is no such preset or setting."""
        return choose_recipe(self.preset, self.settings)

    def open_source(self) -> Dataset:
        """Read the data. Raises InputError."""
        shape = None if self.shape is None else tuple(map(int, self.shape.split("x")))
        return open_source(self.source, train=self.train, test=self.test, label=self.label, shape=shape)

    def source_arguments(self) -> list[str]:
        """By which `hitofude run` reads the same data."""
        options = {"--train": self.train, "--test": self.test, "--label": self.label, "--shape": self.shape}
        given = [word for name, value in options.items() if value is not None for word in (name, value)]
        return given if self.source is None else [self.source, *given]

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    def difference(self, other: "SweepSpec") -> list[str]:
        """`name: ours → theirs` for each key that differs."""
        ours, theirs = self._facts(), other._facts()
        names = dict.fromkeys([*ours, *theirs])
        return [
            f"{name}: {ours.get(name, 'not there')} → {theirs.get(name, 'not there')}"
            for name in names
            if ours.get(name) != theirs.get(name)
        ]

    def _facts(self) -> dict[str, Any]:
        content = self.model_dump(mode="json", by_alias=True)
        tables = {f"{table}.{name}": value for table in ("settings", "vary") for name, value in content[table].items()}
        return {name: value for name, value in content.items() if name not in ("settings", "vary")} | tables

    def _check(self, origin: str) -> None:
        """Raises RecipeError where keys contradict each other."""
        if "seed" in self.settings or "seed" in self.vary:
            raise RecipeError(f"{origin}: 'seed' is no setting of a sweep. Name the seeds by seeds = [0, 1].")
        if both := sorted(self.settings.keys() & self.vary.keys()):
            raise RecipeError(f"{origin}: '{both[0]}' stands in [settings] and in [vary]. Leave one out.")
        ranges = [name for name, values in self.vary.items() if isinstance(values, Range)]
        if self.search == "grid" and ranges:
            raise RecipeError(
                f"{origin}: a grid needs choices, and '{ranges[0]}' is a range. List its values, such as [0.3, 0.6], "
                'or use search = "random".'
            )
        if self.search != "grid" and not self.vary:
            raise RecipeError(f'{origin}: search = "{self.search}" needs something in [vary].')


def _flat(content: Mapping[str, Any], prefix: str = "") -> Settings:
    """Tables within tables → dotted names. A table with `from`, `to` or `log` in it is a range."""
    flat: Settings = {}
    for name, value in content.items():
        if isinstance(value, Mapping) and not value.keys() & {"from", "to", "log"}:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _variation(origin: str, name: str, value: Any) -> Range | Choices:
    """Choices or a range. Raises RecipeError for anything else."""
    if isinstance(value, list) and value:
        return tuple(value)
    if not isinstance(value, Mapping):
        raise RecipeError(
            f"{origin}: vary.{name}: expected choices, such as [1, 2], or a range, such as {{ from = 1, to = 5 }}; "
            f"found {value!r}."
        )
    try:
        return Range.model_validate(value)
    except ValidationError as error:
        explained = _explain(error, ("from", "to", "log"))
        raise RecipeError(f"{origin} cannot be used:\n  vary.{name}: {explained}") from None


def _explain(error: ValidationError, known: Iterable[str]) -> str:
    return "\n  ".join(_explain_one(dict(problem), list(known)) for problem in error.errors())


def _explain_one(problem: dict[str, Any], known: list[str]) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{name}: there is no such key.{suggest(name, known)}"
    found = "" if isinstance(problem["input"], Mapping) else f", found {problem['input']!r}"
    return f"{name}: {problem['msg']}{found}".removeprefix(": ")
