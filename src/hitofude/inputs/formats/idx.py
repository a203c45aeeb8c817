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
from hitofude.inputs.dataset import RawImages, Split
from hitofude.inputs.formats.archive import find_file, open_file, reading
from hitofude.inputs.layout import ReadOptions, images_of_array

NAMES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UINT8 = 8
NO_OPTIONS = ReadOptions()


def idx_files(folder: Path) -> dict[Split, tuple[Path, Path]]:
    """Find the files of images and labels of each split in a folder; none without those of train."""
    found: dict[Split, tuple[Path, Path]] = {}
    for split, names in NAMES.items():
        images, labels = (find_file(folder, name, ("", ".gz")) for name in names)
        if images and labels:
            found[split] = images, labels
    return found if "train" in found else {}


def is_idx(path: Path) -> bool:
    return path.is_file() and "-ubyte" in path.name


def read_idx_images(images_path: Path, labels_path: Path | None = None, options: ReadOptions = NO_OPTIONS) -> RawImages:
    """Read images and, if given, their labels. Raise InputError if a file is damaged, or their lengths differ."""
    labels = None if labels_path is None else read_idx(labels_path, 1).astype(np.str_)
    images = images_of_array(read_idx(images_path, 3), str(images_path), options)
    return RawImages(str(labels_path or images_path), images, labels, None)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read the array in the file. Raise InputError if it has other dimensions, is cut short or not an IDX file."""
    with reading(str(path)), open_file(path) as stream:
        content = stream.read()
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
        found = len(content) - header
        raise InputError(f"{path}: {found} bytes of values, expected {math.prod(shape)} for {shape}. Fetch it again.")
    writable = bytearray(content)  # as PyTorch needs it
    return np.frombuffer(writable, dtype=np.uint8, offset=header).reshape(shape)
