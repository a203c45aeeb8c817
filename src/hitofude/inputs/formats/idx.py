"""IDX files, the format of MNIST and its relatives, gzipped or not.

Format: two zero bytes, a type (8 is uint8), the number of dimensions, each dimension as a big-endian uint32,
then the values. Source: the page of the MNIST database (LeCun, Cortes, Burges).
"""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import open_file, reading

NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UINT8 = 8


def idx_parts(folder: Path) -> dict[str, RawImages]:
    """`train`, and where it is there `test`, of a folder that holds MNIST's files; empty where it does not.

    Raises InputError when a file is damaged, or there are other labels than images.
    """
    paths = {part: [_with_or_without_gz(folder / name) for name in names] for part, names in NAMES.items()}
    if not all(paths["train"]):
        return {}
    return {part: _read_pair(images, labels) for part, (images, labels) in paths.items() if images and labels}


def is_idx(path: Path) -> bool:
    return path.is_file() and "-ubyte" in path.name


def read_idx_images(path: Path) -> RawImages:
    """Images alone."""
    return RawImages(str(path), read_idx(path, 3)[:, None], None, None)


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


def _read_pair(images_path: Path, labels_path: Path) -> RawImages:
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise InputError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}.")
    return RawImages(str(labels_path), images[:, None], labels.astype(np.str_), None)


def _with_or_without_gz(path: Path) -> Path | None:
    candidates = (path, path.with_name(path.name + ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _content(path: Path) -> bytes:
    with reading(str(path)), open_file(path) as stream:
        return stream.read()
