"""Export of a finished run as one ONNX file, which appears only after it was compared with the run."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hitofude.errors import InputError, agree, counted, install_command
from hitofude.export.onnx_graph import Pixels, ensemble_model, networks_model, quantise
from hitofude.export.onnx_model import OnnxDescription, OnnxModel
from hitofude.export.own_answers import OwnAnswers, compare_own_answers
from hitofude.export.parity import Cost, Parity, images_to_compare, measure_cost, measure_parity, training_images
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import choose_compute
from hitofude.prediction.model import Model, model_identity
from hitofude.runs.folder import RunFolder
from hitofude.storage import write_bytes
from hitofude.version import __version__

if TYPE_CHECKING:
    import onnx

IMAGES = 10_000
"""For the comparison."""
CALIBRATION_IMAGES = 512
"""For the ranges of eight-bit activations."""
NEVER_REACHED = 2.0
"""As the threshold of a stage: no probability is as high."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxExport:
    """A file that was written, and the results of its comparison."""

    path: Path
    bytes: int
    description: OnnxDescription
    parity: Parity
    """The model in float32."""
    cost: Cost | None
    """The cost of 8 bits, if they were asked for."""
    own: OwnAnswers | None
    """The difference from the run's own answers; None if the images of its source are not at hand."""


def export_onnx(
    run: str | Path,
    path: str | Path,
    *,
    source: Dataset | None = None,
    pixels: Pixels = "uint8",
    int8: bool = False,
    images: int = IMAGES,
) -> OnnxExport:
    """Write the whole ensemble of a finished run as one ONNX model.

    Its input `pixels` is (N, C, H, W) 0..255 of the type `pixels`; its outputs are `probabilities` (N, classes),
    calibrated, and `members` (members, N, classes); see hitofude.export.onnx_graph.ensemble_model. source: the data set
    whose training images are compared, else the embedded digits; images: how many, with transformed copies if there
    are fewer. The comparison computes in float32 on the processor. The run's own answers are compared too, if the
    source is the run's. int8: write the networks in integers of 8 bits, and measure their cost in accuracy on the run's
    own training images, which the source must have.

    Raises RunFolderError if the run is not finished or damaged; WeightsError, without a file, if a label differs or a
    probability by 1e-4; InputError if a package is missing or the source's images have another shape.
    """
    _check_packages()
    folder = RunFolder(Path(run))
    description = describe_run(folder)
    model = Model.of_run(folder, choose_compute("cpu", "float32"), description.temperature)
    if source is not None:
        _check_shape(source, description)
    train = training_images(folder, source) if int8 else None
    networks = _export_networks(model, pixels)
    content = _serialised(networks, model, description)
    float32 = OnnxModel.of_bytes(content, str(path), model.compute.threads)
    parity = measure_parity(float32, model, images_to_compare(source, description.image_shape, images))
    parity.check()
    cost = None
    if train is not None:
        small = [quantise(part, train.images[:CALIBRATION_IMAGES]) for part in networks]
        content = _serialised(small, model, description)
        in_8_bits, in_float32 = (_asking_all(parts, model, description) for parts in (small, networks))
        cost = measure_cost(in_8_bits, in_float32, folder.load_recipe(), train, images)
    own = compare_own_answers(float32, lambda: _asking_all(networks, model, description), folder, source, images)
    write_bytes(Path(path), content)
    return OnnxExport(Path(path), len(content), description, parity, cost, own)


def model_of_run(run: str | Path) -> OnnxModel:
    """Return the model that is kept in a run's folder as model.onnx; export it if it is missing or of other weights.

    Raises as export_onnx does.
    """
    folder = RunFolder(Path(run))
    if folder.model.exists():
        model = OnnxModel.load(folder.model)
        if model.description == describe_run(folder):
            return model
    export_onnx(run, folder.model, images=1_000)
    return OnnxModel.load(folder.model)


