"""The settings of a stage as a frozen class, and their form as dotted names, assignments and TOML files."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from hitofude.errors import RecipeError, explain_invalid, suggest
from hitofude.storage import write_text

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


class Stage(BaseModel):
    """The settings of one stage: frozen and strictly typed; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Restore a pickle, also one with the former names of settings, or without settings that are new."""
        values = {name: field.default for name, field in type(self).model_fields.items()}
        values |= self._translate({FORMER_NAMES.get(name, name): value for name, value in state["__dict__"].items()})
        set_fields = {FORMER_NAMES.get(name, name) for name in state["__pydantic_fields_set__"]} & values.keys()
        super().__setstate__(state | {"__dict__": values, "__pydantic_fields_set__": set_fields})

    @classmethod
    def _translate(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Replace settings of earlier versions that became others."""
        return values


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


def describe_settings(settings: Mapping[str, Any]) -> str:
    """`augment.elastic_std=0.8, schedule.epochs=16`"""
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def flat(table: Mapping[str, Any], prefix: str = "", *, leaves: Iterable[str] = ()) -> dict[str, Any]:
    """Give the values in tables within tables dotted names.

    A table with one of the keys `leaves` is a value itself, and so is a setting in TABLES.
    """
    values: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping) and name.rpartition(".")[2] not in TABLES and value.keys().isdisjoint(leaves):
            values |= flat(value, f"{prefix}{name}.", leaves=leaves)
        else:
            values[prefix + name] = value
    return values
