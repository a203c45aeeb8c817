"""Comparison of an exported model with the networks it was made from, and of a cheaper form with the whole."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from hitofude.errors import InputError, WeightsError
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.sources import Dataset, sample
from hitofude.learning.augment import augment
from hitofude.learning.ensemble import plan_members
from hitofude.prediction.model import Model
from hitofude.recipe import AugmentRecipe, Recipe, TtaRecipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import choose_rows

TOLERANCE = 1e-4
"""The limit for the difference of a probability."""
BORDER = 1e-5
"""If a highest probability is this near a threshold of unclear images, one of the two computations may see the image
again, or ask further members, and the other not."""

Members = NDArray[np.float32]  # (members, N, classes)
Predict = Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], Members]]


@dataclass(frozen=True)
class Parity:
    """The result of a comparison."""

    images: int
    changed: int
    """Images with another label."""
    largest: float
    """The largest difference of a probability."""
    border: int
    """Images at a threshold, left out of both figures."""
    images_per_second: float
    images_per_second_of_pytorch: float

    def check(self) -> None:
        """Raise WeightsError if the model differs from its run."""
        if self.changed or self.largest >= TOLERANCE:
            raise WeightsError(
                f"The exported model does not predict as the run does: {self.changed:,} of {self.images:,} images have "
                f"another label, and a probability differs by {self.largest:.2g} (the limit is {TOLERANCE:g}). No file "
                "was written. Another version of torch or the runtime may help; constraints.txt lists the tested ones."
            )


@dataclass(frozen=True)
class Cost:
    """The cost and gain of a cheaper form, on training images predicted by members that never saw them.

    If only members on all rows predict, they saw all of these images, so both accuracies are None; as they are if the
    run's training images are not at hand.
    """

    images: int
    accuracy: float | None
    accuracy_before: float | None
    changed: int
    """Images with another label."""
    images_per_second: float
    images_per_second_before: float
    of: str = ""
    """A remark on the images: ` training images, which it learned from`."""


def measure_parity(predict: Predict, run: Model, images: NDArray[np.uint8]) -> Parity:
    """Predict images (N, C, H, W) with both."""
    (expected, expected_members), seconds_of_pytorch = timed(lambda images: predict_by(run, images), images)
    (found, found_members), seconds = timed(predict, images)
    changed = found.argmax(axis=1) != expected.argmax(axis=1)
    apart = np.maximum(np.abs(found - expected).max(axis=1), np.abs(found_members - expected_members).max(axis=(0, 2)))
    apart = np.where(np.isnan(apart), np.inf, apart)
    suspects = np.flatnonzero(changed | (apart >= TOLERANCE))
    excused = suspects[is_on_border(run, images[suspects])] if len(suspects) else suspects
    changed[excused], apart[excused] = False, 0
    return Parity(
        len(images), int(changed.sum()), float(apart.max()), len(excused),
        len(images) / seconds, len(images) / seconds_of_pytorch,
    )  # fmt: skip


def predict_by(run: Model, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], Members]:
    """Predict by the networks themselves, in PyTorch."""
    members = run.ask_members(torch.tensor(images))
    return run.join(members), members


def is_on_border(run: Model, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether a probability lies on the threshold of test-time augmentation or of a stage of the cascade."""
    pixels = torch.tensor(images)
    once = run.with_tta(TtaRecipe()).predict_members(pixels).max(axis=2)
    on_border = np.asarray((np.abs(once - run.tta.threshold) < BORDER).any(axis=0) & (run.tta.shift > 0))
    if run.cascade is not None:
        means = run.cascade.means(run.predict_members(pixels))
        for stage, mean in zip(run.cascade.stages, means, strict=True):
            on_border |= np.abs(mean.max(axis=1) - stage.threshold) < BORDER
    return on_border


