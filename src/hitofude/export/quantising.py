"""Eight-bit models: smaller, faster, and how much they cost in accuracy."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.parity import timed
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import Dataset, sample
from hitofude.learning.ensemble import plan_members
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import choose_rows

if TYPE_CHECKING:
    import onnx

CALIBRATION_IMAGES = 512
BATCH_SIZE = 128


@dataclass(frozen=True)
class Cost:
    """What eight bits cost and bring, on training images that the members that answer never saw."""

    images: int
    accuracy: float
    accuracy_of_float32: float
    changed: int
    """Images with another label."""
    images_per_second: float
    images_per_second_of_float32: float


def training_images(folder: RunFolder, source: Dataset | None) -> ImageSet:
    """The labelled images that a run learned from: those of the source, or of the embedded sample.

    Raises InputError where they are not the run's, RunFolderError where what the run learned from is not known.
    """
    folder.check_trained_here()
    dataset = source or sample()
    if dataset.train.fingerprint != folder.load_data()["train_fingerprint"]:
        named = f"{dataset.name} is not what" if source else "Name the source that"
        raise InputError(
            f"{named} the run in {folder.path} learned from, by which the cost of eight bits is measured: "
            f"hitofude export {folder.path} SOURCE --onnx model.onnx --int8"
        )
    return choose_rows(dataset.train, folder.load_recipe())


def quantise(networks: "onnx.ModelProto", images: NDArray[np.uint8]) -> "onnx.ModelProto":
    """The networks in integers of 8 bits, weights and activations; these range as they do on the images (N, C, H, W).

    Weights keep 7 bits, so that processors without instructions for 8-bit products do not overflow (onnxruntime's
    documentation, "Quantize ONNX models").
    """
    import onnx
    from onnxruntime import quantization

    with TemporaryDirectory() as folder, _without_advice():
        path = Path(folder, "networks.onnx")
        quantization.quantize_static(
            networks, path, _Batches(images), per_channel=True, reduce_range=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        return onnx.load(path)


def measure_cost(int8: OnnxModel, float32: OnnxModel, recipe: Recipe, train: ImageSet, most: int) -> Cost:
    """Both on up to `most` training images, evenly of all classes, each answered by members that never saw it."""
    held_out_by = _held_out_by(recipe, train)
    rows = shuffled_evenly(train.known_labels(), 0)
    rows = rows[held_out_by[:, rows].any(axis=0)][:most]
    labels, weights = train.known_labels()[rows], held_out_by[:, rows, None]
    answers, rates = [], []
    for model in (int8, float32):
        (_, members), seconds = timed(model.predict, train.images[rows])
        answers.append((members * weights).sum(axis=0).argmax(axis=1))
        rates.append(len(rows) / seconds)
    accuracy, accuracy_of_float32 = (float((answer == labels).mean()) for answer in answers)
    changed = int((answers[0] != answers[1]).sum())
    return Cost(len(rows), accuracy, accuracy_of_float32, changed, *rates)


def _held_out_by(recipe: Recipe, train: ImageSet) -> NDArray[np.bool_]:
    """(members, N) which rows a member never saw."""
    plans = plan_members(recipe, train)
    held_out = np.zeros((len(plans), len(train)), dtype=np.bool_)
    for plan in plans:
        held_out[plan.member, plan.validation_rows] = True
    return held_out


@contextmanager
def _without_advice() -> Iterator[None]:
    """Onnxruntime advises a preparation that changes nothing in these networks."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class _Batches:
    """The images as onnxruntime's calibration asks for them: until there are none."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self._left: Iterator[NDArray[np.uint8]] = iter(np.split(images, range(BATCH_SIZE, len(images), BATCH_SIZE)))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """(N, C, H, W) by the input's name."""
        batch = next(self._left, None)
        return None if batch is None else {"pixels": batch}
