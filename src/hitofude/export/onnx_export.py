"""Export of a finished run as one ONNX file, which appears only after it was compared with the run."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, install_command
from hitofude.export.onnx_eight_bits import quantise
from hitofude.export.onnx_graph import Pixels, Scored, ensemble_model, networks_model
from hitofude.export.onnx_model import OnnxDescription, OnnxModel
from hitofude.export.outcome import Exported
from hitofude.export.own_answers import compare_own_answers
from hitofude.export.parity import (
    Predict,
    images_to_compare,
    measure_cost,
    measure_parity,
    measure_simple,
    training_images,
)
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import choose_compute
from hitofude.learning.features import NoveltyScore
from hitofude.prediction.model import Model, model_identity
from hitofude.recipe import TtaRecipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.known_kinds import load_novelty
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
Views = Literal["one", "all"]
"""Of each image: the image alone, or always the shifted copies too that a run has of unclear images."""
PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def export_onnx(
    run: str | Path,
    path: str | Path,
    *,
    source: Dataset | None = None,
    pixels: Pixels = "uint8",
    int8: bool = False,
    simple: Views | None = None,
    images: int = IMAGES,
) -> Exported:
    """Write the whole ensemble of a finished run as one ONNX model.

    Its input `pixels` is (N, C, H, W) 0..255 of the type `pixels`; its outputs are `probabilities` (N, classes),
    calibrated, and `members` (members, N, classes); see hitofude.export.onnx_graph.ensemble_model. source: the data set
    whose training images are compared, else the embedded digits; images: how many, with transformed copies if there
    are fewer. The comparison computes in float32 on the processor. The run's own answers are compared too, if the
    source is the run's. int8: write the networks in integers of 8 bits, and measure their cost in accuracy on the run's
    own training images, which the source must have. simple: write ordinary operations alone, which ask all members
    about every image, with `one` view of it or `all` that the run has of unclear images, and measure the cost.

    Raises RunFolderError if the run is not finished or damaged; WeightsError, without a file, if a label differs or a
    probability by 1e-4; InputError if a package is missing or the source's images have another shape.
    """
    _check_packages()
    folder = RunFolder(Path(run))
    description = describe_run(folder, simple)
    whole = Model.of_run(folder, choose_compute("cpu", "float32"), description.temperature)
    if source is not None:
        check_shape(source, description)
    train = training_images(folder, source) if int8 else None
    model = whole if simple is None else asking_simply(whole, simple)
    form = _Form(_export_networks(model, pixels), model, description, is_simple=simple is not None)
    content = form.serialised()
    predict = OnnxModel.of_bytes(content, str(path), model.compute.threads).predict
    parity = measure_parity(predict, model, images_to_compare(source, description.image_shape, images))
    parity.check()
    cost = None
    if train is not None:
        small = form.quantised(train.images[:CALIBRATION_IMAGES])
        content = small.serialised()
        cost = measure_cost(small.asking_all(), form.asking_all(), folder.load_recipe(), train, images)
    own = compare_own_answers(predict, form.asking_all, folder, source, images)
    of_simple = None if simple is None else measure_simple(predict, whole, folder, source, images)
    write_bytes(Path(path), content)
    shape = f"(N, {', '.join(map(str, description.image_shape))})"
    return Exported(Path(path), len(content), "onnxruntime", shape, description, parity, cost, of_simple, own)


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


def describe_run(folder: RunFolder, simple: Views | None = None) -> OnnxDescription:
    """Describe a run's model. simple: as for export_onnx.

    Raises RunFolderError if the run is not finished or weights are missing.
    """
    identity = model_identity(folder)
    if simple is not None:
        identity = {name: value for name, value in identity.items() if name != "cascade"} | {"simple": simple}
    channels, height, width = identity["image_shape"]
    data, novelty = folder.load_data(), load_novelty(folder)
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
        cascade=folder.load_cascade() if simple is None else None,
        known_thresholds={} if novelty is None else novelty.thresholds(),
    )


def asking_simply(run: Model, views: Views) -> Model:
    """Return a model that asks all members about every image, with `one` view of it or as many as the run has."""
    return run.without_cascade().with_tta(TtaRecipe() if views == "one" else run.tta)


def _export_networks(model: Model, pixels: Pixels) -> list["onnx.ModelProto"]:
    """Return all networks as one model; with a cascade, a model for each group that is asked together."""
    every = [np.arange(len(model.networks))]
    groups = every if model.cascade is None else model.cascade.groups(len(model.networks))
    scored = [_scored(model, groups[0]), *(None for _ in groups[1:])]
    return [
        networks_model([model.networks[number] for number in group], model.image_shape, pixels, of_group)
        for group, of_group in zip(groups, scored, strict=True)
    ]


def _scored(model: Model, group: NDArray[np.int64]) -> Scored | None:
    """Return the score of novelty, which takes the features of a network of the group that is asked first."""
    if model.novelty is None or model.novelty.member not in group:
        return None
    return Scored(group.tolist().index(model.novelty.member), NoveltyScore(model.novelty.familiar))


@dataclass(frozen=True)
class _Form:
    """The networks as ONNX models, group by group, ready to become one file."""

    networks: Sequence["onnx.ModelProto"]
    model: Model
    description: OnnxDescription
    is_simple: bool

    def serialised(self) -> bytes:
        """Return the file's content: the whole ensemble, with the description as its metadata."""
        import onnx

        about = self.description
        ensemble = ensemble_model(
            self.networks, self.model.tta, about.temperature, about.cascade, simple=self.is_simple
        )
        ensemble.producer_name, ensemble.producer_version = "hitofude", __version__
        ensemble.doc_string = (
            "pixels (N, C, H, W) 0..255 → probabilities (N, classes), and those of each of the members."
        )
        onnx.helper.set_model_props(ensemble, about.as_metadata())
        content: bytes = ensemble.SerializeToString()
        return content

    def quantised(self, images: NDArray[np.uint8]) -> "_Form":
        """Return it in integers of 8 bits; images (N, C, H, W) determine the activations' ranges."""
        return replace(self, networks=[quantise(part, images) for part in self.networks])

    def asking_all(self) -> Predict:
        """Return what asks all members about every image, to compare those that held a training row out."""
        cascade = self.description.cascade
        every = None
        if cascade is not None:
            every = replace(cascade, stages=tuple(replace(one, threshold=NEVER_REACHED) for one in cascade.stages))
        content = replace(self, description=replace(self.description, cascade=every)).serialised()
        return OnnxModel.of_bytes(content, self.description.name, self.model.compute.threads).predict


def check_shape(source: Dataset, description: OnnxDescription) -> None:
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
