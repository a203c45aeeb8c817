"""Import of Chainer's networks: the tutorial's own files become a run folder to predict with.

`chainer.serializers.save_npz` writes a zip with one .npy for each array, named by its path in the saved object:

    conv1/W                                  the network by itself
    predictor/conv1/W                        the network in an L.Classifier
    updater/model:main/predictor/conv1/W     in a trainer's snapshot, beside the state of optimizer and iterator

Only the network's arrays are read, after any prefix, and nothing is ever unpickled. Both programs keep a convolution
as (out, in, height, width), a linear layer as (out, in), and flatten in the order (C, H, W).
Source: chainer/serializers/npz.py of Chainer 7.
"""

import io
import math
import shlex
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.errors import InputError, WeightsError, counted
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.formats.npz import read_header
from hitofude.inputs.layout import ImageShape
from hitofude.learning.checkpoint import MemberFolder, Origin
from hitofude.learning.networks import build_network
from hitofude.learning.training import describe_task
from hitofude.outputs.report import ImportedMember, ImportSummary, write_summary
from hitofude.runs.folder import FORMAT_VERSION, DataDescription, RunFolder
from hitofude.storage import making_folder, write_json, write_text

NETWORK = "cnn-medium"
PROGRAM = "Chainer"
SHAPE = (28, 28)
RECIPE = f"""\
# How these imported networks predict. How they were trained is not known.
precision = "float32"

[network]
name = "{NETWORK}"

[tta]
shift = 0
"""
ARRAYS = tuple(f"{layer}/{kind}" for layer in (*(f"conv{i}" for i in range(1, 7)), "fc7", "fc8") for kind in "Wb")
"""Chainer's names of the tutorial network's arrays."""
ITERATIONS = "updater/iteration"
"""The name in a snapshot."""
MAX_FILE_BYTES, MAX_ARRAY_BYTES = 64 << 20, 16 << 20
"""In bytes; the tutorial's files have about a million, their largest array 140,000."""
MAX_CLASSES = 1000
SHOWN = 5
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
"""The errors of a damaged zip or array; zipfile raises RuntimeError for a password."""


@dataclass(frozen=True, eq=False)
class ChainerModel:
    """The tutorial's network, read from a file."""

    path: Path
    sha256: str
    arrays: dict[str, NDArray[np.float32]]
    """By the names in ARRAYS, in the file's shapes."""
    iterations: int | None
    """The number of iterations before a snapshot; None for a saved model."""

    @property
    def classes(self) -> int:
        """The number of classes. Raises WeightsError if it is not plausible."""
        found = self.arrays["fc8/b"].size
        if not 2 <= found <= MAX_CLASSES:
            raise WeightsError(f"{self.path}: fc8/b is for {found:,} classes, expected 2 to {MAX_CLASSES:,}.")
        return found


def import_chainer(
    files: Sequence[Path],
    run: Path,
    *,
    shape: tuple[int, ...] | None = None,
    command: str = "hitofude import-chainer",
) -> ImportSummary:
    """Make a run folder from files of the tutorial's network: models of save_npz or snapshots, one for each member.

    run: a new or empty folder. shape: (H, W) of the networks' grey images, by default 28×28. The classes are called
    0, 1, 2 … as Chainer numbers them. command: the command that makes this folder again.

    Raises InputError if a file is missing, WeightsError if it is damaged, incomplete, from another network or for other
    classes than the first, RunFolderError if the folder is not empty.
    """
    if shape is not None and len(shape) != 2:
        raise InputError(f"shape {shape}: the tutorial's network takes grey images, (height, width).")
    if not files:
        raise InputError("Nothing to import. Name the files that save_npz or the trainer wrote.")
    models = [read_chainer(path) for path in files]
    classes = models[0].classes
    for model in models:
        if model.classes != classes:
            raise WeightsError(
                f"{model.path} has {counted(model.classes, 'class')}, {files[0]} has {classes}. "
                "Import networks for the same classes."
            )
    height, width = shape or SHAPE
    image_shape = (1, height, width)
    networks = [_to_network(model, image_shape, classes) for model in models]
    finished = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    members = tuple(ImportedMember(NETWORK, model.path.name, model.sha256, model.iterations) for model in models)
    summary = ImportSummary(PROGRAM, command, finished, members)
    names = tuple(str(number) for number in range(classes))
    data = DataDescription(format_version=FORMAT_VERSION, source=PROGRAM, image_shape=image_shape, classes=names)
    with making_folder(run) as partial:
        _write(RunFolder(partial), networks, summary, data)
    return summary


def describe_import(summary: ImportSummary, run: Path) -> str:
    """Describe the imported networks, and how to predict with them."""
    count = len(summary.members)
    lines = [f"{counted(count, f'{NETWORK} network')} from {summary.program}"]
    for member in summary.members:
        kind = "model" if member.iterations is None else f"snapshot after {counted(member.iterations, 'iteration')}"
        lines.append(f"  {member.file}: {kind}")
    lines += [
        "Their accuracy is not known: the files do not say which images the networks were not trained on. So their "
        "probabilities cannot be calibrated, and are given as predicted.",
        f"Predict with them: hitofude predict {shlex.quote(str(run))} FILE",
    ]
    return "\n".join(lines)


