"""Probabilities as data frames of pandas or Polars, which are loaded only if they are asked for."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, RecipeError, pip_install, suggest

FrameKind = Literal["pandas", "polars"]


def import_frames(kind: str) -> Any:
    """Import the package. Raises RecipeError for another name, InputError with pip's command if it is missing."""
    if kind not in (known := list(get_args(FrameKind))):
        raise RecipeError(f"There are no frames of '{kind}'.{suggest(kind, known)}")
    try:
        return import_module(kind)
    except ModuleNotFoundError:
        raise InputError(f"Frames of {kind} need the package {kind}: {pip_install(kind)}") from None


def class_frame(kind: str, probabilities: NDArray[np.float32], classes: Sequence[str], index: Any = None) -> Any:
    """Return a frame with a column for each class, named by the class.

    probabilities: (N, classes). index: of the rows, in pandas. Raises as import_frames does.
    """
    return _frame(kind, dict(zip(classes, probabilities.T, strict=True)), index)


def labelled_frame(
    kind: str,
    ids: NDArray[np.str_],
    labels: NDArray[np.str_],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
) -> Any:
    """Return a frame with the columns id, label and probability_CLASS for each class, as files of predictions have.

    ids, labels: (N,). probabilities: (N, classes). Raises as import_frames does.
    """
    of_classes = {f"probability_{name}": column for name, column in zip(classes, probabilities.T, strict=True)}
    return _frame(kind, {"id": ids, "label": labels, **of_classes})


def _frame(kind: str, columns: Mapping[str, NDArray[Any]], index: Any = None) -> Any:
    package = import_frames(kind)
    whole = {name: np.ascontiguousarray(column) for name, column in columns.items()}
    return package.DataFrame(whole, index=index) if kind == "pandas" else package.DataFrame(whole)
