"""Read the weights of classes in the loss from a CSV file."""

import math
from collections.abc import Sequence
from pathlib import Path

from hitofude.errors import InputError, suggest
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.spelling import Spellings


def read_class_weights(path: Path, classes: Sequence[str]) -> dict[str, float]:
    """Read a CSV file with the columns `class` and `weight`; a class that it does not name has the weight 1.

    Raise InputError if there is no such file, or with the line of an unknown or duplicate class, or of a weight that is
    no number above 0.
    """
    if not path.exists():
        raise InputError(
            f"--class-weights {path}: there is no such file. Write balanced, or name a CSV file with the columns class "
            "and weight."
        )
    spellings, weights = Spellings(classes), dict[str, float]()
    for number, (text, weight) in read_text_table(path).columns(["class", "weight"]):
        location = f"{path}, line {number}"
        name = spellings.find(text)
        if name is None:
            raise InputError(f"{location}: '{text}' is not one of the classes.{suggest(text, list(classes))}")
        if name in weights:
            raise InputError(f"{location}: duplicate class '{name}'. Remove one of its lines.")
        weights[name] = _read_weight(weight, location)
    if not weights:
        raise InputError(f"{path}: expected a line such as {classes[0]},2.5 below the header.")
    return weights


def _read_weight(text: str, location: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise InputError(f"{location}: the weight '{text}' is not a number above 0. Weigh a class by its importance.")
    return weight