def _to_network(model: ChainerModel, image_shape: ImageShape, classes: int) -> nn.Module:
    network = build_network(NETWORK, image_shape, classes, torch.Generator())
    state = to_state(model, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    network.load_state_dict({name: torch.from_numpy(weights) for name, weights in state.items()})
    return network


def _write(folder: RunFolder, networks: Sequence[nn.Module], summary: ImportSummary, data: DataDescription) -> None:
    for number, (network, member) in enumerate(zip(networks, summary.members, strict=True)):
        task = describe_task(member.network, data.image_shape, len(data.classes))
        origin: Origin = {**task, "member": number, "file": member.file, "file_sha256": member.sha256}
        MemberFolder(folder.member(number)).finish(network, origin, [])
    write_json(folder.data, asdict(data))
    write_text(folder.recipe, RECIPE)
    write_summary(folder.imported, summary)


def read_chainer(path: Path) -> ChainerModel:
    """Read a model saved with save_npz, or the model in a trainer's snapshot.

    Raises InputError if the file is missing, WeightsError if it has another format, is damaged or incomplete, or holds
    another network; all missing arrays are named.
    """
    content = _read_file(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
            prefix = _find_prefix(names, path)
            _check_names(names, prefix, path)
            arrays = {name: _read_array(archive, prefix + name, path) for name in ARRAYS}
            iterations = _to_count(_read_array(archive, ITERATIONS, path)) if ITERATIONS in names else None
    except DAMAGED as error:
        found = str(error) or "the file is cut short"
        raise WeightsError(
            f"{path} is damaged, or was not written by save_npz: {found}. Copy it again, or save the model again."
        ) from None
    weights = {name: _to_weights(array, f"{path}: {prefix}{name}") for name, array in arrays.items()}
    return ChainerModel(path, sha256(content).hexdigest(), weights, iterations)


def to_state(model: ChainerModel, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Return the arrays by PyTorch's names, such as `conv1.weight`.

    shapes: expected, by PyTorch's names. Raises WeightsError naming every array that has another shape.
    """
    state = {name: model.arrays[_chainer_name(name)] for name in shapes}
    wrong = {_chainer_name(name): shape for name, shape in shapes.items() if state[name].shape != shape}
    if wrong:
        listed = "\n  ".join(f"{name}: {model.arrays[name].shape}, expected {shape}" for name, shape in wrong.items())
        remedy = "\nFor images of another size, add --shape HEIGHTxWIDTH." if "fc7/W" in wrong else ""
        raise WeightsError(f"{model.path} holds other shapes than the tutorial's network:\n  {listed}{remedy}")
    return state


def _chainer_name(name: str) -> str:
    return name.replace(".weight", "/W").replace(".bias", "/b")


def _read_file(path: Path) -> bytes:
    with reading(str(path)), path.open("rb") as stream:
        content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise WeightsError(
            f"{path} has more than {MAX_FILE_BYTES:,} bytes; files of the tutorial's network have about a million."
        )
    if not content.startswith(b"PK"):
        raise WeightsError(
            f"{path} is not a file of save_npz: it does not begin like a zip of arrays. Nothing in it was opened, "
            "since a pickle can run any program. Save the model with chainer.serializers.save_npz(FILE, model)."
        )
    return content


def _find_prefix(names: set[str], path: Path) -> str:
    """Return the prefix of most of the network's names. Raises WeightsError if there are several models."""
    prefixes = {found.removesuffix(name) for name in ARRAYS for found in names if f"/{found}".endswith(f"/{name}")}
    present = {prefix: sum(prefix + name in names for name in ARRAYS) for prefix in prefixes}
    most = max(present.values(), default=0)
    best = [prefix for prefix, count in present.items() if count == most]
    if len(best) > 1:
        raise WeightsError(f"{path} holds several models: {_some(set(best))}. Save the one to import by itself.")
    return best[0] if best else ""


def _check_names(names: set[str], prefix: str, path: Path) -> None:
    """Raise WeightsError unless exactly the network's arrays have the prefix."""
    expected = {prefix + name for name in ARRAYS}
    if not expected <= names:
        missing = ", ".join(prefix + name for name in ARRAYS if prefix + name not in names)
        held = "" if expected & names else f" It holds {_some(names)}."
        raise WeightsError(f"{path} is incomplete, or holds another network. Missing: {missing}.{held}")
    others = {name for name in names if name.startswith(prefix)} - expected
    if others:
        raise WeightsError(f"{path} holds another network than the tutorial's, with {_some(others)}.")


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:SHOWN]) + (" …" if len(names) > SHOWN else "") if names else "no arrays"


def _read_array(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    """Read an array of at most MAX_ARRAY_BYTES."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed by a method that NumPy does not use")
    with archive.open(member) as stream:
        content = stream.read(MAX_ARRAY_BYTES + 1)  # at its end zipfile checks the checksum
    if len(content) > MAX_ARRAY_BYTES:
        raise ValueError(f"{name} has more than {MAX_ARRAY_BYTES:,} bytes")
    values = io.BytesIO(content)
    try:
        header = read_header(values)
    except ValueError:
        raise ValueError(f"{name} has no valid header of a NumPy array") from None
    shape, dtype, start = header.shape, header.dtype, values.tell()
    if dtype.hasobject:
        raise WeightsError(
            f"{path}: {name} is a pickled object, which is never opened. Chainer saves parameters in this way before "
            "they are initialised. Save the model after its first batch."
        )
    if len(content) - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has {len(content) - start:,} bytes for the shape {shape} of {dtype}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if header.is_fortran else "C")


def _to_count(found: NDArray[Any]) -> int:
    if found.dtype.kind not in "iu" or found.size != 1:
        raise ValueError(f"{ITERATIONS} is not a whole number")
    return int(found.item())


def _to_weights(array: NDArray[Any], location: str) -> NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise WeightsError(f"{location} holds {array.dtype}, expected float32.")
    with np.errstate(over="ignore"):
        weights = array.astype(np.float32, order="C")
    if not np.isfinite(weights).all():
        raise WeightsError(
            f"{location} holds NaN or infinite values. Did the training diverge? Import an earlier snapshot."
        )
    return weights
