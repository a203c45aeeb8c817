"""IDX files, the format of MNIST and its relatives, gzipped or not.

Format: two zero bytes, a type (8 is uint8), the number of dimensions, each dimension as a big-endian uint32,
then the values. Source: the page of the MNIST database (LeCun, Cortes, Burges).
"""

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import Place, open_file, reading
from hitofude.inputs.formats.arrays import real_numbers
from hitofude.inputs.layout import ReadOptions, lay_out

IMAGE_DIMENSIONS = (3, 4)
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(path: Place) -> bool:
    return path.is_file() and ("-ubyte" in path.name or ".idx" in path.name)


def read_idx_images(path: Place, options: ReadOptions) -> RawImages:
    """Read the images of a file. Raise InputError if it is damaged, or holds something else."""
    values = read_idx(path, IMAGE_DIMENSIONS)
    images = lay_out(real_numbers(values, str(path)), str(path), options).images
    missing = "the labels are in another file, which is missing. Put it beside this one, or name it with --labels."
    return RawImages(str(path), images, None, None, missing_labels=missing)


def read_idx_labels(path: Place) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Read the labels, (N,), and how; QMNIST's have eight columns, the first of which is the class."""
    labels = read_idx(path, (1, 2))
    if labels.ndim == 1:
        return labels.astype(np.str_), ()
    line = f"{path.name} has {labels.shape[1]} columns: column 1 is the label"
    return labels[:, 0].astype(np.str_), (line,)


def read_idx(path: Place, dimensions: tuple[int, ...]) -> NDArray[Any]:
    """Read the array in the file. Raise InputError if it has other dimensions, is cut short or not an IDX file."""
    with reading(str(path)), open_file(path) as stream:
        content = stream.read()
    if len(content) < 4 or content[:2] != b"\0\0":
        raise InputError(f"{path}: this is not an IDX file (it does not begin with two zero bytes).")
    kind, rank = content[2], content[3]
    if kind not in _TYPES or rank not in dimensions:
        expected = " or ".join(map(str, dimensions))
        raise InputError(
            f"{path}: expected {expected} dimensions of numbers, found {rank} of type 0x{kind:02x}. "
            "Are images and labels exchanged?"
        )
    header, dtype = 4 + 4 * rank, np.dtype(_TYPES[kind])
    if len(content) < header:
        raise InputError(f"{path}: the header is cut short. Fetch the file again.")
    shape = struct.unpack(f">{rank}I", content[4:header])
    if len(content) - header != math.prod(shape) * dtype.itemsize:
        found, wanted = len(content) - header, math.prod(shape) * dtype.itemsize
        raise InputError(f"{path}: {found} bytes of values, expected {wanted} for {shape}. Fetch it again.")
    writable = bytearray(content)  # as PyTorch needs it
    values = np.frombuffer(writable, dtype=dtype, offset=header).reshape(shape)
    return values if dtype.itemsize == 1 else values.astype(dtype.newbyteorder("="))
