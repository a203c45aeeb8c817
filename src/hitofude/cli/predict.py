"""Predicting with what was trained: a few files at once, or any number of them part by part."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import app, parse_count, parse_shape, parse_workers
from hitofude.cli.logs import is_quiet
from hitofude.errors import InputError, RecipeError

ONLY_OF_PICTURES = "--show and --sure are for pictures, which are not predicted part by part. Name a file with --out."
ONLY_OF_PARTS = "--workers, --threads and --format are for a folder of answers. Name one with --out, such as answers/."


@app.command
def predict(
    run: Path,
    inputs: Annotated[tuple[Path, ...], Parameter(negative=())],
    /,
    *,
    out: str | None = None,
    label: str | None = None,
    shape: str | None = None,
    device: str = "auto",
    calibrated: Annotated[bool, Parameter(negative=())] = False,
    show: Path | None = None,
    sure: float | None = None,
    workers: str = "auto",
    threads: str = "auto",
    format: str | None = None,
) -> None:
    """Predict images by a finished run: those of files, and what is written in photos.

    Writes the id, the label and a probability a class of each image. What is written in a photo, a scan or a drawing
    is photo.png#1, photo.png#2 and so on, in reading order; each has an answer with its probability, or "not sure".

    With a folder for --out, any number of images: each file is a part that has its own file of answers there. Parts
    that are finished are left alone when the command is given again; one with something wrong in it is named at the
    end, and the others are done. An image without an id is called by the number of its row in its file.

    For example:
      hitofude predict runs/sample-fast test.csv
      hitofude predict runs/sample-fast test.csv --out predictions.csv
      hitofude predict runs/sample-fast digit-recognizer.zip --out predictions.npz
      hitofude predict runs/sample-fast test.csv --calibrated
      hitofude predict runs/leaves-fast new-leaves --shape 32x32 --out predictions.parquet
      hitofude predict runs/sample-fast photo.jpg
      hitofude predict runs/sample-fast photo.jpg scan.png --show seen.png --out answers.csv
      hitofude predict runs/sample-fast 'parts/*.parquet' --out answers/
      hitofude predict runs/sample-fast parts --out answers/ --workers dask

    Parameters
    ----------
    run
        The folder of a finished run.
    inputs
        CSV (also .gz), NPZ, Parquet or IDX files, folders of pictures; of a zip or another folder, its test images;
        photos, scans and drawings (PNG, JPEG and more) of any size, dark on light or light on dark. With a folder for
        --out: Parquet, CSV (also .gz) and NPZ files, folders of them, patterns in quotes such as 'parts/*.parquet'.
    out
        A .csv or .parquet, or an .npz with ids, labels, probabilities and classes; or a folder: a name that ends in /
        or has no ending. Left out: CSV to the terminal, or where all inputs are photos, their answers.
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
        Digits in a picture are answered from this probability, by default 0.9; the others are "not sure".
    workers
        With a folder for --out: auto, a number of processes, or a cluster, as of hitofude run; all machines must see
        the same folders.
    threads
        With a folder for --out: auto, or a number for each worker.
    format
        With a folder for --out: parquet or csv. Left out: Parquet where the part is that, CSV for others.
    """
    if out is not None and _is_folder(out):
        if show is not None or sure is not None:
            raise RecipeError(ONLY_OF_PICTURES)
        from hitofude.prediction.bulk.run import predict_in_bulk

        scores = predict_in_bulk(
            run,
            inputs,
            out,
            workers=parse_workers(workers),
            threads=parse_count(threads, "--threads"),
            device=device,
            calibrated=calibrated,
            label=label,
            shape=parse_shape(shape),
            format=format,
            quiet=is_quiet(),
        )
        print(scores.describe(), flush=True)
        if scores.bad:
            raise InputError(scores.describe_bad())
        return
    if (workers, threads, format) != ("auto", "auto", None):
        raise RecipeError(ONLY_OF_PARTS)
    from hitofude.metrics.calibration import SURE
    from hitofude.outputs.predictions import check_ending, write_csv, write_predictions
    from hitofude.prediction.files import describe_answers, predict_files, show_photos

    if out is not None:
        check_ending(Path(out))
    sure = SURE if sure is None else sure
    found = predict_files(
        run, inputs, label=label, shape=parse_shape(shape), device=device, calibrated=calibrated, sure=sure
    )
    if show is not None:
        show_photos(show, found)
    if out is not None:
        write_predictions(Path(out), found.ids, found.probabilities, found.classes, found.labels)
        print(f"{len(found.ids):,} predictions written to {out}")
    elif len(found.photos) == len(inputs):
        print(describe_answers(found))
    else:
        write_csv(sys.stdout, found.ids, found.probabilities, found.classes, found.labels)


def _is_folder(out: str) -> bool:
    return out.endswith(("/", "\\")) or Path(out).is_dir() or not Path(out).suffix
