"""Understanding what was trained: its training images, and other runs beside it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, SourceOptions, app
from hitofude.errors import RecipeError


@app.command
def audit(
    run: Path | None = None,
    /,
    *,
    labels: Path | None = None,
    probabilities: Path | None = None,
    source: str | None = None,
    out: Path | None = None,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Look for wrong labels, hard images, and images that are there twice.

    Every run makes this audit of its own training images; here it is made again, or made of probabilities from any
    other program, or, for images that are there twice, of a source alone.

    For example:
      hitofude audit runs/sample-fast
      hitofude audit --labels train-labels.csv --probabilities out-of-fold.csv --out audit
      hitofude audit --source digit-recognizer.zip

    Parameters
    ----------
    run
        The folder of a finished run.
    labels
        A CSV with columns id and label, beside --probabilities.
    probabilities
        A CSV with columns id and probability_CLASS for each class, or an .npz with ids, probabilities and classes; by
        models that never saw the row.
    source
        As for run: its images are compared with each other.
    out
        The folder of the lists; by default the run's folder, or this one.
    """
    from hitofude.runs.audit import audit_images, audit_labels, predictions_of_files, predictions_of_run

    if (labels is None) != (probabilities is None):
        raise RecipeError("--labels and --probabilities belong together; name both.")
    has_images = source is not None or options.train is not None
    if run is None and labels is None and not has_images:
        raise RecipeError("Nothing to audit. Name a run, --labels and --probabilities, or a --source.")
    folder = out or run or Path()
    if run is not None:
        print(audit_labels(predictions_of_run(run), folder))
    if labels is not None and probabilities is not None:
        print(audit_labels(predictions_of_files(labels, probabilities), folder))
    if has_images:
        print(audit_images(options.open(source), folder))


@app.command
def compare(runs: Annotated[tuple[Path, ...], Parameter(negative=())], /, *, out: Path | None = None) -> None:
    """Say which of several runs is better, and whether that is more than chance.

    Accuracy on the training images that all of them answered out of fold, McNemar's exact test of each pair, the images
    that one has right and the other not, the settings that differ.

    For example:
      hitofude compare_runs runs/sample-fast runs/sample-article
      hitofude compare_runs runs/sample-fast runs/sample-article --out differences.csv

    Parameters
    ----------
    runs
        The folders of two or more finished runs on the same training data.
    out
        A CSV of all images that some have right and others not, with every run's answer.
    """
    from hitofude.runs.comparison import compare_runs as compare_runs
    from hitofude.runs.comparison import write_differences

    comparison = compare_runs(runs)
    print(comparison.describe())
    if out is not None:
        print(f"\n{write_differences(out, comparison):,} images written to {out}")


@app.command
def runs(folder: Path = Path("runs"), /) -> None:
    """List the runs in a folder: when, of what, how good; or how far.

    For example:
      hitofude runs
      hitofude runs experiments

    Parameters
    ----------
    folder
        It and all folders below are looked through.
    """
    from hitofude.runs.comparison import list_runs

    print(list_runs(folder))
