"""Every error that a user can cause or meet, each with the exit code it ends with.

UserError                 the base: a message for people, never a traceback
├── InputError         2  a file, or what is in it, is wrong
├── RecipeError        2  a setting is unknown, of the wrong type, or does not fit the data
├── RunFolderError     3  the run folder's state forbids what was asked
├── WeightsError       3  a file of trained weights is damaged, incomplete, or of another network
├── OutOfResourcesError 4 the disk or the memory is full
├── DivergedError      5  the training lost its way: the loss is no longer a number
└── ClusterError       6  a cluster is not there, is lost, or its workers all failed

Anything else that is raised is a bug of ours (exit code 70), WorkerError among them.
"""

import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar


class UserError(Exception):
    """A message that says what was found, what was expected and what to do."""

    exit_code: ClassVar[int] = 2


class InputError(UserError):
    """A file, or what is in it, is wrong."""


class RecipeError(UserError):
    """A setting is unknown, of the wrong type or range, or does not fit the data."""


class RunFolderError(UserError):
    """The run folder's state forbids what was asked."""

    exit_code = 3


class WeightsError(UserError):
    """A file of trained weights is damaged, incomplete, or of another network."""

    exit_code = 3


class OutOfResourcesError(UserError):
    """The disk or the memory is full."""

    exit_code = 4


class DivergedError(UserError):
    """The loss became NaN or infinite."""

    exit_code = 5


class ClusterError(UserError):
    """A cluster is not there, is lost, or its workers all failed at something."""

    exit_code = 6


class WorkerError(RuntimeError):
    """A bug of ours in a worker process. places: where, as describe_places has it."""

    def __init__(self, message: str, places: Sequence[str]) -> None:
        super().__init__(message)
        self.places = tuple(places)


def describe_places(error: BaseException) -> list[str]:
    """Types and places of an exception and of those that led to it, the first cause first; no message, no value.

    Messages may hold file names, labels or pixels. Paths are cut to what lies within the packages.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = [*describe_places(cause), "", "then"] if cause is not None else []
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"  {_shorten(frame.filename)}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    in_worker = ["  in a worker process:", *error.places] if isinstance(error, WorkerError) else []
    return [*before, f"{type(error).__module__}.{type(error).__qualname__} at", *places, *in_worker]


def _shorten(filename: str) -> str:
    """The path within the place that Python imports from, without the folders of this machine."""
    roots = sorted((root for root in sys.path if root and filename.startswith(root)), key=len)
    return filename.removeprefix(roots[-1]).lstrip("/\\") if roots else Path(filename).name


def first_line(error: BaseException | str) -> str:
    """Of a message that others may have made long."""
    return str(error).partition("\n")[0]


def suggest(wrong: str, known: list[str]) -> str:
    """' Did you mean …?' with the nearest known name, or the list of all names."""
    nearest = get_close_matches(wrong, known, n=1, cutoff=0.5)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" Known: {', '.join(known)}."
