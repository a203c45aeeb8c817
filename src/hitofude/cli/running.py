"""Training, and predicting with what was trained."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import (
    DEFAULT_SOURCE_OPTIONS,
    Preset,
    Settings,
    SourceOptions,
    app,
    parse_count,
    parse_shape,
    parse_workers,
    this_command,
)
from hitofude.cli.logs import is_quiet


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
    drop_issues: Path | None = None,
    relabel_issues: Path | None = None,
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
      hitofude run digit-recognizer.zip --preset article --run runs/article
      hitofude run --train mine.csv --test theirs.csv --label species --shape 24x32
      hitofude run pictures-by-class --shape 32x32
      hitofude run mnist.npz
      hitofude run my-folder --set schedule.epochs=20 --set ensemble.folds=5
      hitofude run digit-recognizer.zip --workers 2 --threads 1
      hitofude run digit-recognizer.zip --preset best --workers tcp://scheduler:8786
      hitofude run digit-recognizer.zip --drop-issues runs/digit-recognizer-fast/label_issues.csv

    Parameters
    ----------
    source
        Kaggle's zip; a folder with train.csv and test.csv (or .npz, .parquet), with IDX files, or with a folder of
        pictures for each class; a labelled CSV or Parquet file, an NPZ of images and labels; or mnist, fashion-mnist or
        kmnist, which are fetched where they are not there yet. Left out: the embedded sample.
    preset
        fast, best, article, article-simple, or a recipe file (.toml).
    run
        The run's folder; by default runs/SOURCE-PRESET.
    debug
        1,000 rows, 5 epochs, 2 folds: everything, in moments.
    device
        auto, cpu, cuda or mps.
    workers
        Where members are trained: auto; a number of them side by side, each in a process of its own; or a cluster:
        dask or ray for one of this machine, tcp://SCHEDULER:8786, ray://HOST:10001 or HOST:6379. See docs/scaling.md.
    threads
        The threads of each member: auto or a number. A run is continued with those that it was begun with.
    settings
        NAME=VALUE, such as schedule.epochs=3; may be repeated.
    drop_issues
        A label_issues.csv that you reviewed: the training images in it are left out.
    relabel_issues
        The same, but they are learned from with their suggested labels. Both have their own default folder; the
        accuracy on what is left flatters, so compare by the score of the submission.
    """
    from hitofude.inputs.review import review
    from hitofude.pipeline import run as run_pipeline
    from hitofude.recipe import parse_settings

    dataset = options.open(source)
    if drop_issues is not None:
        dataset = review(dataset, drop_issues, "drop")
    if relabel_issues is not None:
        dataset = review(dataset, relabel_issues, "relabel")
    result = run_pipeline(
        dataset,
        preset=preset,
        run=run,
        settings=parse_settings(settings),
        debug=debug,
        device=device,
        workers=parse_workers(workers),
        threads=parse_count(threads, "--threads"),
        quiet=is_quiet(),
        command=this_command(),
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
    shape: str | None = None,
    device: str = "auto",
    calibrated: Annotated[bool, Parameter(negative=())] = False,
    show: Path | None = None,
    sure: float = 0.9,
) -> None:
    """Predict images by a finished run: those of files, and what is written in photos.

    Writes the id, the label and a probability a class of each image. What is written in a photo, a scan or a drawing
    is photo.png#1, photo.png#2 and so on, in reading order; each has an answer with its probability, or "not sure".

    For example:
      hitofude predict runs/sample-fast test.csv
      hitofude predict runs/sample-fast test.csv --out predictions.csv
      hitofude predict runs/sample-fast digit-recognizer.zip --out predictions.npz
      hitofude predict runs/sample-fast test.csv --calibrated
      hitofude predict runs/leaves-fast new-leaves --shape 32x32 --out predictions.parquet
      hitofude predict runs/sample-fast photo.jpg
      hitofude predict runs/sample-fast photo.jpg scan.png --show seen.png --out answers.csv

    Parameters
    ----------
    run
        The folder of a finished run.
    inputs
        CSV (also .gz), NPZ, Parquet or IDX files, folders of pictures; of a zip or another folder, its test images;
        photos, scans and drawings (PNG, JPEG and more) of any size, dark on light or light on dark.
    out
        A .csv or .parquet, or an .npz with ids, labels, probabilities and classes. Left out: CSV to the terminal, or
        where all inputs are photos, their answers.
    label
        The name of a label column to leave aside, where it is not `label`.
    shape
        HEIGHTxWIDTH to bring pictures to, the size of the run's images; HEIGHTxWIDTHx1 makes them grey.
    device
        auto, cpu, cuda or mps.
    calibrated
        Probabilities that mean what they say: at the temperature fitted on the run's out-of-fold rows. With a picture
        among the inputs they always are.
    show
        A PNG to draw: each picture with what was found in it, beside it what the network sees, and its answers.
    sure
        What is in a picture is answered from this probability up, and else "not sure".
    """
    from hitofude.outputs.predictions import check_ending, write_csv, write_predictions
    from hitofude.prediction import describe_answers, predict_files, show_photos

    if out is not None:
        check_ending(out)
    found = predict_files(
        run, inputs, label=label, shape=parse_shape(shape), device=device, calibrated=calibrated, sure=sure
    )
    if show is not None:
        show_photos(show, found)
    if out is not None:
        write_predictions(out, found.ids, found.probabilities, found.classes, found.labels)
        print(f"{len(found.ids):,} predictions written to {out}")
    elif len(found.photos) == len(inputs):
        print(describe_answers(found))
    else:
        write_csv(sys.stdout, found.ids, found.probabilities, found.classes, found.labels)
