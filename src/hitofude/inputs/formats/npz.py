"""NumPy's .npz and .npy files: arrays of images, labels and ids, never unpickled, never larger than a file of that size
allows.

Which array is which: hitofude.inputs.formats.named_arrays. Source of the format: numpy.lib.format.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from io import BufferedReader
from itertools import count, repeat
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
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
from hitofude.inputs.formats.labels import label_texts
from hitofude.inputs.formats.named_arrays import Shapes, check_lengths, select_arrays
from hitofude.inputs.layout import ReadOptions, lay_out
from hitofude.storage import DAMAGED_ARRAY

ENDING = ".npy"


class NpzFile:
    """The arrays of an .npz. Raise InputError, before any values are read, for objects and for too many bytes."""

    def __init__(self, path: Place) -> None:
        self.name, self._path = str(path), path

    @cached_property
    def shapes(self) -> Shapes:
        """The shape of each array; () if its header is damaged, which is said when it is read."""
        with reading(self.name):
            names = [member.removesuffix(ENDING) for member in list_members(self._path) if member.endswith(ENDING)]
        return {name: self._shape(name) for name in names}

    def _shape(self, name: str) -> tuple[int, ...]:
        try:
            with reading(f"{self.name}/{name}"), open_member(self._path, name + ENDING) as stream:
                return read_header(stream).shape
        except (ValueError, InputError):
            return ()

    def read(self, array: str) -> NDArray[Any]:
        with _opened(self._path, array) as opened:
            [values] = opened.batches(None)
        return values


def read_npy(path: Place) -> NDArray[Any]:
    """Read the array of a .npy. Raise InputError, before any values are read, as NpzFile does."""
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

    Raise the errors of NpzFile, and InputError if the first index of the images changes fastest.
    """
    chosen = select_arrays(NpzFile(path).shapes, "test", str(path))
    name = f"{path}/{chosen.images}"
    with ExitStack() as stack:
        opened = stack.enter_context(_opened(path, chosen.images))
        ids = None if chosen.ids is None else stack.enter_context(_opened(path, chosen.ids))
        if chosen.ids is not None and ids is not None:
            check_lengths(str(path), {chosen.images: opened.header.shape, chosen.ids: ids.header.shape})
        batches = repeat(None) if ids is None else ids.batches(rows)
        for first, images, texts in zip(count(1, rows), opened.batches(rows), batches):
            laid_out = lay_out(real_numbers(images, name, first_row=first), name, options)
            options = replace(options, planes=laid_out.planes)  # the first rows decide for all
            found = None if texts is None else label_texts(texts, f"{path}/{chosen.ids}")
            yield RawImages(
                name, laid_out.images, None, found, first_row=first, reading=laid_out.reading, planes=laid_out.planes
            )


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
