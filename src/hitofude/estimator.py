"""scikit-learn's interface: an estimator that trains an ensemble and keeps it in memory."""

import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.feature_matrix import PixelScale, choose_image_shape, to_images
from hitofude.inputs.image_set import ImageSet, row_numbers
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.sources import Dataset
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.dispatch import Parallelism
from hitofude.learning.ensemble import train_ensemble
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask
from hitofude.learning.networks import build_network
from hitofude.learning.predicting import predict_probabilities
from hitofude.learning.training import MemberPlan
from hitofude.metrics.metrics import mean_of_members
from hitofude.recipe import DEFAULT_PRESET, Recipe, choose_recipe
from hitofude.runs.plan import RunPlan, choose_rows

THREADS = 1
"""Of each member. Its bits depend on them, so they may not depend on the machine, or on how many fits run at once."""

SMALLEST_BATCH = 16
BATCHES_OF_ALL_ROWS = 30
"""Of fewer rows the recipe's batches are made smaller: as good a network of the same steps, for a third of the time."""


@dataclass(frozen=True, eq=False)
class TrainedMember:
    """One network of the ensemble, as plain arrays."""

    network: str
    weights: dict[str, NDArray[Any]]
    """By the names of the network's state dict."""
    held_out: NDArray[np.int64]
    """The rows of the training data that it never saw."""
    epochs: tuple[EpochLog, ...]

    @classmethod
    def load(cls, folder: Path, plan: MemberPlan, rows: NDArray[np.int64], shape: ImageShape, classes: int) -> Self:
        """A finished member from its folder. rows: what each row of the plan is among the training data."""
        network = build_network(plan.network, shape, classes, torch.Generator())
        epochs = MemberFolder(folder).load_finished(network)
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        return cls(plan.network, weights, rows[plan.validation_rows], tuple(epochs))

    def rebuild(self, shape: ImageShape, classes: int, compute: Compute) -> nn.Module:
        """The network, on the compute's device."""
        network = build_network(self.network, shape, classes, torch.Generator())
        network.load_state_dict({name: torch.tensor(values) for name, values in self.weights.items()})
        return network.to(compute.device)


class HitofudeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An ensemble of convolutional networks as a scikit-learn classifier.

    X: (n, pixels), an array or a DataFrame; (n, height, width); or (n, channels, height, width) with 1 or 3 channels.
    Numbers of any range: whole numbers from 0 to 255 that reach 128 are taken as they are; all else is scaled such
    that the least number of the training data becomes 0, which is black, and the greatest 255. The same scale is used
    to predict, and what lies beyond it is cut off. y: labels of any type.

    preset: a preset's name or a recipe file. settings: dotted names and values, such as {"schedule.epochs": 3}.
    seed: by default the recipe's own, which is 0 for "fast" and "best"; the same seed gives the same probabilities,
    whatever `workers` and `n_jobs` are. device: auto, cpu, cuda or mps. workers: how many networks are trained side by
    side, each by one thread; by default what is fastest here. image_shape: (height, width) or (channels, height, width)
    of the rows of pixels; by default the least square that holds them, black behind the last pixel.

    Each class needs two images or more; where one has fewer than the recipe has folds, there are fewer folds. Fewer
    than thirty of the recipe's batches are trained in smaller ones, a thirtieth of the rows and at least 16, unless
    `settings` names optimizer.batch_size. Weights of samples are not supported.

    Attributes, after fit: classes_; oof_probabilities_, (n, classes) float32, each row by networks that never saw it,
    NaN where every network did; members_, the trained networks as plain arrays (see TrainedMember); recipe_, all
    settings; image_shape_, (channels, height, width); pixel_scale_; n_features_in_, the pixels of an image;
    feature_names_in_, a DataFrame's columns.
    """

    def __init__(
        self,
        preset: str | Path = DEFAULT_PRESET,
        *,
        settings: Mapping[str, Any] | None = None,
        seed: int | None = None,
        device: str = "auto",
        workers: int | None = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.preset = preset
        self.settings = settings
        self.seed = seed
        self.device = device
        self.workers = workers
        self.image_shape = image_shape

    def fit(self, X: Any, y: Any) -> Self:
        """Train the ensemble. Raises ValueError for data or parameters that do not fit; UserError for all else."""
        with _raising_value_errors():
            recipe = self._choose_recipe()
            images = self._learn_images(X, y)
            train = choose_rows(images, recipe)
            recipe = _with_folds_that_fit(self._with_batches_that_fit(recipe, len(train)), train)
            job = RunPlan.prepare(recipe, Dataset("X", train), "HitofudeClassifier.fit")
            self._train(job, len(images))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """(n, classes) probabilities in the order of `classes_`, the mean over the members."""
        check_is_fitted(self, "members_")
        with _raising_value_errors():
            images = self._read_images(X)
            compute = choose_compute(self.device, self.recipe_.precision)
            pixels, shape, classes = torch.from_numpy(images), images.shape[1:], len(self.classes_)
            with compute.applied():
                networks = [member.rebuild(shape, classes, compute) for member in self.members_]
                tta = self.recipe_.tta
                return mean_of_members(
                    np.stack([predict_probabilities(network, pixels, compute, tta=tta) for network in networks])
                )

    def predict(self, X: Any) -> NDArray[Any]:
        """(n,) the likeliest label of each image."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _choose_recipe(self) -> Recipe:
        settings = {} if self.settings is None else self.settings
        if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
            raise RecipeError(f"settings={settings!r}: expected names and values, such as {{'schedule.epochs': 3}}.")
        settings = dict(settings) | ({} if self.seed is None else {"seed": self.seed})
        return choose_recipe(self.preset, {name: _plain(value) for name, value in settings.items()})

    def _with_batches_that_fit(self, recipe: Recipe, rows: int) -> Recipe:
        """Smaller batches for few rows, unless the settings name a size."""
        size = max(SMALLEST_BATCH, math.ceil(rows / BATCHES_OF_ALL_ROWS))
        if size >= recipe.optimizer.batch_size or "optimizer.batch_size" in (self.settings or {}):
            return recipe
        return recipe.with_settings({"optimizer.batch_size": size})

    def _learn_images(self, X: Any, y: Any) -> ImageSet:
        """What is learned from X and y before any training: shape, scale, classes."""
        pixels, labels = validate_data(self, _as_rows(X), y)
        self.image_shape_ = choose_image_shape(_shape_of(X), self.image_shape)
        self.pixel_scale_ = PixelScale.of(pixels)
        try:
            check_classification_targets(labels)
            self.classes_, indices = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise InputError(f"The labels in y have no order ({error}). Make them all text, or all numbers.") from error
        if len(self.classes_) < 2:
            raise InputError(f"y has one class, '{self.classes_[0]}'. A classifier needs two or more.")
        names = tuple(map(str, self.classes_))
        return ImageSet(self._to_images(pixels), indices.astype(np.int64), row_numbers(len(pixels)), names)

    def _read_images(self, X: Any) -> NDArray[np.uint8]:
        """(N, C, H, W) images to predict. Raises ValueError where they are not of the training's shape."""
        pixels = validate_data(self, _as_rows(X), reset=False)
        shape = _shape_of(X)[1:]
        if len(shape) > 1 and shape not in (self.image_shape_, self.image_shape_[1:]):
            raise InputError(f"X has images of {shape}; the training images are {self.image_shape_}.")
        return self._to_images(pixels)

    def _to_images(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        return to_images(self.pixel_scale_.to_bytes(pixels), self.image_shape_)

    def _train(self, job: RunPlan, count: int) -> None:
        """Train the members in a folder that is gone afterwards.

        count: the rows of X; the recipe may have the job take a part of them.
        """
        compute = choose_compute(self.device, job.recipe.precision, THREADS)
        workers = _choose_workers(job, compute, self.workers)
        rows, classes = job.train.ids.astype(np.int64) - 1, len(self.classes_)
        with tempfile.TemporaryDirectory(prefix="hitofude-") as name:
            ensemble = EnsembleTask(job.recipe, compute, tuple(job.plans), job.train, None, Path(name), unattended=True)
            probabilities = train_ensemble(ensemble, workers, _Warner())
            self.members_ = [
                TrainedMember.load(ensemble.member_folder(plan.member), plan, rows, job.train.image_shape, classes)
                for plan in job.plans
            ]
        self.recipe_ = job.recipe
        self.oof_probabilities_ = np.full((count, classes), np.nan, dtype=np.float32)
        self.oof_probabilities_[rows] = probabilities.out_of_fold


class _Warner:
    """An observer that only passes warnings on."""

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        pass

    def batch_finished(self, images: int) -> None:
        pass

    def epoch_finished(self, log: EpochLog) -> None:
        pass

    def warned(self, message: str) -> None:
        warnings.warn(message, stacklevel=2)


@contextmanager
def _raising_value_errors() -> Iterator[None]:
    """Turn our errors about data and settings into those that scikit-learn knows."""
    try:
        yield
    except (InputError, RecipeError) as error:
        raise ValueError(str(error)) from error


def _as_rows(X: Any) -> Any:
    """Stacks of images → (n, pixels); all else as it is, for scikit-learn to judge."""
    shape = _shape_of(X)
    return X if len(shape) < 3 else np.asarray(X).reshape(shape[0], math.prod(shape[1:]))


def _shape_of(X: Any) -> tuple[int, ...]:
    return tuple(X.shape if hasattr(X, "shape") else np.asarray(X).shape)


def _plain(value: Any) -> Any:
    """NumPy's numbers, as grids of parameters are made of, as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _choose_workers(job: RunPlan, compute: Compute, workers: int | None) -> int:
    """How many members are made side by side: by default as many as are worth it and PyTorch may use threads.

    joblib gives each of its processes a share of the threads, so that several fits at once stay within the machine.
    """
    if workers is not None and not (isinstance(workers, Integral) and workers > 0):
        raise RecipeError(f"workers={workers!r}: expected a whole number from 1 up, or None.")
    members, images, available = len(job.plans), job.images_to_train(), torch.get_num_threads()
    return Parallelism.choose(members, images, compute, workers, THREADS, available).workers


def _with_folds_that_fit(recipe: Recipe, train: ImageSet) -> Recipe:
    """As many folds as the rarest class has images, where the recipe has more.

    Raises InputError where a class has a single image, for no member could learn it and another be tried on it.
    """
    counts = np.bincount(train.known_labels(), minlength=len(train.classes))
    fewest, name = int(counts.min()), train.classes[counts.argmin()]
    if recipe.ensemble.split != "folds" or fewest >= recipe.ensemble.folds:
        return recipe
    if fewest < 2:
        raise InputError(
            f"Class {name!r} has too few images ({fewest}). Each needs two: one to learn from, one to hold out."
        )
    warnings.warn(
        f"Class {name!r} has {fewest} images, so there are {fewest} folds instead of {recipe.ensemble.folds}.",
        stacklevel=4,
    )
    return recipe.with_settings({"ensemble.folds": fewest})
