"""Predictions for any images, as CSV, NPZ or Parquet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.parquet import import_pyarrow
from hitofude.storage import write_npz, write_text, writing

ENDINGS = (".csv", ".npz", ".parquet")


def check_ending(path: Path) -> None:
    """Raises InputError where nothing can be written under such a name, before there is anything to write."""
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: predictions are written as {', '.join(ENDINGS)}. Change the ending.")
    if path.suffix == ".parquet":
        import_pyarrow(path)


def write_predictions(
    path: Path,
    ids: NDArray[np.str_],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    labels: NDArray[np.str_] | None = None,
) -> None:
    """Write a .csv or .parquet (id, label, a probability a class) or an .npz (ids, labels, probabilities, classes).

    ids: (N,); probabilities: (N, classes); labels: (N,) where they are not the likeliest classes. Raises InputError
    for any other ending.
    """
    check_ending(path)
    labels = _likeliest(probabilities, classes) if labels is None else labels
    if path.suffix == ".csv":
        text = io.StringIO()
        write_csv(text, ids, probabilities, classes, labels)
        write_text(path, text.getvalue())
    elif path.suffix == ".npz":
        write_npz(path, ids=ids, labels=labels, probabilities=probabilities, classes=np.asarray(classes))
    else:
        _write_parquet(path, ids, labels, probabilities, classes)


def write_csv(
    stream: TextIO,
    ids: NDArray[np.str_],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
    labels: NDArray[np.str_] | None = None,
) -> None:
    """The same as text: a header, then a row an image."""
    labels = _likeliest(probabilities, classes) if labels is None else labels
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["id", "label", *(f"probability_{name}" for name in classes)])
    for id, label, row in zip(ids, labels, probabilities, strict=True):
        writer.writerow([id, label, *(f"{value:.6f}" for value in row)])


def _likeliest(probabilities: NDArray[np.float32], classes: Sequence[str]) -> NDArray[np.str_]:
    labels: NDArray[np.str_] = np.asarray(classes)[probabilities.argmax(axis=1)]
    return labels


def _write_parquet(
    path: Path,
    ids: NDArray[np.str_],
    labels: NDArray[np.str_],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
) -> None:
    """The columns of the CSV; probabilities as they are, float32."""
    pyarrow = import_pyarrow(path)
    of_classes = {f"probability_{name}": probabilities[:, place] for place, name in enumerate(classes)}
    table = pyarrow.table({"id": ids.tolist(), "label": labels.tolist(), **of_classes})
    with writing(path) as stream:
        pyarrow.parquet.write_table(table, stream)
