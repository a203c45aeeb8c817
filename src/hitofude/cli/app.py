"""The app, and the options that several commands share."""

import re
import shlex
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

from cyclopts import App, Group, Parameter

from hitofude.cli.help_text import HelpFormatter, shown_default
from hitofude.cli.logs import start_logging
from hitofude.errors import RecipeError
from hitofude.language.translation import Language, language_of_locale, speaking
from hitofude.version import __version__
from hitofude.workers.clusters import check_cluster

if TYPE_CHECKING:
    from hitofude.inputs.dataset import Dataset

app = App(
    name="hitofude",
    help="One command from a CSV of small images to an honest, resumable, inspectable classifier.\n\n"
    "Start with `hitofude run`: it trains on the embedded sample of 5,000 digits.",
    version=__version__,
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    default_parameter=Parameter(show_default=shown_default),
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False
app.meta.group_parameters = Group("Options of every command", sort_key=0)
data = App(name="data", help="Fetch a source, or look at it before training.")
app.command(data)
asked_language: ContextVar[Language | None] = ContextVar("asked_language", default=None)
"""The language that --language names, None without it."""


@app.meta.default
def launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
    language: Language | None = None,
) -> None:
    """Run a command.

    Parameters
    ----------
    verbose
        Log decisions and durations to the standard error; HITOFUDE_LOG=debug shows more.
    quiet
        Print only results and errors.
    language
        en or ja: of report.html and of the texts about runs and predictions; by default that of the locale (LC_ALL,
        LC_MESSAGES, LANG), if it is one of these. Help, errors, the log and all other files are English.
    """
    start_logging(verbose=verbose, quiet=quiet)
    asked = asked_language.set(language)
    try:
        with speaking(language or language_of_locale()):
            app(tokens, print_error=True, exit_on_error=False, result_action="return_value")
    finally:
        asked_language.reset(asked)


SourceName = str | Path
"""Always a str; a shell completes the names of files."""


@Parameter(name="*")
@dataclass(frozen=True)
class SourceOptions:
    """Options for reading a source."""

    train: Path | None = None
    "A file or a folder of pictures to train on, instead of SOURCE."
    test: Path | None = None
    "A file or a folder of pictures to predict, with --train."
    label: str | None = None
    "The label column, if it is not `label`: its name, or its number from 0 in a table without header."
    shape: str | None = None
    "HEIGHTxWIDTH if not square, HEIGHTxWIDTHx3 in colour, or 3xHEIGHTxWIDTH plane by plane; pictures are resized."

    groups: str | None = None
    "Rows that belong together, such as a writer's, are never on both sides of a fold: a column, or a CSV of id,group."
    folds: str | None = None
    "Folds of your own, such as a competition's: a column, or a CSV of id,fold. For run also their number, 5."
    weights: str | None = None
    "How much each training row counts in the loss, from 0 up: a column, or a CSV of id,weight. Scores count all alike."
    labels: Path | None = None
    "The file of the labels, if they are apart from the images; without it, such pairs are found by their names."
    header: Annotated[bool | None, Parameter(negative="--no-header")] = None
    "Whether the first line of a table names its columns; by default hitofude looks."
    ignore: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = ()
    "A column to leave aside, by its name or its number from 0; may be repeated."
    transpose: Annotated[bool | None, Parameter(negative="--no-transpose")] = None
    "Whether rows and columns of the images are exchanged, as in EMNIST; by default files named emnist are."
    add: Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=False)] = ()
    "Labelled images to train on, too: a folder of hitofude next, or any file or folder read as the source; repeatable."
    scale: str | None = None
    "BLACK..WHITE in numbers, such as 0..1 or 0..16; 255..0 inverts. By default found from all training images."

    def open(self, source: SourceName | None) -> "Dataset":
        from hitofude.inputs.added import add_images
        from hitofude.inputs.layout import parse_shape
        from hitofude.inputs.scale import parse_scale
        from hitofude.inputs.sources import Reading, open_source

        how = Reading(
            label=self.label,
            shape=parse_shape(self.shape),
            groups=self.groups,
            folds=self.folds,
            sample_weight=self.weights,
            labels=self.labels,
            header=self.header,
            ignore=self.ignore,
            transpose=self.transpose,
            scale=parse_scale(self.scale),
        )
        dataset = open_source(source, train=self.train, test=self.test, **how)
        for path in self.add:
            dataset = add_images(dataset, path, **how)
        return dataset


Source = Annotated[SourceName | None, Parameter(help="As for run.")]
NO_CHOICES = Parameter(show_choices=False)
"""For choices that a shell completes: the help texts explain them, and other texts may be given, too."""
Preset = Annotated[
    Literal["fast", "good", "best", "article", "article-simple"] | str, Parameter(name="--preset", show_choices=False)
]
Network = Annotated[
    Literal["cnn-lean", "cnn-medium", "cnn-deep", "vgg-24", "vgg-32", "resnet", "senet"] | str, NO_CHOICES
]
MetricName = Annotated[
    Literal["accuracy", "balanced-accuracy", "macro-f1", "log-loss", "auc", "quadratic-kappa"] | str, NO_CHOICES
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"] | str, NO_CHOICES]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative=(), consume_multiple=False)]
Plugins = Annotated[tuple[Path, ...], Parameter(name="--plugin", negative=(), consume_multiple=False)]
Trackers = Annotated[
    tuple[Literal["tensorboard", "mlflow", "wandb"], ...],
    Parameter(name="--log", negative=(), consume_multiple=False),
]
IssueLists = Annotated[tuple[Path, ...], Parameter(negative=(), consume_multiple=False)]
Seed = Annotated[int, Parameter(name="--seed")]
DEFAULT_SOURCE_OPTIONS = SourceOptions()


def parse_count(text: str, option: str) -> int | None:
    """'3' → 3, 'auto' → None. Raise RecipeError for anything else."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise RecipeError(f"{option} {text}: expected auto or a number from 1 up.")
    return int(text)


def parse_workers(text: str) -> int | str | None:
    """'3' → 3, 'auto' → None, a cluster unchanged. Raise RecipeError for anything else."""
    if text == "auto" or re.fullmatch(r"[1-9]\d{0,3}", text):
        return parse_count(text, "--workers")
    check_cluster(text)
    return text


def check_device(device: str, workers: int | str | None = None) -> None:
    """Raise RecipeError if this machine has no such device, before a large source is read.

    workers: as parse_workers returns them; the machines of a cluster may have other devices.
    """
    from hitofude.learning.compute import choose_compute

    if not isinstance(workers, str):
        choose_compute(device)


def this_command() -> str:
    """Return the command line, ready to be pasted into a shell."""
    return shlex.join(["hitofude", *sys.argv[1:]])


def tell(text: str, stream: TextIO | None = None) -> None:
    """Print a text for people, folded at the terminal's width. stream: by default stdout."""
    from hitofude.outputs.display.wrapping import tell as tell_folded

    tell_folded(text, stream)
