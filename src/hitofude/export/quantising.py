"""Eight-bit models: smaller, faster, and their cost in accuracy."""

import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
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
    """The cost and gain of eight bits, on training images predicted by members that never saw them."""

    images: int
    accuracy: float
    accuracy_of_float32: float
    changed: int
    """Images with another label."""
    images_per_second: float
    images_per_second_of_float32: float


def training_images(folder: RunFolder, source: Dataset | None) -> ImageSet:
    """Return the labelled images that a run was trained on, from the source or the embedded sample.

    Raises InputError if they are not the run's, RunFolderError if the run was trained elsewhere.
    """
    folder.check_trained_here()
    dataset = source or sample()
    if dataset.train.fingerprint != folder.load_data().train_fingerprint:
        problem = f"{dataset.name} is not the source that" if source else "Name the source that"
        raise InputError(
            f"{problem} the run in {folder.path} was trained on, to measure the cost of eight bits: "
            f"hitofude export {folder.path} SOURCE --onnx model.onnx --int8"
        )
    return choose_rows(dataset.train, folder.load_recipe())


def quantise(networks: "onnx.ModelProto", images: NDArray[np.uint8]) -> "onnx.ModelProto":
    """Turn weights and activations into integers of 8 bits; images (N, C, H, W) determine the activations' ranges.

    Weights keep 7 bits, so that processors without instructions for 8-bit products do not overflow (onnxruntime's
    documentation, "Quantize ONNX models").
    """
    import onnx
    from onnxruntime import quantization

    batches = iter(np.split(images, range(BATCH_SIZE, len(images), BATCH_SIZE)))
    reader = SimpleNamespace(get_next=lambda: next(({"pixels": batch} for batch in batches), None))
    logging.disable(logging.WARNING)  # onnxruntime advises a preparation that changes nothing in these networks
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, "networks.onnx")
            quantization.quantize_static(
                networks, path, reader, per_channel=True, reduce_range=True,
                activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            )  # fmt: skip
            return onnx.load(path)
    finally:
        logging.disable(logging.NOTSET)


def measure_cost(int8: OnnxModel, float32: OnnxModel, recipe: Recipe, train: ImageSet, most: int) -> Cost:
    """Predict up to `most` training images with both, evenly of all classes, each by members that never saw it."""
    plans, all_rows = plan_members(recipe, train), np.arange(len(train))
    held_out_by = np.stack([np.isin(all_rows, plan.validation_rows) for plan in plans])  # (members, N)
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
