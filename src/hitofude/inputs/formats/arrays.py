"""Arrays and data frames as images, and the checks of their values."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NoReturn, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hitofude.errors import InputError, counted, first_line
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.columns import find_columns, find_texts, is_number, numbers_in
from hitofude.inputs.formats.label_column import choose_label
from hitofude.inputs.formats.labels import label_texts, labels_of_array
from hitofude.inputs.layout import ReadOptions, lay_out

FRAME_ROWS = 400
"""The rows of a frame that are looked at if its names do not tell."""


class Frame(Protocol):
    """A data frame of pandas or Polars."""

    @property
    def columns(self) -> Any: ...

    def __getitem__(self, names: Any) -> Any: ...

    def to_numpy(self) -> Any: ...


def is_frame(value: object) -> TypeGuard[Frame]:
    return hasattr(value, "to_numpy") and hasattr(value, "columns")  # the columns of a lazy frame would be computed


def raw_from_arrays(images: ArrayLike | Frame, labels: ArrayLike | None, name: str, options: ReadOptions) -> RawImages:
    """Images with or without labels.

    images: a data frame with the columns of a CSV file, or numbers of a shape that lay_out takes.
    labels: (N,) integers or text, or (N, classes) one-hot; they replace a frame's own label column. name: the
    source, for messages.

    Raise InputError for another type, shape or value, with the row, from 1, and the column of a frame.
    """
    if is_frame(images):
        raw = _raw_from_frame(images, name, options)
    else:
        pixels = real_numbers(_as_array(images, name), name)
        laid_out = lay_out(pixels, name, options)
        raw = RawImages(name, laid_out.images, None, None, reading=laid_out.reading, planes=laid_out.planes)
    if labels is None:
        return raw
    if isinstance(labels, list | tuple):  # the labels of PyTorch's data sets may be tensors of one number
        labels = [label.item() if hasattr(label, "detach") else label for label in labels]
    array = np.asarray(labels, dtype=None if hasattr(labels, "dtype") else object)
    texts, how = labels_of_array(array, f"the labels of {name}")
    return replace(raw, labels=texts, reading=(*raw.reading, *how))


def _raw_from_frame(frame: Frame, name: str, options: ReadOptions) -> RawImages:
    keys = list(frame.columns)
    names = [str(column) for column in keys]
    found = image_column(frame, name)
    if found is not None:
        return _raw_from_image_column(frame, *found, name, options)
    columns = find_columns(names, name, options, content=FrameContent(frame, name))
    if columns.are_in_one:
        values = _numbers_in_texts(frame[keys[columns.pixels[0]]], f"{name}, column '{names[columns.pixels[0]]}'")
    else:
        pixels = _as_array(frame[[keys[position] for position in columns.pixels]], name)
        values = real_numbers(pixels, name, [names[position] for position in columns.pixels])

    def texts(position: int | None) -> NDArray[np.str_] | None:
        return None if position is None else label_texts(_as_array(frame[keys[position]], name), name, names[position])

    laid_out = lay_out(values, name, options)
    label, id, groups, folds, usage = map(texts, columns.texts[:5])
    weight = columns.weights if options.like is None else None  # images to predict need none
    weights = None if weight is None else number_texts(frame[keys[weight]], name)
    return RawImages(
        name, laid_out.images, label, id, missing_labels=_missing(options), groups=groups, folds=folds,
        reading=(*columns.reading, *laid_out.reading), left_aside=columns.left_aside(name),
        label_column=columns.label_column, id_column=columns.id_column, usage=usage, planes=laid_out.planes,
        weights=weights,
    )  # fmt: skip


def image_column(frame: Frame, name: str) -> tuple[Any, NDArray[Any]] | None:
    """Return the column of a frame that holds a whole image in each row, as a file of Parquet may, and its values.

    Such a column has Polars' type Array or List, or holds arrays or lists. (N, …) numbers; None if there is no such
    column. Raise InputError if there are several, or if the images differ in size.
    """
    found = []
    for key in frame.columns:
        column = frame[key]
        first = next(iter(column), None) if str(column.dtype).startswith(("object", "Array", "List")) else None
        if isinstance(first, Sequence | np.ndarray) or (hasattr(first, "to_numpy") and hasattr(first, "dtype")):
            if isinstance(first, str | bytes):
                continue
            found.append((key, column))
    if not found:
        return None
    if len(found) > 1:
        names = " and ".join(f"'{key}'" for key, _ in found[:2])
        raise InputError(f"{name}: the columns {names} both hold images. Leave one out.")
    key, column = found[0]
    values = column.to_numpy()
    return key, values if values.dtype != object else _as_array([_nested(value) for value in values], f"{name}, {key}")


def _nested(value: Any) -> Any:
    """An array of a list, of a series, or of arrays of arrays, in which pandas keeps images of two axes."""
    if hasattr(value, "to_list") and not isinstance(value, np.ndarray):
        value = value.to_list()
    is_deeper = isinstance(value, np.ndarray) and value.dtype == object
    return np.stack([_nested(row) for row in value]) if is_deeper else value


def _raw_from_image_column(frame: Frame, key: Any, values: NDArray[Any], name: str, options: ReadOptions) -> RawImages:
    others = {str(column): frame[column] for column in frame.columns if column != key}
    names = list(others)

    def texts(position: int | None) -> NDArray[np.str_] | None:
        column = None if position is None else names[position]
        return None if column is None else label_texts(_as_array(others[column], name), name, column)

    location = f"{name}, column '{key}'"
    pixels = real_numbers(values, location)
    laid_out = lay_out(pixels, location, options)
    *found, weight = find_texts(names, options, name)
    label, id, groups, folds = map(texts, found)
    weight = weight if options.like is None else None
    weights = None if weight is None else number_texts(others[names[weight]], name)
    return RawImages(
        name, laid_out.images, label, id, missing_labels=_missing(options), groups=groups, folds=folds,
        reading=laid_out.reading, planes=laid_out.planes, weights=weights,
    )  # fmt: skip


def _missing(options: ReadOptions) -> str:
    return f"there is no column '{options.label_column}'. Name it with label=…, or give (images, labels)."


def _numbers_in_texts(texts: Any, name: str) -> NDArray[Any]:
    """'0 12 255' in each row → (N, P). Raise InputError for a row of other texts, or of more or fewer numbers."""
    rows = [numbers_in(str(text)) for text in texts]
    for row, numbers in enumerate(rows, 1):
        if len(numbers) != len(rows[0]) or not all(map(is_number, numbers)):
            raise InputError(f"{name}, row {row}: expected {counted(len(rows[0]), 'number')} as in the first row.")
    return real_numbers(np.array(rows, dtype=np.float64), name)


def number_texts(values: Any, name: str) -> NDArray[np.str_]:
    """(N,) or (N, 1) numbers → (N,) text, which stands for the same numbers. Raise InputError for anything else."""
    numbers = _as_array(values, name)
    numbers = numbers[:, 0] if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers
    if numbers.ndim != 1:
        raise InputError(f"{name}: found weights of the shape {numbers.shape}; expected (N,), one an image.")
    return _numbers_of_objects(numbers, f"{name}, weights").astype(np.str_)


class FrameContent:
    """The content of a frame, for columns whose names do not tell."""

    def __init__(self, frame: Frame, name: str) -> None:
        self._frame, self._name = frame, name

    @cached_property
    def rows(self) -> list[list[str]]:
        """Some rows from all over the frame, as text."""
        values = self._frame.to_numpy()
        step = max(1, len(values) // FRAME_ROWS)
        return [[str(value) if np.isscalar(value) else "…" for value in row] for row in values[::step].tolist()]

    def choose_label(self, first: int, last: int) -> int:
        """The label among two columns. Raise InputError if both may be it."""
        return choose_label(self.rows, first, last, self._name)


def _as_array(values: Any, name: str) -> NDArray[Any]:
    """Raise InputError for a value that is not rectangular, such as lists of different lengths."""
    try:
        if hasattr(values, "detach"):  # PyTorch's tensors: with gradients, on a GPU, of a type that NumPy lacks
            values = values.detach().cpu()
            values = values.float() if str(values.dtype) == "torch.bfloat16" else values
        return np.asarray(values.toarray() if hasattr(values, "toarray") else values)  # SciPy's sparse matrices
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: cannot be converted to an array ({error}).") from None


def real_numbers(
    values: NDArray[Any], name: str, columns: Sequence[str] | None = None, *, first_row: int = 1
) -> NDArray[Any]:
    """Check that all values are real numbers, and return uint8 if they are whole and from 0 to 255.

    columns: the names of the columns of (N, P), or of the one column of (N,). first_row: the number of the first row.
    Raise InputError for another type, and with the location of the first NaN or infinity.
    """
    if values.dtype == np.uint8 or values.size == 0:
        return values.astype(np.uint8, copy=False)
    if values.dtype.kind in "OUT":
        values = _numbers_of_objects(values, name)
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name}: found the type {values.dtype}; expected numbers.")
    least, greatest = values.min(), values.max()
    if values.dtype.kind == "f" and not (np.isfinite(least) and np.isfinite(greatest)):
        _refuse_first(~np.isfinite(values), values, name, columns, first_row)
    if least < 0 or greatest > 255:
        return values
    small = values.astype(np.uint8)
    return small if values.dtype.kind != "f" or bool((small == values).all()) else values


def _numbers_of_objects(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Convert numbers in Python objects, in pandas' types with NA, or in text. Raise InputError if one is no number."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: found the type {values.dtype}; expected numbers ({first_line(error)}).") from None


def _refuse_first(
    is_wrong: NDArray[np.bool_], values: NDArray[Any], name: str, columns: Sequence[str] | None, first_row: int
) -> NoReturn:
    first = np.unravel_index(int(is_wrong.argmax()), is_wrong.shape)
    row, *index = map(int, first)
    pixel = f"pixel {index}" if columns is None else f"column '{columns[index[0] if index else 0]}'"
    count = int(is_wrong.sum())
    others = "" if count == 1 else f" {count:,} values are not finite."
    raise InputError(f"{name}, row {row + first_row}, {pixel}: found {values[first]}, expected a number.{others}")
