"""Predictions for any images, as CSV, NPZ or Parquet."""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.formats.parquet import import_pyarrow
from hitofude.language.translation import say
from hitofude.storage import write_npz, writing

ENDINGS = (".csv", ".npz", ".parquet")
ROW_GROUP_BYTES = 1 << 22
"""The size of the probabilities in a row group of a Parquet file."""

Ids = NDArray[np.str_]  # (N,)
Labels = NDArray[np.str_]  # (N,)
Probabilities = NDArray[np.float32]  # (N, classes)
Sets = NDArray[np.bool_]  # (N, classes)
Novelty = NDArray[np.float32]  # (N,)
SEPARATOR = "|"
"""Between the labels of a set."""
NOT_SURE = "not sure"
"""The label of an image whose likeliest class is not probable enough."""
NONE_OF_THESE = "none of these"
"""The label of an image unlike those of all classes."""


class WriteBlock(Protocol):
    def __call__(
        self,
        ids: Ids,
        probabilities: Probabilities,
        labels: Labels | None = None,
        sets: Sets | None = None,
        novelty: Novelty | None = None,
    ) -> None:
        """Write the next images. labels: None for the likeliest classes. sets, novelty: if the file has the column."""


def answers(
    probabilities: Probabilities,
    classes: Sequence[str],
    sure: float | None = None,
    is_known: NDArray[np.bool_] | None = None,
) -> Labels:
    """Return the likeliest classes; NOT_SURE for an image whose highest probability is below `sure`.

    is_known: (N,) whether an image is like those of any class; the others are NONE_OF_THESE. None if that is not asked.
    """
    labels: Labels = np.asarray(classes)[probabilities.argmax(axis=1)]
    if sure is not None:
        labels = np.where(probabilities.max(axis=1) >= sure, labels, NOT_SURE)
    return labels if is_known is None else np.where(is_known, labels, NONE_OF_THESE)


def count_unanswered(labels: Labels) -> int:
    return int(np.isin(labels, (NOT_SURE, NONE_OF_THESE)).sum())


def check_sure(sure: float | None) -> None:
    """Raise RecipeError if this is no probability."""
    if sure is not None and not 0 <= sure <= 1:
        raise RecipeError(f"--sure {sure:g}: expected a probability, from 0 (always answer) to 1.")


def describe_unanswered(count: int, total: int, sure: float | None, known: float | None) -> str:
    """`130 of 3,000 not sure`. sure, known: what was asked of an answer, not both None."""
    if known is None:
        return say("{count:,} of {total:,} not sure", count=count, total=total)
    if sure is None:
        return say("{count:,} of {total:,} none of these", count=count, total=total)
    return say("{count:,} of {total:,} none of these, or not sure", count=count, total=total)


def check_ending(path: Path) -> None:
    """Raise InputError if predictions cannot be written under this name, before there are any."""
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: predictions are written as {', '.join(ENDINGS)}. Change the ending.")
    if path.suffix == ".parquet":
        import_pyarrow(path)


def write_predictions(
    path: Path,
    ids: Ids,
    probabilities: Probabilities,
    classes: Sequence[str],
    labels: Labels | None = None,
    sets: Sets | None = None,
    novelty: Novelty | None = None,
) -> None:
    """Write a .csv or .parquet (id, label, probability of each class) or .npz (ids, labels, probabilities, classes).

    labels: None for the likeliest classes. sets: the prediction sets, a column `set` of the labels in each, separated
    by |, or an array `sets`. novelty: the scores, a column or array of that name. Raises InputError for any other
    ending.
    """
    check_ending(path)
    if path.suffix == ".npz":
        labels = answers(probabilities, classes) if labels is None else labels
        more: dict[str, NDArray[Any]] = {} if sets is None else {"sets": sets}
        more |= {} if novelty is None else {"novelty": novelty}
        write_npz(path, ids=ids, labels=labels, probabilities=probabilities, classes=np.asarray(classes), **more)
    else:
        has = {"has_sets": sets is not None, "has_novelty": novelty is not None}
        with writing_predictions(path, classes, **has) as write_block:
            write_block(ids, probabilities, labels, sets, novelty)


def write_csv(
    stream: TextIO,
    ids: Ids,
    probabilities: Probabilities,
    classes: Sequence[str],
    labels: Labels | None = None,
    sets: Sets | None = None,
    novelty: Novelty | None = None,
) -> None:
    """Write a header, then a row for each image; see write_predictions."""
    write_block = _csv_writer(stream, classes, has_sets=sets is not None, has_novelty=novelty is not None)
    write_block(ids, probabilities, labels, sets, novelty)


