"""hitofude run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hitofude.cli.app import (
    DEFAULT_SOURCE_OPTIONS,
    Device,
    IssueLists,
    MetricName,
    Network,
    Plugins,
    Preset,
    Settings,
    SourceName,
    SourceOptions,
    Trackers,
    app,
    asked_language,
    check_device,
    parse_count,
    parse_workers,
    tell,
    this_command,
)
from hitofude.cli.logs import is_quiet
from hitofude.errors import RecipeError
from hitofude.runs.time_limit import TimeLimit


@app.command
def run(
    source: SourceName | None = None,
    /,
    *,
    preset: Preset | None = None,
    time_limit: str | None = None,
    run: Path | None = None,
    debug: Annotated[bool, Parameter(negative=())] = False,
    metric: MetricName | None = None,
    class_weights: str | None = None,
    device: Device = "auto",
    workers: str = "auto",
    threads: str = "auto",
    seed: int | None = None,
    network: Network | None = None,
    epochs: int | None = None,
    settings: Settings = (),
    plugin: Plugins = (),
    log: Trackers = (),
    drop_issues: IssueLists = (),
    relabel_issues: IssueLists = (),
    issues_from: float = 0.5,
    options: SourceOptions = DEFAULT_SOURCE_OPTIONS,
) -> None:
    """Train on a source, validate honestly, predict its test images.

    An unfinished run in the same folder is continued; a finished one is left alone.

    For example:
      hitofude run
      hitofude run digit-recognizer.zip
      hitofude run digit-recognizer.zip --debug
      hitofude run fashion-mnist
      hitofude run digit-recognizer.zip --preset best
      hitofude run digit-recognizer.zip --time-limit 10m
      hitofude run --train mine.csv --test theirs.csv --label species --shape 24x32
      hitofude run pictures-by-class --shape 32x32
      hitofude run my-folder --network cnn-lean --epochs 20 --folds 5
      hitofude run my-folder --set augment.max_rotation=0
      hitofude run my-folder --groups writer
      hitofude run my-folder --metric log-loss
      hitofude run my-folder --metric balanced-accuracy --class-weights balanced
      hitofude run digit-recognizer.zip --workers 2 --threads 1
      hitofude run digit-recognizer.zip --preset best --workers tcp://scheduler:8786
      hitofude run my-folder --plugin my_network.py --set network.name=my-net
      hitofude run digit-recognizer.zip --drop-issues reviewed.csv --issues-from 0

    Parameters
    ----------
    source
        Kaggle's zip; a folder with train.csv and test.csv (or .npz, .parquet), with IDX files, or with a folder of
        pictures for each class; a labelled CSV or Parquet file, an NPZ of images and labels; or mnist, fashion-mnist or
        kmnist, which are downloaded if missing. By default the embedded sample.
    preset
        fast, the default; good, best, article, article-simple, or a recipe file (.toml). See hitofude presets.
    time_limit
        In place of a preset, a limit on the time of the whole command: 90s, 10m, 1h30m. Measures this machine for some
        seconds, and chooses the most accurate recipe that ends in time. It is settled then: the same command continues
        the run, on any workers, and measures nothing again. --set is counted in.
    run
        The run's folder; by default runs/SOURCE-PRESET, or runs/SOURCE-LIMIT.
    debug
        Do everything quickly: 1,000 rows, 5 epochs, 2 folds.
    metric
        accuracy, by default; balanced-accuracy, macro-f1, log-loss, auc or quadratic-kappa. It judges the run; log-loss
        and auc end with a submission of probabilities, the others with labels. The report shows all of them.
    class_weights
        In the loss: balanced, so that each class counts alike, or a CSV file with the columns class and weight. See
        "Uneven classes" in docs/accuracy.md.
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    workers
        auto; the number of members trained side by side, each in its own process; or a cluster: dask or ray for a new
        one on this machine, tcp://SCHEDULER:8786, ray://HOST:10001 or HOST:6379. See docs/scaling.md.
    threads
        The threads of each member: auto or a number. A run is continued with the threads that it was begun with.
    seed
        As --set seed=N.
    network
        As --set network.name=NAME, with a --run of its own; hitofude networks lists them.
    epochs
        As --set schedule.epochs=N; so many are trained, however few rows there are.
    settings
        NAME=VALUE, such as augment.max_rotation=0; may be repeated. See hitofude settings.
    plugin
        A Python file with networks or augmentations of your own; may be repeated. See docs/extending.md.
    log
        tensorboard, mlflow or wandb: write the curves for it, too; may be repeated. See docs/tracking.md.
    drop_issues
        A label_issues.csv of a run; the training images in it whose label is probably wrong are left out. Of a list
        that hitofude review wrote, those that a person dropped. May be repeated, for one review after another.
    relabel_issues
        The same, but the images get their suggested labels. A list of hitofude review may be named by both. Both
        options change the default folder. Out-of-fold accuracy is then too high, so compare the scores of the
        submissions.
    issues_from
        The least probability_wrong of a line that both options act on. 0 acts on every line, for a list that you
        reviewed.
    """
    limit = None if time_limit is None else TimeLimit.parse(time_limit)  # it counts from now
    from hitofude.inputs.review import apply_reviews
    from hitofude.runs.pipeline import run as run_pipeline
    from hitofude.stage import parse_settings

    folds = None
    if options.folds is not None and options.folds.isdecimal():
        folds, options = int(options.folds), replace(options, folds=None)
    named = {"seed": seed, "network.name": network, "schedule.epochs": epochs, "ensemble.folds": folds}
    changes, workers_given = _with_named(parse_settings(settings), named), parse_workers(workers)
    check_device(device, workers_given)
    dataset = options.open(source)
    if not 0 <= issues_from <= 1:
        raise RecipeError(f"--issues-from {issues_from:g}: expected a probability, from 0 to 1.")
    for path, reviewed in apply_reviews(dataset, drop_issues, relabel_issues, issues_from):
        dataset = reviewed.dataset
        if not is_quiet():
            tell(reviewed.describe(path))
    result = run_pipeline(
        dataset,
        preset=preset,
        time_limit=limit,
        metric=metric,
        class_weights=class_weights,
        run=run,
        settings=changes,
        plugins=plugin,
        callbacks=log,
        debug=debug,
        device=device,
        workers=workers_given,
        threads=parse_count(threads, "--threads"),
        quiet=is_quiet(),
        command=this_command(),
        language=asked_language.get(),
    )
    tell(result.describe())


def _with_named(settings: dict[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Add the settings that options of their own give. Raises RecipeError if --set gives one of them too."""
    given = {name: value for name, value in named.items() if value is not None}
    if twice := sorted(settings.keys() & given.keys()):
        option = f"--{twice[0].removesuffix('.name').rpartition('.')[2]}"
        raise RecipeError(f"{option} and --set {twice[0]} are the same setting. Leave one out.")
    return settings | given
