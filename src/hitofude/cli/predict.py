"""hitofude predict."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hitofude.cli.app import Device, Plugins, app, check_device, parse_count, parse_workers, tell
from hitofude.cli.logs import is_quiet
from hitofude.errors import InputError, RecipeError
from hitofude.language.translation import say, say_count

PICTURES_ONLY = "--show and --explain draw some images, not those of a bulk prediction. Name a file with --out."
CALIBRATED = "--calibrated is the default now; leave it out. --raw gives the uncalibrated probabilities."
BULK_ONLY = "--workers, --threads and --format are for a folder of predictions. Name one with --out, such as answers/."


@app.command
def predict(
    run: Path,
    inputs: Annotated[tuple[Path, ...], Parameter(negative=())],
    /,
    *,
    out: str | None = None,
    label: str | None = None,
    shape: str | None = None,
    scale: str | None = None,
    transpose: Annotated[bool | None, Parameter(negative="--no-transpose")] = None,
    device: Device = "auto",
    raw: Annotated[bool, Parameter(negative=())] = False,
    calibrated: Annotated[bool, Parameter(negative=(), show=False)] = False,
    sets: float | None = None,
    show: Path | None = None,
    explain: Path | None = None,
    sure: float | None = None,
    known: float | None = None,
    workers: str = "auto",
    threads: str = "auto",
    format: str | None = None,
    plugin: Plugins = (),
) -> None:
    """Predict images with a finished run: of files, in bulk, or the digits in photos.

    Writes the id, the label and the probability of each class for every image. The
    digits in a photo, a scan or a drawing are called photo.png#1, photo.png#2 and
    so on, in reading order; each has an answer with its probability, or "not sure".
    With --sure, so has every image.

    With a folder for --out, predicts any number of images in bulk: each input file
    is a shard, with a file of predictions of its own there. The same command again
    leaves finished shards alone. Bad shards are listed at the end, after all others
    are done. The id of an image without one is its row number in its file.

    For example:
      hitofude predict runs/sample-fast test.csv
      hitofude predict runs/sample-fast test.csv --out predictions.csv
      hitofude predict runs/sample-fast test.csv --raw --out as-predicted.csv
      hitofude predict runs/sample-fast test.csv --sets 0.95
      hitofude predict runs/sample-fast test.csv --sure 0.9 --out answers.csv
      hitofude predict runs/sample-fast mixed.csv --known 0.95 --out answers.csv
      hitofude predict runs/sample-fast digit-recognizer.zip --out predictions.npz
      hitofude predict runs/leaves-fast new-leaves --shape 32x32 --out new.parquet
      hitofude predict runs/sample-fast photo.jpg scan.png --show seen.png
      hitofude predict runs/sample-fast photo.jpg --explain why.png
      hitofude predict runs/sample-fast 'shards/*.parquet' --out answers/
      hitofude predict runs/sample-fast shards --out answers/ --workers dask

    Parameters
    ----------
    run
        The folder of a finished run.
    inputs
        CSV (also .gz), NPZ, Parquet or IDX files, folders of pictures; the test images of a zip or another folder;
        photos, scans and drawings (PNG, JPEG and more) of any size, dark on light or light on dark. With a folder for
        --out: Parquet, CSV (also .gz) and NPZ files, folders of them, patterns in quotes such as 'shards/*.parquet'.
    out
        A .csv or .parquet, or an .npz with ids, labels, probabilities and classes; or a folder: a name that ends in /
        or has no ending. By default CSV to the terminal, or only the answers if all inputs are photos.
    label
        The name of a label column to ignore, if it is neither `label` nor that of the training files.
    shape
        HEIGHTxWIDTH to scale pictures to, the size of the run's images; HEIGHTxWIDTHx1 makes them grey.
    scale
        LOW..HIGH, the numbers of the files that are black and white, such as 0..1, if they are not on the scale of the
        run's training images; 255..0 inverts.
    transpose
        Whether rows and columns of the images are exchanged in the files, as in EMNIST; by default as in the run's own
        files, and in files named emnist. Pictures are never transposed.
    device
        auto, cpu, cuda, cuda:1 for the second GPU, or mps.
    raw
        Leave the probabilities as the networks predict them. By default they are calibrated by the run's temperature,
        so that nine in ten answers with a probability of 0.9 are right; the answers are the same. Networks of
        import-chainer have no temperature: theirs are always raw.
    sets
        Give each image the set of labels that holds the true one for this share of images, such as 0.95, in a column
        `set`: 4, or 4|9. A set holds at least the likeliest label, so more sets than asked for are right if the
        answers alone are right more often.
    show
        A PNG to draw: each photo with the digits found in it, the images given to the network, and its answers.
    explain
        A PNG to draw: up to 50 of the images, each beside what its answer rests on. Red parts are evidence for it, blue
        parts against it: the answer gets less or more probable if they are hidden.
    sure
        Images are answered from this probability; the label of the others is "not sure". For digits in photos by
        default 0.9; without it all other images are answered.
    known
        The share of images like the training images that is answered, such as 0.95. Images less like them, as letters
        are if digits were learned, have the label "none of these". The score is in a column `novelty`. In photos by
        default 0.97, unless --sure is given; without it all other images are answered.
    workers
        With a folder for --out: auto, a number of processes, or a cluster, as for hitofude run; all machines must see
        the same folders.
    threads
        With a folder for --out: auto, or a number for each worker.
    format
        With a folder for --out: parquet or csv. By default Parquet for Parquet shards, CSV for others.
    plugin
        The Python file of the run's own network, if it has one, such as RUN/plugins/my_network.py. It is run, so look
        at it first if the run is not yours.
    """
    from hitofude.inputs.layout import parse_shape
    from hitofude.inputs.scale import parse_scale
    from hitofude.learning.plugins import load_plugins
    from hitofude.runs.folder import RunFolder

    RunFolder(run).check_is_run()
    workers_given = parse_workers(workers)
    check_device(device, workers_given)
    load_plugins(plugin)
    _check_calibration(run, raw=raw, calibrated=calibrated, sets=sets)
    how: dict[str, Any] = {"label": label, "shape": parse_shape(shape), "scale": parse_scale(scale)}
    how |= {"device": device, "raw": raw, "sure": sure, "level": sets, "known": known, "transpose": transpose}
    _tell_transposed(run, inputs, transpose)
    if out is not None and _is_folder(out):
        if show is not None or explain is not None:
            raise RecipeError(PICTURES_ONLY)
        at_once = {"workers": workers_given, "threads": parse_count(threads, "--threads"), "format": format}
        _predict_in_bulk(run, inputs, out, **how, **at_once)
    elif (workers, threads, format) != ("auto", "auto", None):
        raise RecipeError(BULK_ONLY)
    else:
        _predict_at_once(run, inputs, None if out is None else Path(out), show, explain, **how)


def _predict_in_bulk(run: Path, inputs: Sequence[Path], out: str, **how: Any) -> None:
    from hitofude.prediction.bulk.run import predict_in_bulk

    result = predict_in_bulk(run, inputs, out, **how, quiet=is_quiet())
    tell(result.describe())
    if result.bad:
        raise InputError(result.describe_bad())


def _predict_at_once(
    run: Path, inputs: Sequence[Path], out: Path | None, show: Path | None, explain: Path | None, **how: Any
) -> None:
    from hitofude.outputs.predictions import (
        check_ending,
        count_unanswered,
        describe_unanswered,
        write_csv,
        write_predictions,
    )
    from hitofude.prediction.explanation import draw_explanations
    from hitofude.prediction.files import describe_answers, predict_files, show_photos

    if out is not None:
        check_ending(out)
    found = predict_files(run, inputs, **how)
    content = found.ids, found.probabilities, found.classes, found.labels, found.sets, found.novelty
    if show is not None:
        show_photos(show, found)
    if explain is not None:
        count = draw_explanations(run, found, explain, device=how["device"])
        drawn = say_count(count, "image")
        tell(say("{images} explained in {file}", images=drawn, file=explain), sys.stderr)
    unanswered = None
    sure, known = how["sure"], how["known"]
    if sure is not None or known is not None:
        unanswered = describe_unanswered(count_unanswered(found.labels), len(found.labels), sure, known)
    if out is not None:
        write_predictions(out, *content)
        text = say("{predictions} written to {file}", predictions=say_count(len(found.ids), "prediction"), file=out)
        tell(f"{text}; {unanswered}" if unanswered else text)
    elif len(found.photos) == len(inputs):
        tell(describe_answers(found))
    else:
        write_csv(sys.stdout, *content)
        if unanswered and not is_quiet():
            tell(say("note: {text}", text=unanswered), sys.stderr)


def _check_calibration(run: Path, *, raw: bool, calibrated: bool, sets: float | None) -> None:
    """Raise RecipeError for options that do not go together, and for that of earlier versions.

    Say so if the run's probabilities cannot be calibrated.
    """
    from hitofude.runs.folder import RunFolder

    if calibrated:
        raise RecipeError(CALIBRATED)
    if raw and sets is not None:
        raise RecipeError("--sets needs calibrated probabilities. Leave --raw out.")
    if not raw and not is_quiet() and RunFolder(run).is_imported:
        tell(
            say(
                "note: {text}",
                text=say(
                    "imported networks have no temperature, so these probabilities are as predicted, not calibrated"
                ),
            ),
            sys.stderr,
        )


def _tell_transposed(run: Path, inputs: Sequence[Path], transpose: bool | None) -> None:
    """Say so if rows and columns of the images are exchanged without being asked for."""
    from hitofude.inputs.layout import ReadOptions, is_transposed
    from hitofude.inputs.photos.photo_file import is_picture
    from hitofude.runs.folder import RunFolder

    if transpose is not None or is_quiet() or not RunFolder(run).data.exists():
        return
    by_run = RunFolder(run).load_data().transposed
    tables = [path for path in inputs if not is_picture(path)]
    if not tables or not (by_run or any(is_transposed(str(path), ReadOptions()) for path in tables)):
        return
    if by_run:
        text = say(
            "rows and columns of the images are exchanged, as in the run's own files; --no-transpose if they are not"
        )
    else:
        text = say("rows and columns of the images are exchanged, as in EMNIST's files; --no-transpose if they are not")
    tell(say("note: {text}", text=text), sys.stderr)


def _is_folder(out: str) -> bool:
    return out.endswith(("/", "\\")) or Path(out).is_dir() or not Path(out).suffix
