"""MATLAB's .mat files up to version 7, such as EMNIST's and SVHN's, read by SciPy; those of version 7.3 are HDF5.

Source of the format: MathWorks, MAT-File Format, version R2024b.
"""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, first_line
from hitofude.inputs.formats.archive import Place, allowed_growth, open_seekable, reading, size_of
from hitofude.inputs.formats.named_arrays import Shapes

HEADER = 128
_COMPRESSED = 15
_CHUNK = 1 << 20


@dataclass
class MatFile:
    """The arrays of a .mat, those of structs as `dataset/train/images`. Raise InputError for a damaged or huge file."""

    path: Place
    arrays: dict[str, NDArray[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.arrays = {}
        with reading(self.name), open_seekable(self.path) as stream:
            _check_growth(stream, self.name, allowed_growth(size_of(self.path)))
            self._collect("", _load(stream, self.name))

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def shapes(self) -> Shapes:
        return {name: array.shape for name, array in self.arrays.items()}

    def read(self, array: str) -> NDArray[Any]:
        return self.arrays[array]

    def _collect(self, prefix: str, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray) and value.dtype.names and value.size == 1:
                inner = {field: value[field].reshape(-1)[0] for field in value.dtype.names}
                self._collect(f"{prefix}{name}/", inner)
            elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
                self.arrays[prefix + name] = _without_axis_of_one(value)


def _without_axis_of_one(values: NDArray[Any]) -> NDArray[Any]:
    """(1, N) → (N,), as MATLAB has no arrays of one axis."""
    return values[0] if values.ndim == 2 and values.shape[0] == 1 else values


def _load(stream: BinaryIO, name: str) -> dict[str, Any]:
    """Return the variables of the file."""
    from scipy.io import loadmat

    try:
        found: dict[str, Any] = loadmat(stream, struct_as_record=True, squeeze_me=False)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # SciPy raises anything for a damaged file
        raise InputError(f"{name}: the .mat is damaged ({first_line(error)}). Fetch it again.") from None
    return {key: value for key, value in found.items() if not key.startswith("__")}


def _check_growth(stream: BinaryIO, name: str, most: int) -> None:
    """Raise InputError if the file unpacks to more than `most` bytes."""
    stream.seek(HEADER - 2)
    order = "<" if stream.read(2) == b"IM" else ">"
    total = 0
    while len(tag := stream.read(8)) == 8:
        kind, size = struct.unpack(f"{order}II", tag)
        if kind != _COMPRESSED:
            total += size
            stream.seek(size, 1)
        else:
            unpacker, left = zlib.decompressobj(), size
            while left > 0 and (packed := stream.read(min(left, _CHUNK))):
                left -= len(packed)
                while packed and total <= most:
                    total += len(unpacker.decompress(packed, _CHUNK))
                    packed = unpacker.unconsumed_tail
        if total > most:
            raise InputError(
                f"{name}: it grows to more than {most:,} bytes, as a zip bomb does. Do not trust this file."
            )
    stream.seek(0)
