"""NumPy's .npz files: arrays of images, labels and ids, never unpickled, never larger than a file of that size allows.

Arrays of images are called images, x or data, those of labels labels, label or y. If a file holds both splits, the
names contain train or test: x_train and y_train (Keras), train_images and train_labels (MedMNIST).
Source of the format: numpy.lib.format.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import count, repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import SPLITS, RawImages, Split
from hitofude.inputs.formats.archive import list_members, max_size, open_member, reading
from hitofude.inputs.formats.arrays import label_texts, real_numbers
from hitofude.inputs.layout import ReadOptions, images_of_array
from hitofude.storage import DAMAGED_ARRAY

IMAGES, LABELS, IDS = ("images", "image", "x", "data"), ("labels", "label", "y"), ("ids", "id")
ENDING = ".npy"


def npz_splits(path: Path) -> set[str]:
    """The splits in the arrays' names: train, test, both or none."""
    return {_parse_name(name)[0] for name in _names(path)} & set(SPLITS)


def read_npz(path: Path, options: ReadOptions, split: Split) -> RawImages:
    """Read the images of a split, with their labels and ids if there are any.

    If no array names this split, read the arrays that name none. Raise InputError, before any values are read, for an
    array of Python objects or of too many bytes.
    """
    missing = f"there is no array 'labels' (nor y_{split} or {split}_labels), and training needs it."
    given = [_find_array(path, name) for name in (options.groups, options.folds)] if split == "train" else [None, None]
    [raw] = _read(path, [*_find(path, split), *given], options)
    return replace(raw, missing_labels=missing)


def stream_npz(path: Path, options: ReadOptions, rows: int) -> Iterator[RawImages]:
    """Read the images to predict and their ids, at most `rows` at a time; ignore labels.

    Raise the errors of read_npz, and InputError if the first index of the images changes fastest.
    """
    images, _, ids = _find(path, "test")
    return _read(path, [images, None, ids, None, None], options, rows)


def _read(path: Path, names: list[str | None], options: ReadOptions, rows: int | None = None) -> Iterator[RawImages]:
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
            pixels = images_of_array(real_numbers(images, name, first_row=first), name, options)
            texts = zip(others, names[1:], strict=True)
            labels, ids, groups, folds = (
                None if text is None else label_texts(text, f"{path}/{array}") for text, array in texts
            )
            yield RawImages(name, pixels, labels, ids, first_row=first, groups=groups, folds=folds)


def _find(path: Path, split: Split) -> list[str | None]:
    """The names of the arrays of images, labels and ids. Raise InputError if there are no images."""
    names = {_parse_name(name): name for name in _names(path)}
    prefix = split if any((split, kind) in names for kind in IMAGES) else ""
    found = [[names[prefix, kind] for kind in kinds if (prefix, kind) in names] for kinds in (IMAGES, LABELS, IDS)]
    if not found[0]:
        held = ", ".join(sorted(names.values())) or "nothing"
        raise InputError(f"{path}: there is no array 'images' (nor x_{split} or {split}_images). It holds: {held}.")
    return [candidates[0] if candidates else None for candidates in found]


def _find_array(path: Path, name: str | None) -> str | None:
    """The array of that name; None if there is none, or no name."""
    return name if name in _names(path) else None


def _names(path: Path) -> list[str]:
    with reading(str(path)):
        return [member.removesuffix(ENDING) for member in list_members(path) if member.endswith(ENDING)]


def _parse_name(name: str) -> tuple[str, str]:
    """'X_train' → ('train', 'x'); 'images' → ('', 'images')."""
    words = name.lower().split("_")
    split = next((word for word in words if word in (*SPLITS, "val")), "")
    return split, "_".join(word for word in words if word != split)


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
    stream: BufferedReader

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
            found = self.stream.readinto(values.reshape(-1).view(np.uint8).data) if values.nbytes else 0
        if found < values.nbytes:
            raise InputError(f"{self.name}: the array is damaged or cut short. Fetch it again.")
        return values


@contextmanager
def _opened(path: Path, name: str) -> Iterator[_OpenArray]:
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
