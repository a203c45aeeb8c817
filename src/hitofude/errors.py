"""Every error that a user can cause or meet, each with the exit code it ends with.

UserError                 the base: a message for people, never a traceback
├── InputError         2  a file, or what is in it, is wrong
├── RecipeError        2  a setting is unknown, of the wrong type, or does not fit the data
├── RunFolderError     3  the run folder's state forbids what was asked
├── WeightsError       3  a file of trained weights is damaged, incomplete, or of another network
├── OutOfResourcesError 4 the disk or the memory is full
└── DivergedError      5  the training lost its way: the loss is no longer a number

Anything else that is raised is a bug of ours (exit code 70).
"""

from difflib import get_close_matches
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


def suggest(wrong: str, known: list[str]) -> str:
    """' Did you mean …?' with the nearest known name, or the list of all names."""
    nearest = get_close_matches(wrong, known, n=1, cutoff=0.5)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" Known: {', '.join(known)}."
