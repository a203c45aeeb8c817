"""IDX files, the format of MNIST and its relatives, gzipped or not.

Format: two zero bytes, a type (8 is uint8), the number of dimensions, each dimension as a big-endian uint32,
then the values. Source: the page of the MNIST database (LeCun, Cortes, Burges).
"""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.archive import open_file

_UINT8 = 8


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in the file, of as many dimensions as asked for.

    Raises InputError when it is no such file, or cut short.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise InputError(f"{path}: this is not an IDX file (it does not begin with two zero bytes).")
    kind, rank = content[2], content[3]
    if kind != _UINT8 or rank != dimensions:
        raise InputError(
            f"{path}: expected {dimensions} dimensions of unsigned bytes, found {rank} of type 0x{kind:02x}. "
            "Are images and labels exchanged?"
        )
    header = 4 + 4 * rank
    if len(content) < header:
        raise InputError(f"{path}: the header is cut short. Fetch the file again.")
    shape = struct.unpack(f">{rank}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise InputError(
            f"{path}: {len(content) - header} bytes of values, expected {math.prod(shape)} for {shape}. "
            "Fetch the file again."
        )
    return np.frombuffer(bytearray(content), dtype=np.uint8, offset=header).reshape(
        shape
    )  # writable, as PyTorch wants it


def _content(path: Path) -> bytes:
    try:
        with open_file(path) as stream:
            return stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}). Fetch the file again.") from None
