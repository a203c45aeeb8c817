"""The command line: parse, call, print errors. What a command needs is imported when it runs."""

import os
import re
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter

import hitofude
from hitofude.errors import OutOfResourcesError, RecipeError, UserError

if TYPE_CHECKING:
    from hitofude.inputs.sources import Dataset

EXIT_WRONG_CALL, EXIT_OUR_BUG, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 70, 130, 143

app = App(
    name="hitofude",
    help="One command from a CSV of small images to an honest, resumable, inspectable classifier.\n\n"
    "Start with `hitofude run`: it trains on the embedded sample of 5,000 digits.",
    version=hitofude.__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
data = App(name="data", help="Look at a source before training on it.")
app.command(data)


@Parameter(name="*")
@dataclass(frozen=True)
class SourceOptions:
    """How a source is read."""

    train: Path | None = None
    "A CSV file to learn from, instead of SOURCE."
    test: Path | None = None
    "A CSV file to predict, beside --train."
    label: str | None = None
    "The label column's name, where it is not `label`."
    shape: str | None = None
    "HEIGHTxWIDTH, where the pixels make no square."

    def open(self, source: str | None) -> "Dataset":
        from hitofude.inputs.sources import open_source

        return open_source(source, train=self.train, test=self.test, label=self.label, shape=parse_shape(self.shape))


Preset = Annotated[str, Parameter(name="--preset")]
Settings = Annotated[tuple[str, ...], Parameter(name="--set", negative=(), consume_multiple=False)]
Seed = Annotated[int, Parameter(name="--seed")]
DEFAULT_SOURCE_OPTIONS = SourceOptions()


@app.command
def run(
    source: str | None = None,
    /,
    *,
    preset: Preset = "fast",
    run: Path | None = None,
    debug: Annotated[bool, Parameter(negative=())] = False,
    device: str = "auto",
    workers: str = "auto",
    threads: str = "auto",
    settings: Settings = (),
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Train on a source, validate honestly, predict its test images.

    An unfinished run in the same folder is continued; a finished one is left alone.

    For example:
      hitofude run
      hitofude run digit-recognizer.zip
      hitofude run digit-recognizer.zip --debug
      hitofude run digit-recognizer.zip --preset best
      hitofude run digit-recognizer.zip --preset article --run runs/article
      hitofude run --train mine.csv --test theirs.csv --label species --shape 24x32
      hitofude run my-folder --set schedule.epochs=20 --set ensemble.folds=5
      hitofude run digit-recognizer.zip --workers 2 --threads 1

    Parameters
    ----------
    source
        Kaggle's zip, a folder with train.csv and test.csv or with IDX files, or a labelled CSV. Left out: the
        embedded sample.
    preset
        fast, best, article, article-simple, or a recipe file (.toml).
    run
        The run's folder; by default runs/SOURCE-PRESET.
    debug
        1,000 rows, 5 epochs, 2 folds: everything, in moments.
    device
        auto, cpu, cuda or mps.
    workers
        How many members are trained side by side, each in a process of its own: auto or a number.
    threads
        The threads of each member: auto or a number. A run is continued with those that it was begun with.
    settings
        NAME=VALUE, such as schedule.epochs=3; may be repeated.
    """
    from hitofude.pipeline import run as run_pipeline
    from hitofude.recipe import parse_settings

    result = run_pipeline(
        options.open(source),
        preset=preset,
        run=run,
        settings=parse_settings(settings),
        debug=debug,
        device=device,
        workers=parse_count(workers, "--workers"),
        threads=parse_count(threads, "--threads"),
    )
    print(result.describe())


@app.command
def predict(
    run: Path,
    inputs: Annotated[tuple[Path, ...], Parameter(negative=())],
    /,
    *,
    out: Path | None = None,
    label: str | None = None,
    device: str = "auto",
) -> None:
    """Predict images by a finished run.

    Writes the id, the label and a probability a class of each image.

    For example:
      hitofude predict runs/sample-fast test.csv
      hitofude predict runs/sample-fast test.csv --out predictions.csv
      hitofude predict runs/sample-fast digit-recognizer.zip --out predictions.npz

    Parameters
    ----------
    run
        The folder of a finished run.
    inputs
        CSV (also .gz) or IDX files; of a zip or folder, its test images.
    out
        A .csv, or an .npz with ids, labels, probabilities and classes. Left out: CSV to the terminal.
    label
        The name of a label column to leave aside, where it is not `label`.
    device
        auto, cpu, cuda or mps.
    """
    from hitofude.outputs.predictions import write_csv, write_predictions
    from hitofude.prediction import predict_files

    prediction = predict_files(run, inputs, label=label, device=device)
    if out is None:
        write_csv(sys.stdout, prediction.ids, prediction.probabilities, prediction.classes)
        return
    write_predictions(out, prediction.ids, prediction.probabilities, prediction.classes)
    print(f"{len(prediction.ids):,} predictions written to {out}")


@app.command
def augment(
    source: str | None = None,
    /,
    *,
    out: Path = Path("augment.png"),
    preset: Preset = "fast",
    settings: Settings = (),
    images: int = 8,
    versions: int = 9,
    seed: Seed = 0,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Draw originals beside their transformed versions.

    For example:
      hitofude augment
      hitofude augment digit-recognizer.zip --preset article --out article.png
      hitofude augment --set augment.max_rotation=30 --set augment.rate=1.0

    Parameters
    ----------
    source
        As for run.
    out
        The PNG to write.
    preset
        Whose augmentation to draw.
    settings
        NAME=VALUE, such as augment.max_rotation=30; may be repeated.
    images
        How many originals.
    versions
        How many versions of each.
    seed
        Chooses the originals and the transformations.
    """
    from hitofude.gallery import draw_augmentation
    from hitofude.pipeline import choose_recipe
    from hitofude.recipe import parse_settings

    recipe = choose_recipe(preset, parse_settings(settings))
    draw_augmentation(out, options.open(source).train, recipe.augment, images, versions, seed)
    print(f"{images} originals and {versions} versions of each drawn in {out}")


@data.command
def show(
    source: str | None = None,
    /,
    *,
    out: Path = Path("images.png"),
    images: int = 100,
    seed: Seed = 0,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Draw a sheet of training images with their labels.

    For example:
      hitofude data show
      hitofude data show digit-recognizer.zip --out digits.png --images 200

    Parameters
    ----------
    source
        As for run.
    out
        The PNG to write.
    images
        How many, with the classes as even as they allow.
    seed
        Chooses the images.
    """
    from hitofude.gallery import draw_sheet

    shown = draw_sheet(out, options.open(source).train, images, seed)
    print(f"{shown} images drawn in {out}")


@data.command
def check(source: str | None = None, /, *, options: SourceOptions = DEFAULT_SOURCE_OPTIONS) -> None:
    """Say what is in a source, or what is wrong with it.

    For example:
      hitofude data check digit-recognizer.zip
      hitofude data check --train mine.csv --label species --shape 24x32

    Parameters
    ----------
    source
        As for run.
    """
    from hitofude.gallery import describe_dataset

    print(describe_dataset(options.open(source)))


@app.command
def score(submission: Path, solution: Path, /) -> None:
    """Compare a submission with the true labels: accuracy and its 95 % interval.

    Both are CSV files with a header, the id in the first column and the label in the second.

    For example:
      hitofude score runs/sample-fast/submission.csv solution.csv
    """
    from hitofude.outputs.submission import score as score_files

    print(f"accuracy {score_files(submission, solution)}")


@app.command
def networks(*, device: str = "auto") -> None:
    """List the networks, with their size and their speed on this machine.

    Parameters, multiplications (MACs) of one 28x28 image, images a second in training and in prediction; measured
    for some seconds each. A network is chosen by --set network.name=NAME.

    For example:
      hitofude networks

    Parameters
    ----------
    device
        auto, cpu, cuda or mps.
    """
    from hitofude.benchmark.zoo import format_networks, measure_network
    from hitofude.inputs.sources import sample
    from hitofude.learning.engine import choose_engine
    from hitofude.learning.networks import NETWORKS

    engine, images = choose_engine(device), sample().train
    print(engine)
    print(format_networks([measure_network(name, images, engine) for name in NETWORKS]))


@app.command
def bench(*, device: str = "auto", csv: Path | None = None) -> None:
    """Measure how fast this machine is with hitofude, each figure beside another way to do the same.

    Takes a few minutes. Both ways are measured in turn; read the ratios, and let the machine rest.

    For example:
      hitofude bench
      hitofude bench --csv train.csv

    Parameters
    ----------
    device
        auto, cpu, cuda or mps.
    csv
        Measure only the reading of this file.
    """
    from hitofude.benchmark.contests import contests, describe, reading
    from hitofude.benchmark.timing import format_table
    from hitofude.learning.engine import choose_engine

    engine = choose_engine(device)
    print(describe(engine), flush=True)
    print(format_table(contests(engine) if csv is None else reading(csv)))


def parse_shape(text: str | None) -> tuple[int, int] | None:
    """'24x32' → (24, 32). Raises RecipeError for anything else."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if match is None:
        raise RecipeError(f"--shape {text}: expected HEIGHTxWIDTH in pixels, such as 28x28.")
    return int(match[1]), int(match[2])


def parse_count(text: str, option: str) -> int | None:
    """'3' → 3, 'auto' → None. Raises RecipeError for anything else."""
    if text == "auto":
        return None
    if not re.fullmatch(r"[1-9]\d{0,3}", text):
        raise RecipeError(f"{option} {text}: expected auto or a number from 1 up.")
    return int(text)


def main() -> NoReturn:
    """The command's entry point: every ending has its exit code, and a user's mistake no traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for each other starve all beside them
    try:
        app(sys.argv[1:], print_error=True, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(EXIT_WRONG_CALL)
    except UserError as error:
        print(f"hitofude: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(f"\nhitofude: interrupted. {_how_to_continue()}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except _Terminated:
        print(f"hitofude: terminated. {_how_to_continue()}", file=sys.stderr)
        sys.exit(EXIT_TERMINATED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except MemoryError:
        print("hitofude: the memory is full. Close other programs, or use fewer images.", file=sys.stderr)
        sys.exit(OutOfResourcesError.exit_code)
    except Exception:
        sys.excepthook(*sys.exc_info())
        print("hitofude: this is a bug of ours; please report it with the lines above.", file=sys.stderr)
        sys.exit(EXIT_OUR_BUG)
    sys.exit(0)


def _how_to_continue() -> str:
    """The command, as it can be pasted into a shell."""
    finished = "Every finished epoch is safe. " if sys.argv[1:2] == ["run"] else ""
    return f"{finished}Run the same command again to continue:\n  {shlex.join(['hitofude', *sys.argv[1:]])}"


class _Terminated(BaseException):
    """SIGTERM has arrived."""


def _terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
