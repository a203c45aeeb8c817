"""hitofude audit, compare, runs and score."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import DEFAULT_SOURCE_OPTIONS, MetricName, SourceName, SourceOptions, app, tell
from hitofude.errors import RecipeError
from hitofude.language.translation import say, say_count


@app.command
def audit(
    run: Path | None = None,
    /,
    *,
    labels: Path | None = None,
    probabilities: Path | None = None,
    source: SourceName | None = None,
    out: Path | None = None,
    explain: Path | None = None,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Find wrong labels, hard images and duplicates.

    Every run audits its own training images. This command repeats that audit, or
    audits the probabilities of another program or, for duplicates, the images of a
    source.

    For example:
      hitofude audit runs/sample-fast
      hitofude audit runs/sample-fast --explain why.png
      hitofude audit --labels train-labels.csv --probabilities oof.csv --out audit
      hitofude audit --source digit-recognizer.zip

    Parameters
    ----------
    run
        The folder of a finished run.
    labels
        A CSV with columns id and label, for --probabilities. With --source, the file of its labels, if they are apart
        from its images.
    probabilities
        A CSV with columns id and probability_CLASS for each class, or an .npz with ids, probabilities and classes; by
        models that never saw the row.
    source
        A source, as for hitofude run, to search for duplicates.
    out
        The folder of the lists; by default the run's folder, or the current one.
    explain
        A PNG to draw, and nothing else: the run's hardest images, each beside what its answer rests on, by networks
        that never saw it. The images are read as in the run's own command, or from --source.
    """
    from hitofude.runs.audit import audit_images, audit_labels, predictions_of_files, predictions_of_run

    has_images = source is not None or options.train is not None
    if has_images and probabilities is None:
        options, labels = replace(options, labels=labels), None
    if (labels is None) != (probabilities is None):
        raise RecipeError("--labels and --probabilities belong together; name both.")
    if run is None and labels is None and not has_images:
        raise RecipeError("Nothing to audit. Name a run, --labels and --probabilities, or a --source.")
    if explain is not None:
        _explain_hardest(run, source, options, explain)
        return
    folder = out or run or Path()
    if run is not None:
        tell(audit_labels(predictions_of_run(run), folder))
    if labels is not None and probabilities is not None:
        tell(audit_labels(predictions_of_files(labels, probabilities), folder))
    if has_images:
        tell(audit_images(options.open(source), folder))


def _explain_hardest(run: Path | None, source: str | Path | None, options: SourceOptions, path: Path) -> None:
    from hitofude.cli.run_again import run_again
    from hitofude.prediction.explanation import draw_hardest
    from hitofude.runs.result import load_result
    from hitofude.runs.review_queue import training_images

    if run is None:
        raise RecipeError("--explain draws the hardest images of a run. Name the run.")
    result = load_result(run)
    again = run_again(result, None if source is None else str(source), options)
    count = draw_hardest(result, training_images(result, again.open()), path)
    tell(say("{images} explained in {file}", images=say_count(count, "image"), file=path))


@app.command
def compare(
    runs: Annotated[tuple[Path, ...], Parameter(negative=())],
    /,
    *,
    metric: MetricName | None = None,
    out: Path | None = None,
) -> None:
    """Compare runs: which is better, and is that more than chance?

    Shows the metric on the training images that all runs predicted out of fold
    and, for each pair, a test, the images that only one predicts correctly, and
    the settings that differ. The test is McNemar's exact test for accuracy, and a
    bootstrap paired by image for other metrics, by group if images belong together.

    For example:
      hitofude compare runs/sample-fast runs/sample-article
      hitofude compare runs/sample-fast runs/sample-article --metric log-loss
      hitofude compare runs/sample-fast runs/sample-article --out differences.csv

    Parameters
    ----------
    runs
        The folders of two or more finished runs on the same training data.
    metric
        accuracy, balanced-accuracy, macro-f1, log-loss, auc or quadratic-kappa; by default the metric of the runs, or
        accuracy if theirs differ.
    out
        A CSV to write, of the images that some runs predict correctly and others do not.
    """
    from hitofude.metrics.scores import parse_metric
    from hitofude.outputs.display.wrapping import terminal_width
    from hitofude.runs.comparison import compare_runs, write_differences

    comparison = compare_runs(runs, None if metric is None else parse_metric(metric))
    tell(comparison.describe(terminal_width()))
    if out is not None:
        images = say_count(write_differences(out, comparison), "image")
        tell("\n" + say("{images} written to {file}", images=images, file=out))


@app.command
def runs(folder: Path = Path("runs"), /) -> None:
    """List the runs in a folder, the newest first.

    Each with its date, preset, source and score, or its progress. `fast +2` is
    the preset fast with two other settings. A narrow terminal shows fewer columns;
    a file or a pipe gets all.

    For example:
      hitofude runs
      hitofude runs experiments

    Parameters
    ----------
    folder
        The folder to search, with all folders below it.
    """
    from hitofude.outputs.display.wrapping import terminal_width
    from hitofude.runs.listing import list_runs

    tell(list_runs(folder, terminal_width()))


@app.command
def score(submission: Path, solution: Path, /, *, label: str | None = None, metric: MetricName = "accuracy") -> None:
    """Compare a submission with the true labels: a metric and its 95 % interval.

    Both are CSV files with a header. Ids and labels that are numbers are compared
    as numbers: 7, 7.0 and 07 are the same. With a column Usage in the solution the
    accuracy of each part is shown too, and rows that are Ignored are left out.

    For example:
      hitofude score runs/sample-fast/submission.csv solution.csv
      hitofude score submission.csv solution.csv --label species
      hitofude score submission.csv solution.csv --metric log-loss

    Parameters
    ----------
    submission
        The ids and the predicted labels.
    solution
        The same ids, in any order, and the true labels.
    label
        The name of the column of labels. By default it is the one called label, else the one that both files have, else
        the first that is neither the id nor Usage.
    metric
        accuracy, balanced-accuracy, macro-f1 or quadratic-kappa of labels; log-loss or auc of a submission with a
        probability for each class.
    """
    from hitofude.metrics.scores import NEED_PROBABILITIES, parse_metric
    from hitofude.outputs.scoring import score as score_submission
    from hitofude.outputs.scoring import score_probabilities

    chosen = parse_metric(metric)
    if chosen in NEED_PROBABILITIES:
        tell(score_probabilities(submission, solution, chosen, label=label))
    else:
        tell(score_submission(submission, solution, label=label).describe(chosen))
