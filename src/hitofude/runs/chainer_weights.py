"""Chainer's weights: the tutorial's own files, as arrays for our network of the same layers.

`chainer.serializers.save_npz` writes a zip of one .npy an array, by the array's path within what is saved:

    conv1/W                                  the network by itself
    predictor/conv1/W                        the network in an L.Classifier
    updater/model:main/predictor/conv1/W     in a trainer's snapshot, beside the state of optimizer and iterator

Only the network's arrays are read, whatever stands before their names, and nothing is ever unpickled. Both programs
keep a convolution as (out, in, height, width), a linear layer as (out, in), and flatten in the order (C, H, W).
Source: chainer/serializers/npz.py of Chainer 7.
"""

import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import WeightsError
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.formats.npz import read_header

ARRAYS = tuple(f"{layer}/{kind}" for layer in (*(f"conv{i}" for i in range(1, 7)), "fc7", "fc8") for kind in "Wb")
"""Of the tutorial's network, by Chainer's names."""
ITERATIONS = "updater/iteration"
"""Of a snapshot."""
LARGEST_FILE, LARGEST_ARRAY = 64 << 20, 16 << 20
"""Bytes; the tutorial's files have about a million, their largest array 140,000."""
MOST_CLASSES = 1000
SHOWN = 5


@dataclass(frozen=True, eq=False)
class ChainerModel:
    """The tutorial's network as it stands in a file."""

    path: Path
    sha256: str
    arrays: dict[str, NDArray[np.float32]]
    """By the names of ARRAYS, in the file's shapes."""
    iterations: int | None
    """After how many the snapshot was taken; None where the file is a saved model."""

    @property
    def classes(self) -> int:
        """How many it tells apart. Raises WeightsError where that cannot be."""
        found = self.arrays["fc8/b"].size
        if not 2 <= found <= MOST_CLASSES:
            raise WeightsError(f"{self.path}: fc8/b is for {found:,} classes, expected 2 to {MOST_CLASSES:,}.")
        return found


def read_chainer(path: Path) -> ChainerModel:
    """Read a model saved with save_npz, or the model in a trainer's snapshot.

    Raises InputError when the file is not there, WeightsError when it is of another kind, damaged, incomplete, or
    of another network; all missing arrays are named.
    """
    content = _read_file(path)
    with _explaining_damage(path), zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        prefix = _find_prefix(names, path)
        _check_names(names, prefix, path)
        arrays = {name: _read_array(archive, prefix + name, path) for name in ARRAYS}
        iterations = _read_iterations(archive, path) if ITERATIONS in names else None
    weights = {name: _as_weights(array, f"{path}: {prefix}{name}") for name, array in arrays.items()}
    return ChainerModel(path, sha256(content).hexdigest(), weights, iterations)


def to_state(model: ChainerModel, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """The arrays by our network's names, such as `conv1.weight`.

    shapes: of our network's state. Raises WeightsError naming every array that has another shape.
    """
    state = {name: model.arrays[_chainers_name(name)] for name in shapes}
    wrong = {_chainers_name(name): shape for name, shape in shapes.items() if state[name].shape != shape}
    if wrong:
        listed = "\n  ".join(f"{name}: {model.arrays[name].shape}, expected {shape}" for name, shape in wrong.items())
        remedy = "\nFor images of another size give --shape HEIGHTxWIDTH." if "fc7/W" in wrong else ""
        raise WeightsError(f"{model.path} holds other shapes than the tutorial's network:\n  {listed}{remedy}")
    return state


def _chainers_name(name: str) -> str:
    return name.replace(".weight", "/W").replace(".bias", "/b")


def _read_file(path: Path) -> bytes:
    with reading(str(path)), path.open("rb") as stream:
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise WeightsError(
            f"{path} has more than {LARGEST_FILE:,} bytes; files of the tutorial's network have about a million."
        )
    if not content.startswith(b"PK"):
        raise WeightsError(
            f"{path} is not a file of save_npz: it does not begin as a zip of arrays does. Nothing in it was opened, "
            "for a pickle can run any program. Save the model with chainer.serializers.save_npz(FILE, model)."
        )
    return content


@contextmanager
def _explaining_damage(path: Path) -> Iterator[None]:
    """Turn what a damaged zip or array raises into ours; of zipfile, RuntimeError is for a password."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        found = str(error) or "it ends too early"
        raise WeightsError(
            f"{path} is damaged, or not as save_npz writes it: {found}. Copy it again, or save the model again."
        ) from None


def _find_prefix(names: set[str], path: Path) -> str:
    """What stands before most of the network's names. Raises WeightsError where several models are there."""
    prefixes = {found.removesuffix(name) for name in ARRAYS for found in names if f"/{found}".endswith(f"/{name}")}
    present = {prefix: sum(prefix + name in names for name in ARRAYS) for prefix in prefixes}
    most = max(present.values(), default=0)
    best = [prefix for prefix, count in present.items() if count == most]
    if len(best) > 1:
        raise WeightsError(f"{path} holds several models: {_some(set(best))}. Save the one to import by itself.")
    return best[0] if best else ""


def _check_names(names: set[str], prefix: str, path: Path) -> None:
    """Raises WeightsError unless the network is there whole, and nothing else of it."""
    expected = {prefix + name for name in ARRAYS}
    if not expected <= names:
        missing = ", ".join(prefix + name for name in ARRAYS if prefix + name not in names)
        held = "" if expected & names else f" It holds {_some(names)}."
        raise WeightsError(f"{path} is not whole, or of another network. Missing: {missing}.{held}")
    others = {name for name in names if name.startswith(prefix)} - expected
    if others:
        raise WeightsError(f"{path} is of another network than the tutorial's: it also holds {_some(others)}.")


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:SHOWN]) + (" …" if len(names) > SHOWN else "") if names else "no arrays"


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """An array of LARGEST_ARRAY bytes at most."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed by another method than NumPy's")
    with archive.open(member) as stream:
        content = stream.read(LARGEST_ARRAY + 1)  # at the end zipfile compares the checksum
    if len(content) > LARGEST_ARRAY:
        raise ValueError(f"{name} has more than {LARGEST_ARRAY:,} bytes")
    values = io.BytesIO(content)
    try:
        header = read_header(values)
    except ValueError:
        raise ValueError(f"{name} does not begin as an array of NumPy's does") from None
    shape, dtype, start = header.shape, header.dtype, values.tell()
    if dtype.hasobject:
        raise WeightsError(
            f"{path}: {name} is a pickled object, which is never opened. Chainer saves so what is not set yet: was the "
            "model saved before its first batch?"
        )
    if len(content) - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has {len(content) - start:,} bytes for the shape {shape} of {dtype}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if header.is_fortran else "C")


def _read_iterations(archive: zipfile.ZipFile, path: Path) -> int:
    found = _read_array(archive, ITERATIONS, path)
    if found.dtype.kind not in "iu" or found.size != 1:
        raise ValueError(f"{ITERATIONS} is no whole number")
    return int(found.item())


def _as_weights(array: NDArray[Any], place: str) -> NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise WeightsError(f"{place} holds {array.dtype}, expected float32.")
    with np.errstate(over="ignore"):
        weights = array.astype(np.float32, order="C")
    if not np.isfinite(weights).all():
        raise WeightsError(
            f"{place} holds NaN or infinite values. Did the training diverge? Import an earlier snapshot."
        )
    return weights