def set_texts(sets: Sets, classes: Sequence[str]) -> list[str]:
    """Return the labels in each set as text: `4|9`."""
    return [SEPARATOR.join(name for name, holds in zip(classes, row, strict=True) if holds) for row in sets.tolist()]


@contextmanager
def writing_predictions(
    path: Path, classes: Sequence[str], *, has_sets: bool = False, has_novelty: bool = False
) -> Iterator[WriteBlock]:
    """Write a .csv or .parquet block by block; it appears under its name when all blocks are written."""
    write = _parquet_blocks if path.suffix == ".parquet" else _csv_blocks
    with writing(path) as stream, write(path, stream, classes, has_sets, has_novelty) as write_block:
        yield write_block


@contextmanager
def _csv_blocks(
    _path: Path, stream: BinaryIO, classes: Sequence[str], has_sets: bool, has_novelty: bool
) -> Iterator[WriteBlock]:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        yield _csv_writer(text, classes, has_sets=has_sets, has_novelty=has_novelty)
    finally:
        text.detach()


def _csv_writer(stream: TextIO, classes: Sequence[str], *, has_sets: bool, has_novelty: bool) -> WriteBlock:
    writer = csv.writer(stream, lineterminator="\n")
    more = [*(["set"] if has_sets else []), *(["novelty"] if has_novelty else [])]
    writer.writerow(["id", "label", *more, *_probability_columns(classes)])

    def write_block(
        ids: Ids,
        probabilities: Probabilities,
        labels: Labels | None = None,
        sets: Sets | None = None,
        novelty: Novelty | None = None,
    ) -> None:
        labels = answers(probabilities, classes) if labels is None else labels
        texts: list[Any] = [ids, labels, *([] if sets is None else [set_texts(sets, classes)])]
        texts += [] if novelty is None else [[f"{value:.5g}" for value in novelty]]
        for *first, row in zip(*texts, probabilities, strict=True):
            writer.writerow([*first, *(f"{value:.8g}" for value in row)])

    return write_block


@contextmanager
def _parquet_blocks(
    path: Path, stream: BinaryIO, classes: Sequence[str], has_sets: bool, has_novelty: bool
) -> Iterator[WriteBlock]:
    pyarrow = import_pyarrow(path)
    rows = max(1, ROW_GROUP_BYTES // (4 * len(classes)))
    held: list[Any] = []

    def write_group(writer: Any) -> None:
        writer.write_table(pyarrow.concat_tables(held), row_group_size=rows)
        held.clear()

    def write_block(
        ids: Ids,
        probabilities: Probabilities,
        labels: Labels | None = None,
        sets: Sets | None = None,
        novelty: Novelty | None = None,
    ) -> None:
        labels = answers(probabilities, classes) if labels is None else labels
        held.append(_table(pyarrow, ids, labels, probabilities, classes, sets, novelty))
        if sum(map(len, held)) >= rows:
            write_group(writer)

    no_text, no_rows = np.empty(0, str), np.empty((0, len(classes)), dtype=np.float32)
    no_sets = no_rows.astype(np.bool_) if has_sets else None
    no_novelty = np.empty(0, dtype=np.float32) if has_novelty else None
    schema = _table(pyarrow, no_text, no_text, no_rows, classes, no_sets, no_novelty).schema
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        yield write_block
        if held:
            write_group(writer)


def _probability_columns(classes: Sequence[str]) -> list[str]:
    return [f"probability_{name}" for name in classes]


def _table(
    pyarrow: Any,
    ids: Ids,
    labels: Labels,
    probabilities: Probabilities,
    classes: Sequence[str],
    sets: Sets | None,
    novelty: Novelty | None,
) -> Any:
    """Return the columns of the CSV, with the probabilities as float32."""
    texts = {"id": ids.tolist(), "label": labels.tolist()} | ({} if sets is None else {"set": set_texts(sets, classes)})
    columns = {name: pyarrow.array(column, pyarrow.string()) for name, column in texts.items()}
    columns |= {} if novelty is None else {"novelty": pyarrow.array(novelty)}
    return pyarrow.table(columns | dict(zip(_probability_columns(classes), probabilities.T, strict=True)))
