"""The errors that a user can meet, with the exit code of each, and helpers that write their messages.

UserError                 the base: a message for people, without a traceback
├── InputError         2  a file or its content is wrong
├── RecipeError        2  a setting is unknown, has the wrong type or range, or does not fit the data
├── RunFolderError     3  the state of the run folder forbids the request
├── WeightsError       3  a file of trained weights is damaged, incomplete, or belongs to another network
├── OutOfResourcesError 4 the disk or the memory is full
├── DivergedError      5  the loss became NaN or infinite
└── ClusterError       6  a cluster cannot be reached, was lost, or all its workers failed

Any other exception is a bug (exit code 70), including WorkerError.
"""

import re
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """An error whose message says what was found, what was expected and what to do."""

    exit_code: ClassVar[int] = 2


class InputError(UserError):
    """A file or its content is wrong."""


class RecipeError(UserError):
    """A setting is unknown, has the wrong type or range, or does not fit the data."""


class RunFolderError(UserError):
    """The state of the run folder forbids the request."""

    exit_code = 3


class WeightsError(UserError):
    """A file of trained weights is damaged, incomplete, or belongs to another network."""

    exit_code = 3


class OutOfResourcesError(UserError):
    """The disk or the memory is full."""

    exit_code = 4


class DivergedError(UserError):
    """The loss became NaN or infinite."""

    exit_code = 5


class ClusterError(UserError):
    """A cluster cannot be reached, was lost, or all its workers failed."""

    exit_code = 6


class WorkerError(RuntimeError):
    """A bug in a worker process. places: its traceback, from describe_places."""

    def __init__(self, message: str, places: Sequence[str]) -> None:
        super().__init__(message)
        self.places = tuple(places)


def describe_places(error: BaseException) -> list[str]:
    """Return the types and tracebacks of an exception and its causes, first cause first.

    Messages and values are left out, since they may contain file names, labels or pixels; paths are cut to the part
    within the packages.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = [*describe_places(cause), "", "then"] if cause is not None else []
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"  {_shorten(frame.filename)}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    in_worker = ["  in a worker process:", *error.places] if isinstance(error, WorkerError) else []
    return [*before, f"{type(error).__module__}.{type(error).__qualname__} at", *places, *in_worker]


def _shorten(filename: str) -> str:
    """Return the path relative to the longest matching entry of sys.path."""
    roots = sorted((root for root in sys.path if root and filename.startswith(root)), key=len)
    return filename.removeprefix(roots[-1]).lstrip("/\\") if roots else Path(filename).name


def first_line(error: BaseException | str) -> str:
    """Return the first line of a long message, without the words that announce a list below it."""
    return re.sub("; [^;]*:$", "", str(error).partition("\n")[0])


def pip_install(*wanted: str) -> str:
    """Return the command that installs packages here, ready to be typed.

    It names this Python, because another one's pip may be the first on the path.
    """
    return shlex.join([sys.executable or "python", "-m", "pip", "install", *wanted])


def install_command(extra: str) -> str:
    """Return the command that installs the packages of one of hitofude's extras here, as pip_install does.

    A clone is installed from its folder;
    elsewhere the packages themselves are named, because no index need have hitofude.
    """
    clone = Path(__file__).resolve().parents[2]
    if (clone / "pyproject.toml").is_file():
        wanted = ["-e", f"{clone}[{extra}]"]
    else:
        wanted = sorted(_packages_of(extra)) or [f"hitofude[{extra}]"]
    return pip_install(*wanted)


def _packages_of(extra: str) -> set[str]:
    """Return the requirements of an extra, such as `fastapi>=0.115`."""
    from importlib.metadata import requires

    found: set[str] = set()
    for line in requires("hitofude") or []:
        requirement, _, condition = (part.strip() for part in line.partition(";"))
        if re.search(f"extra == ['\"]{extra}['\"]", condition):
            others = re.match(r"hitofude\[(.*)\]", requirement)
            found.update(*map(_packages_of, others[1].split(",")) if others else [{requirement}])
    return found


def counted(count: int, noun: str) -> str:
    """'1 picture', '1,200 pictures', '2 classes'"""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def agree(count: int, verb: str) -> str:
    """Return a verb, given as it follows several things, as it follows this many: 1, 'are' → 'is'."""
    return {"are": "is", "were": "was", "have": "has", "do": "does"}.get(verb, f"{verb}s") if count == 1 else verb


def suggest(wrong: str, known: list[str], *, otherwise: str | None = None) -> str:
    """Return ' Did you mean …?' with the nearest known name, else another text, by default the list of all names."""
    nearest = get_close_matches(wrong, known, n=1, cutoff=0.5)
    if nearest:
        return f" Did you mean '{nearest[0]}'?"
    return f" {otherwise}" if otherwise else f" Known: {', '.join(known)}."


def differences(begun: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return `name: there → here` for each value that differs from the one the work was begun with."""
    return [f"{name}: {begun.get(name)} → {value}" for name, value in found.items() if begun.get(name) != value]


def explain_invalid(error: "ValidationError", explain_unknown: Callable[[str], str]) -> str:
    """Put pydantic's error into words, one line a problem: the dotted name, the problem, and the value found.

    explain_unknown: the words for the name of a key that does not exist.
    """
    lines = []
    for problem in error.errors():
        name = ".".join(map(str, problem["loc"]))
        found = "" if isinstance(problem["input"], Mapping) else f", found {problem['input']!r}"
        is_unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{name}: {explain_unknown(name) if is_unknown else problem['msg'] + found}".removeprefix(": "))
    return "\n  ".join(lines)
