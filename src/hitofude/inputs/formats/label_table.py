"""Tables of labels beside the images: one column, an id and a label, or one-hot rows; with a header or without."""

import csv
import io
import shlex
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, counted
from hitofude.inputs.formats.archive import Place, open_file, reading
from hitofude.inputs.formats.columns import LABEL_NAMES, find_label, is_number
from hitofude.inputs.formats.labels import labels_of_array
from hitofude.inputs.formats.text_table import DELIMITERS
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.spelling import without_zero_decimals
from hitofude.language.translation import note

IDS = (
    "id", "image_id", "imageid", "img_id", "file", "filename", "file_name", "image", "img", "path", "image_path",
    "name",
)  # fmt: skip
"""The names of a column of ids or of pictures' names, the likeliest first."""


def read_rows(path: Place) -> list[list[str]]:
    """The lines of a small table, split at commas, semicolons, tabs or spaces. Raise InputError."""
    with reading(str(path)), open_file(path) as stream:
        text = stream.read().decode("utf-8-sig")
    first = text[: text.find("\n")] if "\n" in text else text
    delimiter = max(DELIMITERS, key=first.count)
    if first.count(delimiter) == 0 and " " in first.strip() and '"' not in first:
        rows = [line.split() for line in text.splitlines()]
    else:
        try:
            rows = [[field.strip() for field in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter)]
        except csv.Error as error:
            raise InputError(f"{path}: cannot be read as CSV ({error}).") from None
    rows = [row for row in rows if any(row)]
    if not rows:
        raise InputError(f"{path}: expected labels, but the file is empty.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"{path}, line {number}: {counted(len(row), 'field')}, expected {len(rows[0])} as in line 1."
            )
    return rows


def read_label_table(
    path: Place, options: ReadOptions
) -> tuple[NDArray[np.str_], NDArray[np.str_] | None, tuple[str, ...]]:
    """Read (N,) labels as text, their ids if there is a column of them, and how the table was read.

    Raise InputError if it cannot be known which column holds the labels.
    """
    rows = read_rows(path)
    header = options.header if options.header is not None else not all(map(is_number, rows[0]))
    if len(rows[0]) > 2 and all(map(is_number, chain(*rows[header:][:100]))):
        numbers = np.array([[float(field.replace(",", ".")) for field in row] for row in rows[header:]])
        if ((numbers == 0) | (numbers == 1)).all():
            labels, how = labels_of_array(numbers, path.name)
            return labels, None, how
    if not header and len(rows[0]) > 1:
        raise InputError(
            f"{path}: {counted(len(rows[0]), 'column')} without names. Expected one column, or a first line id,label."
        )
    names, lines = rows[0] if header else ["1"], rows[header:]
    label, id = find_label_and_id(names, options, str(path))
    how = () if header else (note("{file} has no header: its one column is the label", file=path.name),)
    texts = np.array([without_zero_decimals(row[label]) for row in lines])
    return texts, None if id is None else np.array([row[id] for row in lines]), how


def find_label_and_id(names: list[str], options: ReadOptions, location: str) -> tuple[int, int | None]:
    """The positions of the labels, and of the ids or file names. Raise InputError if there are several candidates."""
    label = find_label(names, options.label_column)
    small = [name.lower().replace(" ", "_") for name in names]
    if options.label is None and label is None:
        label = next((small.index(name) for name in LABEL_NAMES if name in small), None)
    id = next((small.index(name) for name in IDS if name in small and small.index(name) != label), None)
    if label is None and options.label is None and len(names) == 2 and id is not None:
        label = 1 - id
    if label is None and options.label is None and len(names) == 1:
        label = 0
    if label is None:
        others = [name for position, name in enumerate(names) if position != id]
        raise InputError(
            f"{location}, line 1: which column is the label? It may be {', '.join(others)}. Name it, such as with "
            f"--label {shlex.quote(others[0])}."
        )
    return label, id
