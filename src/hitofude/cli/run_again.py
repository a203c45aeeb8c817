"""The command line that made a run: its source is read again, and the command is repeated with changes."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import CycloptsError

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, SourceOptions, app
from hitofude.errors import InputError

if TYPE_CHECKING:
    from hitofude.inputs.dataset import Dataset
    from hitofude.runs.result import RunResult

LEFT_OUT = ("--run", "--teacher")
"""The options of a run that another one does not repeat: its folder, and what it was distilled from."""


@dataclass(frozen=True)
class RunAgain:
    """The source of a run with its options, and the words of the command that reads and trains on it."""

    source: str | None
    options: SourceOptions
    drop: tuple[Path, ...]
    relabel: tuple[Path, ...]
    issues_from: float
    words: tuple[str, ...]
    """After `hitofude`, without --run."""

    def open(self) -> "Dataset":
        """Read the source as the run did, with the reviews that it applied. Raises InputError."""
        from hitofude.inputs.review import apply_reviews

        folds = self.options.folds
        options = replace(self.options, folds=None) if folds is not None and folds.isdecimal() else self.options
        dataset = options.open(self.source)
        reviews = apply_reviews(dataset, self.drop, self.relabel, self.issues_from)
        return reviews[-1][1].dataset if reviews else dataset

    def command(self, *more: str) -> str:
        """Return the command with further words, ready to be pasted into a shell."""
        return shlex.join(["hitofude", *self.words, *more])


def run_again(
    result: "RunResult", source: str | None = None, options: SourceOptions = DEFAULT_SOURCE_OPTIONS
) -> RunAgain:
    """Return how a run is made again: from the source that is given, else from the run's own command.

    Raises InputError if the run was made by Python, whose source no command names.
    """
    folder = result.folder
    recipe = ("--preset", str(folder.recipe))
    if source is not None or options != DEFAULT_SOURCE_OPTIONS:
        return RunAgain(source, options, (), (), 0.5, ("run", *_words_of(source, options), *recipe))
    told = result.summary.command
    words = _without(_own_words(told), LEFT_OUT)
    by_python = words[-2:] == ["--preset", "recipe.toml"]
    if by_python:  # see hitofude.runs.pipeline.run
        words = [*words[:-2], *recipe]
    try:
        command, bound, *_ = app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError:
        raise _unknown(result) from None
    if getattr(command, "__name__", "") != "run":
        raise _unknown(result)
    given: dict[str, Any] = bound.arguments
    if by_python and given["source"] != "sample" and not Path(given["source"]).exists():
        raise _unknown(result)
    return RunAgain(
        given.get("source"), given.get("options", DEFAULT_SOURCE_OPTIONS), given.get("drop_issues", ()),
        given.get("relabel_issues", ()), given.get("issues_from", 0.5), tuple(words),
    )  # fmt: skip


def _unknown(result: "RunResult") -> InputError:
    return InputError(
        f"{result.folder.path} does not say where its images are. Name its source, such as: "
        f"hitofude review {shlex.quote(str(result.folder.path))} digit-recognizer.zip"
    )


def _own_words(command: str) -> list[str]:
    """Return a command's words after `hitofude`, without the options of every command; `run` in place of `distill`."""
    try:
        _, bound, *_ = app.meta.parse_args(shlex.split(command)[1:], print_error=False, exit_on_error=False)
    except (CycloptsError, ValueError):
        return []
    words = list(bound.args)
    return ["run", *words[1:]] if words[:1] == ["distill"] else words


def _without(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Leave options and their values out."""
    found, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in options:
            skip = True
        elif not word.startswith(tuple(f"{option}=" for option in options)):
            found.append(word)
    return found


def _words_of(source: str | None, options: SourceOptions) -> list[str]:
    """Return the words that name a source and the options to read it."""
    words = [] if source is None else [source]
    for name, value in vars(options).items():
        option = f"--{name}"
        if value is True or value is False:
            words.append(option if value else f"--no-{name}")
        elif isinstance(value, tuple):
            words += [word for one in value for word in (option, str(one))]
        elif value is not None:
            words += [option, str(value)]
    return words
