"""NumPy's .npz files: arrays of images and of labels, never unpickled, never larger than their file may become.

The arrays of images are called images, x or data, those of labels labels, label or y; where a file holds both parts,
with train or test in the name, such as x_train and y_train (Keras) or train_images and train_labels (MedMNIST).
Source of the format: numpy.lib.format.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import list_members, most_bytes, open_member, reading
from hitofude.inputs.formats.arrays import label_texts, to_bytes
from hitofude.inputs.layout import ReadOptions, images_of_array
from hitofude.storage import DAMAGED_ARRAY

Role = Literal["train", "test"]
IMAGES, LABELS, IDS = ("images", "image", "x", "data"), ("labels", "label", "y"), ("ids", "id")
PARTS = ("train", "test")
ENDING = ".npy"


def npz_roles(path: Path) -> set[str]:
    """The parts that the names speak of: train, test, both or none."""
    return {role for name in _names(path) if (role := _split(name)[0])} & set(PARTS)


def read_npz_part(path: Path, expected: ReadOptions, role: Role) -> RawImages:
    """The images of one part, with labels and ids where they are there.

    Arrays that name no part are taken where none names the one that is asked for. Raises InputError, before anything
    is read, for an array of Python objects, of too many bytes or of another type.
    """
    arrays = _find(path, role)
    name = f"{path}/{arrays.images}"
    images = images_of_array(to_bytes(_read(path, arrays.images), name), name, expected)
    labels, ids = (None if found is None else _read_texts(path, found) for found in (arrays.labels, arrays.ids))
    for texts, found in ((labels, arrays.labels), (ids, arrays.ids)):
        if texts is not None and len(texts) != len(images):
            raise InputError(f"{path}: {len(texts)} values in '{found}' for the {len(images)} images.")
    unlabelled = f"there is no array 'labels' (nor y_{role} or {role}_labels), and training needs it."
    return RawImages(name, images, labels, ids, unlabelled=unlabelled)


def stream_npz(path: Path, expected: ReadOptions, rows: int) -> Iterator[RawImages]:
    """The images to predict and their ids, so many at a time; labels are left aside.

    Raises what read_npz_part raises, and InputError where the first index of the images changes fastest.
    """
    arrays = _find(path, "test")
    name = f"{path}/{arrays.images}"
    with ExitStack() as open_arrays:
        images = open_arrays.enter_context(_opened(path, arrays.images))
        ids = None if arrays.ids is None else open_arrays.enter_context(_opened(path, arrays.ids))
        if ids is not None and len(ids) != len(images):
            raise InputError(f"{path}: {len(ids)} values in '{arrays.ids}' for the {len(images)} images.")
        for start in range(0, max(len(images), 1), rows):
            values = to_bytes(images.take(rows), name, first_row=start + 1)
            texts = None if ids is None else label_texts(ids.take(rows), f"{path}/{arrays.ids}")
            yield RawImages(name, images_of_array(values, name, expected), None, texts, first_row=start + 1)


@dataclass(frozen=True)
class _Arrays:
    """The names of one part's."""

    images: str
    labels: str | None
    ids: str | None


def _find(path: Path, role: Role) -> _Arrays:
    """Raises InputError where there are no images."""
    names = {_split(name): name for name in _names(path)}
    part = role if any((role, kind) in names for kind in IMAGES) else ""

    def find(kinds: tuple[str, ...]) -> str | None:
        return next((names[part, kind] for kind in kinds if (part, kind) in names), None)

    images = find(IMAGES)
    if images is None:
        held = ", ".join(sorted(names.values())) or "nothing"
        raise InputError(f"{path}: there is no array 'images' (nor x_{role} or {role}_images). It holds: {held}.")
    return _Arrays(images, find(LABELS), find(IDS))


def _names(path: Path) -> list[str]:
    """Of the arrays."""
    with reading(str(path)):
        return [member.removesuffix(ENDING) for member in list_members(path) if member.endswith(ENDING)]


