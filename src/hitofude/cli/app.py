"""The command's app, and the options that several commands share."""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Group, Parameter

from hitofude.cli.logs import start_logging
from hitofude.errors import RecipeError
from hitofude.version import __version__
from hitofude.workers.clusters import check_cluster

if TYPE_CHECKING:
    from hitofude.inputs.sources import Dataset

app = App(
    name="hitofude",
    help="One command from a CSV of small images to an honest, resumable, inspectable classifier.\n\n"
    "Start with `hitofude run`: it trains on the embedded sample of 5,000 digits.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False
app.meta.group_parameters = Group("Of every command", sort_key=0)
data = App(name="data", help="Fetch a source, or look at one before training on it.")
app.command(data)


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Any command, and how much it says of itself.

    Parameters
    ----------
    verbose
        What is decided, and how long it takes, on the standard error; HITOFUDE_LOG=debug shows more.
    quiet
        The outcome and errors only.
    """
    start_logging(verbose=verbose, quiet=quiet)
    app(tokens, print_error=True, exit_on_error=False, result_action="return_value")


@Parameter(name="*")
@dataclass(frozen=True)
class SourceOptions:
    """How a source is read."""

    train: Path | None = None
    "A file or a folder of pictures to learn from, instead of SOURCE."
    test: Path | None = None
    "The same to predict, beside --train."
    label: str | None = None
    "The label column's name, where it is not `label`."
    shape: str | None = None
    "HEIGHTxWIDTH, where the pixels make no square; HEIGHTxWIDTHx3 of colour images. Pictures are brought to it."

    def open(self, source: str | None) -> "Dataset":
        from hitofude.inputs.sources import open_source

        return open_source(source, train=self.train, test=self.test, label=self.label, shape=parse_shape(self.shape))


Preset = Annotated[str, Parameter(name="--preset")]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative=(), consume_multiple=False)]
Seed = Annotated[int, Parameter(name="--seed")]
DEFAULT_SOURCE_OPTIONS = SourceOptions()


def parse_shape(text: str | None) -> tuple[int, ...] | None:
    """'24x32' → (24, 32), '24x32x3' → (24, 32, 3). Raises RecipeError for anything else."""
    if text is None:
        return None
    if re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,3}(x[13])?", text) is None:
        raise RecipeError(f"--shape {text}: expected HEIGHTxWIDTH in pixels, such as 28x28, or 28x28x3 in colour.")
    return tuple(int(number) for number in text.split("x"))


def parse_count(text: str, option: str) -> int | None:
    """'3' → 3, 'auto' → None. Raises RecipeError for anything else."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise RecipeError(f"{option} {text}: expected auto or a number from 1 up.")
    return int(text)


def parse_workers(text: str) -> int | str | None:
    """'3' → 3, 'auto' → None, a cluster as it is. Raises RecipeError for anything else."""
    if text == "auto" or re.fullmatch(r"[1-9]\d{0,3}", text):
        return parse_count(text, "--workers")
    check_cluster(text)
    return text


def this_command() -> str:
    """As it can be pasted into a shell."""
    return shlex.join(["hitofude", *sys.argv[1:]])