def images_to_compare(source: Dataset | None, image_shape: ImageShape, count: int) -> NDArray[np.uint8]:
    """Return (count, C, H, W) training images of the source, and transformed copies of them if there are fewer.

    Without a source they are the embedded digits, resized: any images will do to compare two computations.
    """
    known = _digits(image_shape) if source is None else source.train.images
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(known), generator=generator)[:count].numpy()
    copies = np.resize(rows, count - len(rows))
    recipe = AugmentRecipe(
        probability=1, max_rotation=30, min_scale=0.7, max_scale=1.3, max_shear=10, max_translation=3
    )
    changed = augment(torch.tensor(known[copies]).float(), recipe, generator).round().clip(0, 255)
    return np.concatenate([known[rows], changed.numpy().astype(np.uint8)])


def _digits(image_shape: ImageShape) -> NDArray[np.uint8]:
    channels, height, width = image_shape
    digits = [Image.fromarray(image[0]).resize((width, height)) for image in sample().train.images]
    return np.repeat(np.stack([np.asarray(digit) for digit in digits])[:, None], channels, axis=1)


def measure_cost(cheaper: Predict, whole: Predict, recipe: Recipe, train: ImageSet, most: int) -> Cost:
    """Predict up to `most` training images with both, evenly of all classes, each by members that never saw it.

    Both must ask all members about every image. Members on all rows that predict alone are asked about all images.
    """
    plans, all_rows, ensemble = plan_members(recipe, train), np.arange(len(train)), recipe.ensemble
    held_out_by = np.stack([np.isin(all_rows, plan.validation_rows) for plan in plans])  # (members, N)
    if ensemble.predict_by == "full-data":
        held_out_by = np.ones((ensemble.full_data_members, len(train)), dtype=np.bool_)
    rows = shuffled_evenly(train.known_labels(), 0)
    rows = rows[held_out_by[:, rows].any(axis=0)][:most]
    labels, weights = train.known_labels()[rows], held_out_by[:, rows, None]
    answers, rates = [], []
    for predict in (cheaper, whole):
        (_, members), seconds = timed(predict, train.images[rows])
        answers.append((members * weights).sum(axis=0).argmax(axis=1))
        rates.append(len(rows) / seconds)
    changed, (rate, rate_before) = int((answers[0] != answers[1]).sum()), rates
    if ensemble.predict_by == "full-data":
        learned = " training images, which it learned from"
        return Cost(len(rows), None, None, changed, rate, rate_before, learned)
    accuracy, accuracy_before = (float((answer == labels).mean()) for answer in answers)
    return Cost(len(rows), accuracy, accuracy_before, changed, rate, rate_before)


def count_changes(cheaper: Predict, whole: Predict, images: NDArray[np.uint8]) -> Cost:
    """Predict any images (N, C, H, W) with both, whose labels are not known."""
    ((found, _), seconds), ((expected, _), seconds_before) = timed(cheaper, images), timed(whole, images)
    changed = int((found.argmax(axis=1) != expected.argmax(axis=1)).sum())
    return Cost(len(images), None, None, changed, len(images) / seconds, len(images) / seconds_before)


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


def measure_simple(simple: Predict, run: Model, folder: RunFolder, source: Dataset | None, images: int) -> Cost:
    """Compare a model that asks simply with the run's way of asking, on up to `images` of them.

    On the run's training images, out of fold, if the source has them; else count labels that differ on others.
    """
    dataset, whole = source or sample(), run.without_cascade()
    if folder.is_imported or dataset.train.fingerprint != folder.load_data().train_fingerprint:
        return count_changes(
            simple, lambda some: predict_by(run, some), images_to_compare(source, run.image_shape, images)
        )
    train = choose_rows(dataset.train, folder.load_recipe())
    return measure_cost(simple, lambda some: predict_by(whole, some), folder.load_recipe(), train, images)


def timed(predict: Predict, images: NDArray[np.uint8]) -> tuple[tuple[NDArray[np.float32], Members], float]:
    """Return the predictions and their seconds, after a short warm-up."""
    predict(images[:8])
    started = time.perf_counter()
    return predict(images), time.perf_counter() - started