def _split(name: str) -> tuple[str, str]:
    """'X_train' → ('train', 'x'); 'images' → ('', 'images')."""
    words = name.lower().split("_")
    role = next((word for word in words if word in (*PARTS, "val")), "")
    return role, "_".join(word for word in words if word != role)


def _read_texts(path: Path, name: str) -> NDArray[np.str_]:
    return label_texts(_read(path, name), f"{path}/{name}")


def _read(path: Path, name: str) -> NDArray[Any]:
    place, member = f"{path}/{name}", name + ENDING
    _read_header(path, name)
    try:
        with reading(place), open_member(path, member) as stream:
            array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    except ValueError as error:
        raise InputError(f"{place}: the array is damaged or cut short ({error}). Fetch it again.") from None
    return array


def _read_header(path: Path, name: str) -> "ArrayHeader":
    """Raises InputError for an array that must not be read."""
    place, member = f"{path}/{name}", name + ENDING
    try:
        with reading(place), open_member(path, member) as stream:
            header = read_header(stream)
    except ValueError as error:
        raise InputError(f"{place}: this is no array, or its header is damaged ({error}). Fetch it again.") from None
    _check(header, place, most_bytes(path, member))
    return header


class _OpenArray:
    """An array that is read row by row."""

    def __init__(self, place: str, header: "ArrayHeader", stream: BinaryIO) -> None:
        if not header.shape or (header.is_fortran and len(header.shape) > 1):
            raise InputError(
                f"{place}: the first index of this array changes fastest, or it has none, so its images cannot be read "
                "one after the other. Save it as numpy.ascontiguousarray(array)."
            )
        self._place, self._header, self._stream = place, header, stream
        self._left = header.shape[0]

    def __len__(self) -> int:
        return self._header.shape[0]

    def take(self, rows: int) -> NDArray[Any]:
        """The next rows, at most so many. Raises InputError where they are cut short."""
        rows = min(rows, self._left)
        shape, dtype = (rows, *self._header.shape[1:]), self._header.dtype
        size = math.prod(shape) * dtype.itemsize
        with reading(self._place):
            content = self._stream.read(size)
        if len(content) < size:
            raise InputError(f"{self._place}: the array is damaged or cut short. Fetch it again.")
        self._left -= rows
        return np.frombuffer(content, dtype=dtype).reshape(shape) if size else np.empty(shape, dtype)


@contextmanager
def _opened(path: Path, name: str) -> Iterator[_OpenArray]:
    header, place = _read_header(path, name), f"{path}/{name}"
    with open_member(path, name + ENDING) as stream:
        read_header(stream)
        yield _OpenArray(place, header, stream)


@dataclass(frozen=True)
class ArrayHeader:
    """What an array says of itself."""

    shape: tuple[int, ...]
    is_fortran: bool
    """Its first index changes fastest."""
    dtype: np.dtype[Any]


def read_header(stream: BinaryIO) -> ArrayHeader:
    """The header of a .npy, up to its values. Raises ValueError for what is none."""
    try:
        major, _ = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        return ArrayHeader(*read(stream))
    except DAMAGED_ARRAY as error:
        raise ValueError(str(error)) from None


def _check(header: ArrayHeader, place: str, most: int) -> None:
    """Raises InputError for what must not be read."""
    if header.dtype.hasobject:
        raise InputError(
            f"{place}: this is an array of Python objects, whose reading could run a program hidden in it. Save "
            "it with a plain type, as array.astype('uint8') for images or array.astype(str) for labels."
        )
    if header.dtype.names is not None:
        raise InputError(f"{place}: this is an array of records; expected plain numbers or text.")
    size = math.prod(header.shape) * header.dtype.itemsize
    if size > most or min(header.shape, default=0) < 0:
        raise InputError(
            f"{place}: it says that it holds {size:,} bytes ({header.dtype} of {header.shape}), more than its file can "
            "become without being a zip bomb. Do not trust this file."
        )
