"""Labels as arrays: one a row, or one-hot rows."""

from datetime import date, time
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.language.translation import note

MOST_INTEGER = 1 << 53


def labels_of_array(labels: NDArray[Any], name: str) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """(N,) or (N, 1) labels as label_texts takes them, or (N, classes) one-hot → (N,) text, and how they were read.

    name: the array, for messages. Raise InputError for anything else, and for rows with several ones.
    """
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "iufb":
        return _classes_of_one_hot(labels, name).astype(np.str_), (
            note("{name} is one-hot: column 1 is class 0", name=name),
        )
    return label_texts(labels, name), ()


def _classes_of_one_hot(rows: NDArray[Any], name: str) -> NDArray[np.int64]:
    """(N, classes) → (N,) the column of the one in each row. Raise InputError unless each row has exactly one."""
    found = f"{name}: found the shape {rows.shape}; expected (N,), one label an image"
    is_one = rows == 1
    if not (is_one | (rows == 0)).all():
        raise InputError(f"{found}, or (N, classes) of zeros with a one in each row.")
    counts = is_one.sum(axis=1)
    if (counts != 1).any():
        row = int((counts != 1).argmax())
        raise InputError(
            f"{found}. Row {row + 1} has {counts[row]} ones, so an image has several labels or none. That is not "
            "supported: hitofude answers with one class an image. Choose one of the columns as the label."
        )
    classes: NDArray[np.int64] = is_one.argmax(axis=1)
    return classes


def _whole(labels: NDArray[Any], location: str) -> NDArray[np.int64]:
    """Raise InputError for a number that is not whole."""
    is_wrong = (np.abs(labels) > MOST_INTEGER) | (labels != np.rint(labels))
    if is_wrong.any():
        first = np.unravel_index(int(is_wrong.argmax()), labels.shape)
        raise InputError(
            f"{location}, row {int(first[0]) + 1}: found {labels[first]}; expected a whole number or text. If these "
            "are numbers to predict rather than classes, hitofude cannot learn them."
        )
    return labels.astype(np.int64)


def label_texts(labels: NDArray[Any], name: str, column: str | None = None) -> NDArray[np.str_]:
    """(N,) or (N, 1) whole numbers, booleans, text (also as bytes), dates or times → (N,) text, as a CSV file has them.

    Raise InputError for anything else, and with the row for a missing value: None, NaN, NaT or NA.
    """
    location = name if column is None else f"{name}, column '{column}'"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        one_hot = " For one-hot rows use argmax(axis=1)." if labels.ndim == 2 else ""
        raise InputError(f"{location}: found the shape {labels.shape}; expected (N,), one label an image.{one_hot}")
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.dtype.kind not in "OiuUTbfM":
        raise InputError(f"{location}: found {labels.dtype}; expected whole numbers or text.")
    check_present(labels, location)
    if labels.dtype.kind == "f":
        labels = _whole(labels, location)
    for row, label in enumerate(labels.tolist() if labels.dtype.kind == "O" else [], 1):
        is_fraction = isinstance(label, float | np.floating) and not label.is_integer()
        if is_fraction or not isinstance(label, str | Real | np.bool_ | date | time | np.datetime64):
            raise InputError(f"{location}, row {row}: found {label!r:.40}; expected a whole number or text.")
    return np.char.strip(np.asarray([_text(label) for label in _items(labels)], dtype=np.str_))


def check_present(labels: NDArray[Any], location: str) -> None:
    """Raise InputError, with the row, if a label (N,) is missing: None, NaN, NaT or NA of any type."""
    if labels.dtype.kind == "f":
        is_missing = np.isnan(labels)
    elif labels.dtype.kind in "mM":
        is_missing = np.isnat(labels)
    elif labels.dtype.kind == "O" and labels.ndim == 1:
        is_missing = np.array([_is_missing(label) for label in labels], dtype=np.bool_)
    else:
        return
    if is_missing.any():
        row = int(np.unravel_index(int(is_missing.argmax()), is_missing.shape)[0])
        more = f", and in {int(is_missing.sum()) - 1:,} more" if is_missing.sum() > 1 else ""
        raise InputError(f"{location}, row {row + 1}{more}: there is no value. Fill it in, or leave the row out.")


def _is_missing(label: Any) -> bool:
    """Whether it is None, a NaN, or pandas' NaT or NA, without loading pandas."""
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, float | np.floating | np.datetime64) and bool(label != label)


def _items(labels: NDArray[Any]) -> Any:
    """The labels; dates and times as ISO 8601 has them."""
    return np.datetime_as_string(labels).tolist() if labels.dtype.kind == "M" else labels.tolist()


def _text(label: Any) -> str:
    return f"{label:.0f}" if isinstance(label, float) and label.is_integer() else str(label)
