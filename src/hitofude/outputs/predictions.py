"""Predictions for any images, as CSV, NPZ or Parquet."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.formats.parquet import import_pyarrow
from hitofude.storage import write_npz, write_text, writing

ENDINGS = (".csv", ".npz", ".parquet")
ROW_GROUP_BYTES = 1 << 22
"""Of the probabilities in a row group of a file that is written block by block."""

WriteBlock = Callable[[NDArray[np.str_], NDArray[np.float32]], None]
"""Takes the ids (N,) and the probabilities (N, classes) of the next images."""


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
    _write_header(stream, classes)
    _write_rows(stream, ids, labels, probabilities)


@contextmanager
def writing_predictions(path: Path, classes: Sequence[str]) -> Iterator[WriteBlock]:
    """Write the same .csv or .parquet block by block; it appears under its name when all blocks are written."""
    write = _parquet_blocks if path.suffix == ".parquet" else _csv_blocks
    with writing(path) as stream, write(path, stream, classes) as write_block:
        yield write_block


@contextmanager
def _csv_blocks(_path: Path, stream: BinaryIO, classes: Sequence[str]) -> Iterator[WriteBlock]:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    _write_header(text, classes)
    try:
        yield lambda ids, probabilities: _write_rows(text, ids, _likeliest(probabilities, classes), probabilities)
    finally:
        text.detach()


@contextmanager
def _parquet_blocks(path: Path, stream: BinaryIO, classes: Sequence[str]) -> Iterator[WriteBlock]:
    pyarrow = import_pyarrow(path)
    rows = max(1, ROW_GROUP_BYTES // (4 * len(classes)))
    held: list[Any] = []

    def write_group(writer: Any) -> None:
        writer.write_table(pyarrow.concat_tables(held), row_group_size=rows)
        held.clear()

    def write_block(ids: NDArray[np.str_], probabilities: NDArray[np.float32]) -> None:
        held.append(_table(pyarrow, ids, _likeliest(probabilities, classes), probabilities, classes))
        if sum(map(len, held)) >= rows:
            write_group(writer)

    nothing = np.empty((0, len(classes)), dtype=np.float32)
    schema = _table(pyarrow, np.empty(0, str), np.empty(0, str), nothing, classes).schema
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        yield write_block
        if held:
            write_group(writer)


def _write_header(stream: TextIO, classes: Sequence[str]) -> None:
    csv.writer(stream, lineterminator="\n").writerow(["id", "label", *(f"probability_{name}" for name in classes)])


def _write_rows(
    stream: TextIO, ids: NDArray[np.str_], labels: NDArray[np.str_], probabilities: NDArray[np.float32]
) -> None:
    writer = csv.writer(stream, lineterminator="\n")
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
    pyarrow = import_pyarrow(path)
    with writing(path) as stream:
        pyarrow.parquet.write_table(_table(pyarrow, ids, labels, probabilities, classes), stream)


def _table(
    pyarrow: Any,
    ids: NDArray[np.str_],
    labels: NDArray[np.str_],
    probabilities: NDArray[np.float32],
    classes: Sequence[str],
) -> Any:
    """The columns of the CSV; probabilities as they are, float32."""
    of_classes = {f"probability_{name}": probabilities[:, place] for place, name in enumerate(classes)}
    texts = {
        name: pyarrow.array(column.tolist(), pyarrow.string()) for name, column in (("id", ids), ("label", labels))
    }
    return pyarrow.table({**texts, **of_classes})
