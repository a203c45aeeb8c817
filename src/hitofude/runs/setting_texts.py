"""The settings explained: purpose, range, default and presets, from their declarations in hitofude.recipe."""

import ast
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from hitofude import recipe
from hitofude.errors import RecipeError
from hitofude.recipe import Recipe, preset_names, suggest_setting
from hitofude.stage import Stage

LEAST = {"minimum": "from {}", "exclusiveMinimum": "above {}"}
MOST = {"maximum": "to {}", "exclusiveMaximum": "below {}"}
"""Bounds as JSON schema names them, in words."""


@dataclass(frozen=True)
class Setting:
    """A setting of a recipe."""

    name: str
    """Dotted, as --set takes it."""
    values: str
    """The range, in words."""
    default: str
    """The value of a recipe that does not mention it."""
    text: str
    """The purpose."""
    presets: Mapping[str, tuple[str, ...]]
    """By preset, its values: one, or those of its variants in turn."""

    @property
    def stage(self) -> str:
        return self.name.rpartition(".")[0]


@cache
def explain_settings() -> tuple[Setting, ...]:
    """Return all settings in the order of the recipe: those of the whole run first, then stage by stage."""
    schema = Recipe.model_json_schema()
    recipes = {name: Recipe.preset(name) for name in preset_names()}
    return tuple(
        Setting(
            name,
            _describe_values(_find(schema, name)),
            _as_text(_value(Recipe(), name)),
            text,
            {preset: _values_in(given, name) for preset, given in recipes.items()},
        )
        for name, text in _declared()
    )


def stage_texts() -> dict[str, str]:
    """Return the purpose of each stage by its name; that of the whole run is ''."""
    stages = {name: field.annotation for name, field in Recipe.model_fields.items() if _is_stage(field.annotation)}
    return {"": "The whole run."} | {name: inspect.getdoc(stage) or "" for name, stage in stages.items()}


def find_settings(name: str) -> list[Setting]:
    """Return the setting of a name, or all of a stage, or all that have the text in their name.

    Raises RecipeError if there is none.
    """
    settings = explain_settings()
    exact = [one for one in settings if one.name == name] or [one for one in settings if one.stage == name]
    found = exact or [one for one in settings if name.lower() in one.name]
    if not found:
        remedy = suggest_setting(name, [one.name for one in settings], otherwise="hitofude settings lists all.")
        raise RecipeError(f"There is no setting '{name}'.{remedy}")
    return found


def _declared() -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of each setting, those of the whole run first."""
    stages = [(name, field.annotation) for name, field in Recipe.model_fields.items() if _is_stage(field.annotation)]
    classes: list[tuple[str, Any]] = [("", Recipe), *((f"{name}.", stage) for name, stage in stages)]
    texts = _docstrings()
    for prefix, stage in classes:
        for name, field in stage.model_fields.items():
            if not _is_stage(field.annotation):
                yield prefix + name, texts.get((stage.__name__, name), "")


def _is_stage(annotation: Any) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, Stage)


def _docstrings() -> dict[tuple[str, str], str]:
    """Return the text below each attribute of the recipe's classes, by the names of class and attribute."""
    found = {}
    classes = [node for node in ast.parse(inspect.getsource(recipe)).body if isinstance(node, ast.ClassDef)]
    for node in classes:
        for attribute, below in pairwise(node.body):
            match attribute, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[node.name, name] = " ".join(text.split())
    return found


def _find(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the schema of a setting."""
    stage, _, key = name.rpartition(".")
    if stage:
        schema = schema["$defs"][schema["properties"][stage]["$ref"].rpartition("/")[2]]
    found: Mapping[str, Any] = schema["properties"][key]
    return found


def _describe_values(schema: Mapping[str, Any]) -> str:
    """`{"type": "number", "minimum": 0, "exclusiveMaximum": 1}` → 'a number from 0, below 1'"""
    if "anyOf" in schema:
        return ", or ".join(_describe_values(one) for one in schema["anyOf"])
    if "enum" in schema:
        *others, last = map(str, schema["enum"])
        return f"{', '.join(others)} or {last}"
    if "const" in schema:
        return str(schema["const"])
    match schema["type"]:
        case "array":
            return "a list of " + _describe_values(schema["items"]).removeprefix("a ").replace("number", "numbers")
        case "object":
            return "a table"
        case "null":
            return "left out"
        case "boolean":
            return "true or false"
        case "string":
            return "text"
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    least, most = _bound(schema, LEAST), _bound(schema, MOST)
    if not most:
        return f"{kind} {least} up" if least.startswith("from") else f"{kind} {least}".rstrip()
    return f"{kind} {least} {most}" if least.startswith("from") and most.startswith("to") else f"{kind} {least}, {most}"


def _bound(schema: Mapping[str, Any], words: Mapping[str, str]) -> str:
    return next((text.format(f"{schema[name]:,}") for name, text in words.items() if name in schema), "")


def _value(given: Recipe, name: str) -> Any:
    value: Any = given
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _values_in(given: Recipe, name: str) -> tuple[str, ...]:
    """Return the value of a preset, or those of its variants in turn if they differ."""
    if name == "ensemble.variants":
        return (f"{len(given.ensemble.variants)} tables",) if given.ensemble.variants else ("none",)
    values = [_as_text(_value(one, name)) for one in given.in_turn()]
    return (values[0],) if len(set(values)) == 1 else tuple(values)


def _as_text(value: Any) -> str:
    """Return a value as --set takes it; `none` for nothing."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value == ():
        return "none"
    return str(list(value)) if isinstance(value, tuple) else str(value)
