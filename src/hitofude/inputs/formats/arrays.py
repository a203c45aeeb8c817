"""Arrays and data frames as parts of a source, and the checks of their values."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.csv_table import find_columns
from hitofude.inputs.layout import ReadOptions, images_of_array, images_of_rows


class Frame(Protocol):
    """A data frame, as pandas and Polars have it."""

    @property
    def columns(self) -> Any: ...

    def __getitem__(self, names: Any) -> Any: ...


def is_frame(value: object) -> TypeGuard[Frame]:
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def part_of_arrays(images: ArrayLike | Frame, labels: ArrayLike | None, name: str, expected: ReadOptions) -> RawImages:
    """Images with or without labels.

    images: a data frame as in part_of_frame, or integers 0..255 of a shape that images_of_array takes. labels: (N,)
    integers or text; where they are given, a frame's own label column is left aside. name: how messages call them.
    Raises InputError for another type, shape or value.
    """
    if is_frame(images):
        part = part_of_frame(images, name, expected)
    else:
        array = as_array(images, name)
        part = RawImages(name, images_of_array(to_bytes(array, name), name, expected), None, None)
    if labels is None:
        return part
    texts = label_texts(np.asarray(labels, dtype=None if hasattr(labels, "dtype") else object), f"the labels of {name}")
    if len(texts) != len(part.images):
        raise InputError(f"{name}: {len(part.images)} images, but {len(texts)} labels. Each image needs one.")
    return RawImages(name, part.images, texts, part.ids)


def part_of_frame(frame: Frame, name: str, expected: ReadOptions) -> RawImages:
    """The columns are what they are in a CSV file: pixels, and where they are there a label and an id.

    Raises InputError with the row, from 1, and the column.
    """
    names = [str(column) for column in frame.columns]
    columns = find_columns(names, name, label=expected.label)
    ours = list(frame.columns)
    pixels = as_array(frame[[ours[place] for place in columns.pixels]], name)
    values = to_bytes(pixels, name, [names[place] for place in columns.pixels])

    def texts(place: int | None) -> NDArray[np.str_] | None:
        return None if place is None else label_texts(as_array(frame[ours[place]], name), name, names[place])

    unlabelled = f"there is no column '{expected.label or 'label'}'. Name it with label=…, or give (images, labels)."
    images = images_of_rows(values, name, expected)
    return RawImages(name, images, texts(columns.label), texts(columns.id), unlabelled=unlabelled)


def as_array(values: Any, name: str) -> NDArray[Any]:
    """Raises InputError for what is no array, such as lists of different lengths."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: this makes no array ({error}).") from None


def to_bytes(
    values: NDArray[Any], name: str, columns: Sequence[str] | None = None, *, first_row: int = 1
) -> NDArray[np.uint8]:
    """Whole numbers from 0 to 255, of any integer type, as uint8.

    columns: the names of the columns of (N, P), or of the one of (N,). first_row: the number of the first row.
    Raises InputError for another type, and with the place of the first value that is out of range.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "iu":
        raise InputError(f"{name}: found {_describe_type(values)}; expected whole numbers from 0 to 255.")
    is_wrong = (values < 0) | (values > 255)
    if is_wrong.any():
        place = np.unravel_index(int(is_wrong.argmax()), is_wrong.shape)
        raise InputError(
            f"{name}, {_describe_place(place, columns, first_row)}: found {values[place]}, "
            f"expected a whole number from 0 to 255. {int(is_wrong.sum()):,} values are out of range."
        )
    return values.astype(np.uint8)


def label_texts(labels: NDArray[Any], name: str, column: str | None = None) -> NDArray[np.str_]:
    """(N,) or (N, 1) integers or text → (N,) text. Raises InputError for anything else, missing values among them."""
    where = name if column is None else f"{name}, column '{column}'"
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        one_hot = " Of one-hot rows take argmax(axis=1)." if labels.ndim == 2 else ""
        raise InputError(f"{where}: found the shape {labels.shape}; expected (N,), a label an image.{one_hot}")
    if labels.dtype.kind == "O":
        _check_objects(labels, where)
    elif labels.dtype.kind not in "iuUTb":
        raise InputError(f"{where}: found {labels.dtype}; expected integers or text.")
    return np.char.strip(np.asarray([str(label) for label in labels.tolist()], dtype=np.str_))


def _check_objects(labels: NDArray[Any], where: str) -> None:
    for row, label in enumerate(labels.tolist(), 1):
        if not isinstance(label, str | int | np.integer):
            raise InputError(f"{where}, row {row}: found {label!r:.40}; expected an integer or text.")


def _describe_place(place: tuple[Any, ...], columns: Sequence[str] | None, first_row: int) -> str:
    row = f"row {int(place[0]) + first_row}"
    if columns is not None:
        return f"{row}, column '{columns[int(place[1]) if len(place) > 1 else 0]}'"
    return f"{row}, pixel [{', '.join(str(int(index)) for index in place[1:])}]"


def _describe_type(values: NDArray[Any]) -> str:
    """What it is, and how it becomes what is wanted."""
    if values.dtype.kind == "f" and values.size:
        low, high = np.nanmin(values), np.nanmax(values)
        scaled = "(255 * images).round().astype('uint8')" if high <= 1 else "images.round().astype('uint8')"
        return f"{values.dtype} from {low:g} to {high:g} (make it {scaled} if that is right)"
    if values.dtype.kind == "b":
        return "bool (make it 255 * images.astype('uint8') if that is right)"
    return f"the type {values.dtype}"
