"""NumPy's .npz files: arrays of images, labels and ids, never unpickled, never larger than a file of that size allows.

Arrays of images are called images, x or data, those of labels labels, label or y. If a file holds both splits, the
names contain train or test: x_train and y_train (Keras), train_images and train_labels (MedMNIST).
Source of the format: numpy.lib.format.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import count, repeat
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import SPLITS, RawImages, Split
from hitofude.inputs.formats.archive import list_members, max_size, open_member, reading
from hitofude.inputs.formats.arrays import label_texts, to_uint8
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
    images, labels, ids = _find(path, split)
    name = f"{path}/{images}"
    pixels = images_of_array(to_uint8(_read(path, images), name), name, options)
    label_values, id_values = (label_texts(_read(path, it), f"{path}/{it}") if it else None for it in (labels, ids))
    missing = f"there is no array 'labels' (nor y_{split} or {split}_labels), and training needs it."
    return RawImages(name, pixels, label_values, id_values, missing_labels=missing)


def stream_npz(path: Path, options: ReadOptions, rows: int) -> Iterator[RawImages]:
    """Read the images to predict and their ids, at most `rows` at a time; ignore labels.

    Raise the errors of read_npz, and InputError if the first index of the images changes fastest.
    """
    images_name, _, ids_name = _find(path, "test")
    name = f"{path}/{images_name}"
    with ExitStack() as stack:
        images = stack.enter_context(_opened(path, images_name))
        ids = None if ids_name is None else stack.enter_context(_opened(path, ids_name))
        if ids is not None and ids.header.shape[:1] != images.header.shape[:1]:
            found, expected = ids.header.shape, images.header.shape
            raise InputError(
                f"{path}: '{ids_name}' has the shape {found}, '{images_name}' {expected}. Each image needs one id."
            )
        batches = zip(count(1, rows), images.batches(rows), repeat(None) if ids is None else ids.batches(rows))
        for first, values, id_values in batches:
            pixels = images_of_array(to_uint8(values, name, first_row=first), name, options)
            texts = None if id_values is None else label_texts(id_values, f"{path}/{ids_name}")
            yield RawImages(name, pixels, None, texts, first_row=first)


def _find(path: Path, split: Split) -> tuple[str, str | None, str | None]:
    """The names of the arrays of images, labels and ids. Raise InputError if there are no images."""
    names = {_parse_name(name): name for name in _names(path)}
    prefix = split if any((split, kind) in names for kind in IMAGES) else ""

    def find(kinds: tuple[str, ...]) -> str | None:
        return next((names[prefix, kind] for kind in kinds if (prefix, kind) in names), None)

    images = find(IMAGES)
    if images is None:
        held = ", ".join(sorted(names.values())) or "nothing"
        raise InputError(f"{path}: there is no array 'images' (nor x_{split} or {split}_images). It holds: {held}.")
    return images, find(LABELS), find(IDS)


def _names(path: Path) -> list[str]:
    with reading(str(path)):
        return [member.removesuffix(ENDING) for member in list_members(path) if member.endswith(ENDING)]


def _parse_name(name: str) -> tuple[str, str]:
    """'X_train' → ('train', 'x'); 'images' → ('', 'images')."""
    words = name.lower().split("_")
    split = next((word for word in words if word in (*SPLITS, "val")), "")
    return split, "_".join(word for word in words if word != split)


def _read(path: Path, name: str) -> NDArray[Any]:
    with _opened(path, name) as array:
        return array.read()


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

    def read(self) -> NDArray[Any]:
        """Read all values. Raise InputError if they are cut short."""
        shape = self.header.shape
        return self._values(shape[::-1]).T if self.header.is_fortran else self._values(shape)

    def batches(self, rows: int) -> Iterator[NDArray[Any]]:
        """Read at most `rows` rows at a time. Raise InputError if they are cut short or not one after the other."""
        shape = self.header.shape
        if not shape or (self.header.is_fortran and len(shape) > 1):
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
