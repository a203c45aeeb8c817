"""NumPy's .npz and .npy files: arrays of images, labels and ids, never unpickled, never larger than a file of that size
allows.

Which array is which: hitofude.inputs.formats.named_arrays. Source of the format: numpy.lib.format.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import count, repeat
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, Split
from hitofude.inputs.formats.archive import (
    Place,
    allowed_growth,
    list_members,
    max_size,
    open_file,
    open_member,
    reading,
    size_of,
)
from hitofude.inputs.formats.arrays import real_numbers
from hitofude.inputs.formats.labels import label_texts, labels_of_array
from hitofude.inputs.formats.named_arrays import select_arrays, select_labels, splits_of
from hitofude.inputs.layout import ReadOptions, colours_of_rows, images_of_array
from hitofude.storage import DAMAGED_ARRAY

ENDING = ".npy"


def npz_splits(path: Place) -> set[Split]:
    """The splits that the file holds by the arrays' names: train, test, both or none."""
    return splits_of(_shapes(path))


def read_npz(path: Place, options: ReadOptions, split: Split) -> RawImages:
    """Read the images of a split, with their labels and ids if there are any.

    If no array names this split, read the arrays that name none. Raise InputError, before any values are read, for an
    array of Python objects or of too many bytes.
    """
    missing = f"there is no array 'labels' (nor y_{split} or {split}_labels), and training needs it."
    given = [_find_array(path, name) for name in (options.groups, options.folds)] if split == "train" else [None, None]
    shapes = {name: shape for name, shape in _shapes(path).items() if name not in given}
    found = select_arrays(shapes, split, str(path))
    [raw] = _read(path, [found.images, found.labels, found.ids, *given], options)
    return replace(
        raw,
        missing_labels=missing,
        reading=(*found.reading, *raw.reading),
        left_aside=(*found.left_aside, *raw.left_aside),
    )


def read_npz_labels(path: Place) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Read the labels of a file beside the images, (N,), and how. Raise InputError as read_npz does."""
    name = select_labels(_shapes(path), str(path))
    with _opened(path, name) as array:
        [values] = array.batches(None)
    return labels_of_array(values, f"{path}/{name}")


def read_npy(path: Place) -> NDArray[Any]:
    """Read the array of a .npy. Raise InputError, before any values are read, as read_npz does."""
    name = str(path)
    with reading(name), open_file(path) as stream:
        try:
            header = read_header(stream)
        except ValueError as error:
            raise InputError(f"{name}: the array's header is damaged ({error}). Fetch it again.") from None
        _check(
            header,
            name,
            size_of(path)
            if isinstance(stream, BufferedReader) and stream.seekable()
            else allowed_growth(size_of(path)),
        )
        [values] = _OpenArray(name, header, stream).batches(None)
    return values


def stream_npz(path: Place, options: ReadOptions, rows: int) -> Iterator[RawImages]:
    """Read the images to predict and their ids, at most `rows` at a time; ignore labels.

    Raise the errors of read_npz, and InputError if the first index of the images changes fastest.
    """
    found = select_arrays(_shapes(path), "test", str(path))
    return _read(path, [found.images, None, found.ids, None, None], options, rows)


def _read(path: Place, names: list[str | None], options: ReadOptions, rows: int | None = None) -> Iterator[RawImages]:
    """Read the arrays of images, labels, ids, groups and folds. Raise InputError if their lengths differ."""
    with ExitStack() as stack:
        arrays = [None if name is None else stack.enter_context(_opened(path, name)) for name in names]
        shapes = {name: array.header.shape for name, array in zip(names, arrays, strict=True) if array}
        if len({shape[:1] for shape in shapes.values()}) > 1:
            found = ", ".join(f"'{name}' {shape}" for name, shape in shapes.items())
            raise InputError(f"{path}: the lengths differ: {found}. Each image needs one of each.")
        batches = (repeat(None) if array is None else array.batches(rows) for array in arrays)
        name = f"{path}/{names[0]}"
        for first, images, *others in zip(count(1, rows or 1), *batches):
            numbers = real_numbers(images, name, first_row=first)
            pixels, colours = images_of_array(numbers, name, options), colours_of_rows(numbers, name, options)
            labels, how = (None, ()) if others[0] is None else labels_of_array(others[0], f"{path}/{names[1]}")
            ids, groups, folds = (
                None if text is None else label_texts(text, f"{path}/{array}")
                for text, array in zip(others[1:], names[2:], strict=True)
            )
            options = replace(options, planes=colours.planes)  # the first rows decide for all
            yield RawImages(
                name, pixels, labels, ids, first_row=first, groups=groups, folds=folds,
                reading=(*colours.reading, *how), planes=colours.planes,
            )  # fmt: skip


def _find_array(path: Place, name: str | None) -> str | None:
    """The array of that name; None if there is none, or no name."""
    return name if name in _names(path) else None


def _names(path: Place) -> list[str]:
    with reading(str(path)):
        return [member.removesuffix(ENDING) for member in list_members(path) if member.endswith(ENDING)]


def _shapes(path: Place) -> dict[str, tuple[int, ...]]:
    """The shape of each array; () if its header is damaged, which is said when it is read."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name in _names(path):
        try:
            with reading(f"{path}/{name}"), open_member(path, name + ENDING) as stream:
                shapes[name] = read_header(stream).shape
        except (ValueError, InputError):
            shapes[name] = ()
    return shapes


