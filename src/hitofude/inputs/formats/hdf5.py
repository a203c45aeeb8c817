"""HDF5 files, such as USPS's .h5 and MATLAB's .mat of version 7.3, read by h5py."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, first_line, install_command
from hitofude.inputs.formats.archive import Place, check_growth, open_seekable, reading
from hitofude.inputs.formats.named_arrays import Shapes

MATLAB = b"MATLAB"
MOST_GROUPS = 1000


class Hdf5File:
    """The arrays of an open file, those in groups as `train/data`."""

    def __init__(self, path: Place, file: Any, *, is_matlab: bool) -> None:
        self.name, self._is_matlab = str(path), is_matlab
        self._arrays: dict[str, Any] = dict(_datasets(file, self.name))
        for name, array in self._arrays.items():
            check_growth(f"{self.name}/{name}", array.size * array.dtype.itemsize, path)

    @property
    def shapes(self) -> Shapes:
        return {name: self._shape(array.shape) for name, array in self._arrays.items()}

    def read(self, array: str) -> NDArray[Any]:
        found = self._arrays[array]
        values = found.asstr()[()] if found.dtype.kind == "O" else found[()]
        return self._plain(np.asarray(values))

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in Python's order; MATLAB's axes are in reverse, and it has no arrays of one axis."""
        reverse = shape[::-1] if self._is_matlab else shape
        return reverse[1:] if self._is_matlab and len(shape) == 2 and reverse[0] == 1 else reverse

    def _plain(self, values: NDArray[Any]) -> NDArray[Any]:
        return values.T.reshape(self._shape(values.shape)) if self._is_matlab else values


@contextmanager
def open_hdf5(path: Place) -> Iterator[Hdf5File]:
    """Open the file.

    Raise InputError if it is damaged, would grow like a zip bomb or points to other files, and without h5py.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise InputError(f"{path}: HDF5 needs the package h5py: {install_command('hdf5')}") from None
    try:
        with reading(str(path)), open_seekable(path) as stream:
            is_matlab = stream.read(len(MATLAB)) == MATLAB
            stream.seek(0)
            with h5py.File(stream, "r") as file:
                yield Hdf5File(path, file, is_matlab=is_matlab)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:  # of h5py, for a damaged file
        raise InputError(f"{path}: the HDF5 file is damaged ({first_line(error)}). Fetch it again.") from None


def _datasets(file: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The arrays in all groups but MATLAB's own. Raise InputError for a link to another file."""
    import h5py

    groups, seen = [("", file)], 0
    while groups:
        prefix, group = groups.pop()
        seen += 1
        if seen > MOST_GROUPS:
            raise InputError(f"{name}: it has more than {MOST_GROUPS:,} groups. Is this a data set of images?")
        for key in group:
            if isinstance(group.get(key, getlink=True), h5py.ExternalLink | h5py.SoftLink):
                raise InputError(f"{name}: '{prefix}{key}' is a link, perhaps to another file. Do not trust this file.")
            value = group[key]
            if isinstance(value, h5py.Group) and not key.startswith("#"):
                groups.append((f"{prefix}{key}/", value))
            elif isinstance(value, h5py.Dataset) and value.shape is not None and value.dtype.names is None:
                if value.external or value.is_virtual:
                    raise InputError(f"{name}: '{prefix}{key}' is stored in another file. Do not trust this file.")
                yield prefix + key, value
