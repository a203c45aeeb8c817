"""A finished run becomes one ONNX file, or none: it is compared with the run before it appears."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hitofude.errors import InputError
from hitofude.export.onnx_graph import Pixels, ensemble_model, networks_model
from hitofude.export.onnx_model import OnnxDescription, OnnxModel
from hitofude.export.parity import Parity, check, compare, images_to_compare
from hitofude.export.quantising import CALIBRATION_IMAGES, Cost, measure_cost, quantise, training_images
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import choose_compute
from hitofude.prediction.model import Model, weights_paths
from hitofude.runs.folder import RunFolder
from hitofude.storage import write_bytes
from hitofude.version import __version__

if TYPE_CHECKING:
    import onnx

IMAGES = 10_000
"""By which a model is compared."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class OnnxExport:
    """A file that was written, and what comparing it has shown."""

    path: Path
    bytes: int
    description: OnnxDescription
    parity: Parity
    """Of the model in float32."""
    cost: Cost | None
    """Of 8 bits, where these were asked for."""


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

    Its input `pixels` is (N, C, H, W) 0..255 of the type `pixels`; its outputs are `probabilities` (N, classes), the
    calibrated mean, and `members` (members, N, classes). source: whose training images it is compared by, else the
    embedded digits; images: how many, with transformed copies where there are fewer. The arithmetic of the comparison
    is float32 on the processor. int8: write the networks in integers of 8 bits, and measure by the run's own training
    images, which the source must be, what that costs in accuracy.

    Raises RunFolderError where the run is not finished or damaged, WeightsError, and writes nothing, where a label
    differs or a probability by 1e-4, InputError where a package is missing or the source's images have another shape.
    """
    folder = RunFolder(Path(run))
    ensemble, description = load_exportable(folder)
    if source is not None:
        check_shape_of(source, description)
    train = training_images(folder, source) if int8 else None
    networks = networks_model(ensemble.networks, description.image_shape, pixels)
    exact = _serialised(networks, ensemble, description)
    model = OnnxModel.of_bytes(exact, str(path), ensemble.compute.threads)
    parity = compare(model, ensemble, images_to_compare(source, description.image_shape, images))
    check(parity)
    content, cost = exact, None
    if train is not None:
        content = _serialised(quantise(networks, train.images[:CALIBRATION_IMAGES]), ensemble, description)
        small = OnnxModel.of_bytes(content, str(path), ensemble.compute.threads)
        cost = measure_cost(small, model, folder.load_recipe(), train, images)
    write_bytes(Path(path), content)
    return OnnxExport(Path(path), len(content), description, parity, cost)


def model_of_run(run: str | Path) -> OnnxModel:
    """The model of a run, made and kept in its folder as model.onnx where that is not there yet.

    Raises as export_onnx does.
    """
    folder = RunFolder(Path(run))
    if folder.model.exists():
        model = OnnxModel.load(folder.model)
        if model.description == describe(folder):
            return model
    export_onnx(run, folder.model, images=1_000)
    return OnnxModel.load(folder.model)


def load_exportable(folder: RunFolder) -> tuple[Model, OnnxDescription]:
    """The networks of a run, and what will stand in its model's metadata."""
    _check_packages()
    description = describe(folder)
    return Model.of_run(folder, choose_compute("cpu", "float32"), description.temperature), description


def describe(folder: RunFolder) -> OnnxDescription:
    """Raises RunFolderError where the run is not finished."""
    data, networks = folder.load_data(), folder.load_networks()
    temperature = 1.0 if folder.is_imported else folder.load_summary().calibration.temperature
    return OnnxDescription(
        name=folder.path.resolve().name,
        hitofude_version=__version__,
        classes=tuple(data["classes"]),
        image_shape=data["image_shape"],
        networks=networks,
        temperature=temperature,
        weights=_fingerprint(folder),
    )


def check_shape_of(source: Dataset, description: OnnxDescription) -> None:
    """Raises InputError where its images are not of the run's size."""
    if source.train.image_shape != description.image_shape:
        found, expected = ("x".join(map(str, shape)) for shape in (source.train.image_shape, description.image_shape))
        raise InputError(
            f"{source.name}: the images are {found} (channels, height, width), those of the run {expected}."
        )


def describe_export(export: OnnxExport) -> str:
    """What was written and what comparing has shown, for people."""
    parity, description, cost = export.parity, export.description, export.cost
    count, sizes = len(description.networks), ", ".join(map(str, description.image_shape))
    faster = parity.images_per_second / parity.images_per_second_of_pytorch
    lines = [
        f"{export.path}: {export.bytes:,} bytes, {count} member{'' if count == 1 else 's'}, "
        f"pixels (N, {sizes}) → probabilities (N, {len(description.classes)})",
        f"parity    {_differ(parity.changed)} of {parity.images:,}, no probability by more than {parity.largest:.1e}",
        f"speed     {parity.images_per_second:,.0f} images/s in onnxruntime, {faster:.2f} times PyTorch's",
    ]
    if parity.border:
        lines.append(f"          {parity.border} images were left out: on the very border of what is looked at twice")
    if cost is not None:
        faster = cost.images_per_second / cost.images_per_second_of_float32
        lines += [
            f"8 bits    out-of-fold accuracy {cost.accuracy_of_float32:.4f} → {cost.accuracy:.4f}, "
            f"{_differ(cost.changed)} of {cost.images:,}",
            f"          {faster:.2f} times the images/s of float32",
        ]
    return "\n".join(lines)


def _differ(count: int) -> str:
    return f"{count} label{' differs' if count == 1 else 's differ'}"


def _serialised(networks: "onnx.ModelProto", ensemble: Model, description: OnnxDescription) -> bytes:
    """The file's content: the whole ensemble around these networks, with the description as its metadata."""
    import onnx

    model = ensemble_model(networks, ensemble.tta, description.temperature)
    model.producer_name, model.producer_version = "hitofude", __version__
    model.doc_string = "pixels (N, C, H, W) 0..255 → probabilities (N, classes), and members: what each of them says."
    onnx.helper.set_model_props(model, description.as_metadata())
    content: bytes = model.SerializeToString()
    return content


def _fingerprint(folder: RunFolder) -> str:
    """Return the SHA-256 of test-time augmentation and every member's weights."""
    found = hashlib.sha256(folder.load_recipe().tta.model_dump_json().encode())
    for path in weights_paths(folder):
        found.update(path.read_bytes())
    return found.hexdigest()


def _check_packages() -> None:
    """Raises InputError naming the extra where a package is missing."""
    from importlib.util import find_spec

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(f"Exporting needs the package {missing[0]}: pip install 'hitofude[onnx]'")