@dataclass(frozen=True)
class ArrayHeader:
    """The header of a .npy."""

    shape: tuple[int, ...]
    is_fortran: bool
    """Whether the first index changes fastest."""
    dtype: np.dtype[Any]


def read_header(stream: BinaryIO) -> ArrayHeader:
    """Read the header of a .npy, up to its values. Raise ValueError if it is damaged."""
    try:
        major, _ = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        return ArrayHeader(*read(stream))
    except DAMAGED_ARRAY as error:
        raise ValueError(str(error)) from None


@dataclass(frozen=True)
class _OpenArray:
    """An array whose values can be read, once."""

    name: str
    header: ArrayHeader
    stream: BinaryIO

    def batches(self, rows: int | None) -> Iterator[NDArray[Any]]:
        """Read at most `rows` rows at a time, or all. Raise InputError if they are cut short or not consecutive."""
        shape, is_fortran = self.header.shape, self.header.is_fortran
        if rows is None:
            yield self._values(shape[::-1]).T if is_fortran else self._values(shape)
            return
        if not shape or (is_fortran and len(shape) > 1):
            raise InputError(
                f"{self.name}: the first index of this array changes fastest, or it has none, so its images cannot be "
                "read one after the other. Save it as numpy.ascontiguousarray(array)."
            )
        for start in range(0, max(shape[0], 1), rows):
            yield self._values((min(rows, shape[0] - start), *shape[1:]))

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        values = np.empty(shape, self.header.dtype)
        with reading(self.name):
            found = _fill(self.stream, values.reshape(-1).view(np.uint8).data) if values.nbytes else 0
        if found < values.nbytes:
            raise InputError(f"{self.name}: the array is damaged or cut short. Fetch it again.")
        return values


def _fill(stream: BinaryIO, buffer: memoryview) -> int:
    """Read until the buffer is full, or the stream ends; return the bytes read."""
    return int(stream.readinto(buffer))  # type: ignore[attr-defined]


@contextmanager
def _opened(path: Place, name: str) -> Iterator[_OpenArray]:
    """Open an array at its values. Raise InputError for an array that must not be read."""
    location, member = f"{path}/{name}", name + ENDING
    with ExitStack() as stack:
        try:
            with reading(location):
                stream = stack.enter_context(open_member(path, member))
                header = read_header(stream)
        except ValueError as error:
            raise InputError(
                f"{location}: this is not an array, or its header is damaged ({error}). Fetch it again."
            ) from None
        _check(header, location, max_size(path, member))
        yield _OpenArray(location, header, stream)


def _check(header: ArrayHeader, location: str, most: int) -> None:
    """Raise InputError for an array that must not be read."""
    if header.dtype.hasobject:
        raise InputError(
            f"{location}: this is an array of Python objects; reading it could run a program hidden in it. Save it "
            "with a plain type, as array.astype('uint8') for images or array.astype(str) for labels."
        )
    if header.dtype.names is not None:
        raise InputError(f"{location}: this is an array of records; expected plain numbers or text.")
    size = math.prod(header.shape) * header.dtype.itemsize
    if size > most or min(header.shape, default=0) < 0:
        raise InputError(
            f"{location}: its header claims {size:,} bytes ({header.dtype} of {header.shape}), more than a file of its "
            "size can hold unless it is a zip bomb. Do not trust this file."
        )