def describe_run(folder: RunFolder) -> OnnxDescription:
    """Describe a run's model. Raises RunFolderError if the run is not finished or weights are missing."""
    identity = model_identity(folder)
    channels, height, width = identity["image_shape"]
    data = folder.load_data()
    return OnnxDescription(
        name=folder.path.resolve().name,
        hitofude_version=__version__,
        classes=tuple(identity["classes"]),
        image_shape=(channels, height, width),
        networks=tuple(identity["networks"]),
        temperature=identity["temperature"] or 1.0,
        set_thresholds={} if folder.is_imported else folder.load_summary().calibration.set_thresholds,
        weights=hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        look=data.look,
        pixels=data.pixels,
        cascade=folder.load_cascade(),
    )


def describe_export(export: OnnxExport) -> str:
    """Describe the file and its comparison for people."""
    parity, description, cost = export.parity, export.description, export.cost
    count, sizes = len(description.networks), ", ".join(map(str, description.image_shape))
    faster = parity.images_per_second / parity.images_per_second_of_pytorch
    lines = [
        f"{export.path}: {export.bytes:,} bytes, {counted(count, 'member')}, "
        f"pixels (N, {sizes}) → probabilities (N, {len(description.classes)})",
        f"parity    {_differ(parity.changed)} of {parity.images:,}, no probability by more than {parity.largest:.1e}",
        f"speed     {parity.images_per_second:,.0f} images/s in onnxruntime, {faster:.2f} times PyTorch's",
    ]
    unknown = (
        "          not compared with the run's own answers: name its source, hitofude export RUN SOURCE --onnx FILE"
    )
    lines.append(unknown if export.own is None else export.own.describe())
    if parity.border:
        lines.append(f"          {counted(parity.border, 'image')} left out, on the threshold of unclear images")
    if cost is not None:
        faster = cost.images_per_second / cost.images_per_second_of_float32
        accuracy = ""
        if cost.accuracy is not None:
            accuracy = f"out-of-fold accuracy {cost.accuracy_of_float32:.4f} → {cost.accuracy:.4f}, "
        learned = "" if accuracy else " training images, which it learned from"
        lines += [
            f"8 bits    {accuracy}{_differ(cost.changed)} of {cost.images:,}{learned}",
            f"          {faster:.2f} times the images/s of float32",
        ]
    return "\n".join(lines)


def _differ(count: int) -> str:
    return f"{counted(count, 'label')} {agree(count, 'differ')}"


def _export_networks(model: Model, pixels: Pixels) -> list["onnx.ModelProto"]:
    """Return all networks as one model; with a cascade, a model for each group that is asked together."""
    every = [np.arange(len(model.networks))]
    groups = every if model.cascade is None else model.cascade.groups(len(model.networks))
    return [networks_model([model.networks[number] for number in group], model.image_shape, pixels) for group in groups]


def _serialised(networks: Sequence["onnx.ModelProto"], model: Model, description: OnnxDescription) -> bytes:
    """Return the file's content: the whole ensemble, with the description as its metadata."""
    import onnx

    ensemble = ensemble_model(networks, model.tta, description.temperature, description.cascade)
    ensemble.producer_name, ensemble.producer_version = "hitofude", __version__
    ensemble.doc_string = "pixels (N, C, H, W) 0..255 → probabilities (N, classes), and those of each of the members."
    onnx.helper.set_model_props(ensemble, description.as_metadata())
    content: bytes = ensemble.SerializeToString()
    return content


def _asking_all(networks: Sequence["onnx.ModelProto"], model: Model, description: OnnxDescription) -> OnnxModel:
    """Return a model that asks all members about every image, to compare those that held a training row out."""
    cascade = description.cascade
    every = None
    if cascade is not None:
        every = replace(cascade, stages=tuple(replace(one, threshold=NEVER_REACHED) for one in cascade.stages))
    content = _serialised(networks, model, replace(description, cascade=every))
    return OnnxModel.of_bytes(content, description.name, model.compute.threads)


def _check_shape(source: Dataset, description: OnnxDescription) -> None:
    """Raise InputError if the source's images do not have the run's shape."""
    if source.train.image_shape != description.image_shape:
        found, expected = ("x".join(map(str, shape)) for shape in (source.train.image_shape, description.image_shape))
        raise InputError(
            f"{source.name}: the images are {found} (channels, height, width), those of the run {expected}."
        )


def _check_packages() -> None:
    """Raise InputError naming the extra if a package is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f"Exporting needs the package {missing[0]}: {install_command('onnx')}")
