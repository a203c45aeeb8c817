"""The scikit-learn interface: an estimator that trains an ensemble and keeps it in memory."""

import math
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.feature_matrix import choose_image_shape, to_images
from hitofude.inputs.formats.arrays import image_column, is_frame
from hitofude.inputs.formats.labels import check_present
from hitofude.inputs.image_set import ImageSet, row_numbers
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.related import with_related
from hitofude.inputs.rescaling import Rescaler, TrainedScale, training_scale
from hitofude.inputs.sources import Dataset
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, choose_compute, usual_threads
from hitofude.learning.dispatch import Parallelism
from hitofude.learning.ensemble import train_ensemble
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask
from hitofude.learning.networks import build_network
from hitofude.learning.plugins import load_plugins, using
from hitofude.learning.recipe_plugins import sources_of
from hitofude.learning.speed_meter import SpeedMeter
from hitofude.learning.training import MemberPlan
from hitofude.metrics.calibration import with_temperature
from hitofude.metrics.whole_ensemble import fit_temperatures, parts_of_whole
from hitofude.outputs.display import SilentDisplay
from hitofude.prediction.model import Model
from hitofude.recipe import DEFAULT_PRESET, Recipe, choose_recipe
from hitofude.runs.cost import CostModel
from hitofude.runs.evaluation import plan_cascade
from hitofude.runs.frontier import choose_plan
from hitofude.runs.plan import RunPlan, choose_rows
from hitofude.runs.sanity import doubtful_settings
from hitofude.runs.time_limit import TimeLimit

THREADS = 1
"""The threads of each member. Its bits depend on them, so they must not depend on the machine or on other fits."""

SMALLEST_BATCH = 16
BATCHES_OF_ALL_ROWS = 30
"""With fewer rows, batches are smaller: the same number of steps is as accurate in a third of the time."""


@dataclass(frozen=True, eq=False, repr=False)
class TrainedMember:
    """One network of the ensemble, as plain arrays."""

    network: str
    weights: dict[str, NDArray[Any]]
    """The network's state dict."""
    held_out: NDArray[np.int64]
    """The rows of the training data that it was not trained on."""
    epochs: tuple[EpochLog, ...]

    def __repr__(self) -> str:
        return f"TrainedMember({self.network!r}, {len(self.epochs)} epochs, {len(self.held_out):,} rows held out)"

    @classmethod
    def load(cls, folder: Path, plan: MemberPlan, rows: NDArray[np.int64], shape: ImageShape, classes: int) -> Self:
        """Load a finished member from its folder. rows: the row of the training data for each row of the plan."""
        network = build_network(plan.network, shape, classes, torch.Generator())
        epochs = MemberFolder(folder).load_finished(network)
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        return cls(plan.network, weights, rows[plan.validation_rows], tuple(epochs))

    def rebuild(self, shape: ImageShape, classes: int, compute: Compute) -> nn.Module:
        """Return the network, on the compute's device."""
        network = build_network(self.network, shape, classes, torch.Generator())
        network.load_state_dict({name: torch.tensor(values) for name, values in self.weights.items()})
        return network.to(compute.device)


class HitofudeClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An ensemble of convolutional networks as a scikit-learn classifier.

    X: (n, pixels), an array, a sparse matrix or a DataFrame; (n, height, width); (n, channels, height, width) with 1 or
    3 channels; or a frame with one column of images, such as Polars' Array. The numbers that are black and white are
    found from the training data, by the rule of hitofude.inputs.scale: bytes are used unchanged, and a few outliers, as
    behind StandardScaler, are clipped. Prediction uses the same scale, and refuses images on another one. y: labels of
    any type.

    preset: the name of a preset, or a recipe file. settings: dotted names and values, such as {"schedule.epochs": 3}.
    single_settings: the same as parameters of their own, such as schedule__epochs=3 in a grid; they win over settings.
    time_limit: of a call of fit, "10m" or seconds, in place of another preset: this machine is measured, and the most
    accurate recipe that ends in time is trained. Another fit may choose another one; recipe_ keeps it.
    seed: by default the recipe's, which is 0 for all presets; the same seed gives the same probabilities,
    whatever `workers` and `n_jobs` are. device: auto, cpu, cuda or mps. workers: the number of networks trained at
    once, each by one thread; by default the fastest number here. image_shape: (height, width) or (channels, height,
    width) of rows of pixels; by default the smallest square that holds them, black after the last pixel. plugins:
    files of networks and augmentations of your own, for processes that have not imported them, such as joblib's. The
    fitted estimator holds their sources, so a pickle of it runs that code, as any pickle may.

    The images of a class that has one alone are trained on and never held out; if no class has as many images as the
    recipe has folds, there are fewer folds. Copies of an image are held out together, and so are the rows of a group.
    If the rows are fewer than thirty batches, batches are smaller, a thirtieth of the rows but at least 16, unless
    `settings` contains optimizer.batch_size. Sample weights weigh the loss alone: oof_probabilities_, calibration and
    cascade count every row once, and a row of weight 2 is not the same as two rows, which would be held out in turn.

    Attributes, after fit: classes_; oof_probabilities_, (n, classes) float32, each row by networks not trained on it,
    NaN if all were; temperature_, which calibrates other images; cascade_, the rule by which members are asked one
    after another, None if all of them always are; members_, the trained networks as plain arrays (see
    TrainedMember); recipe_, all settings; image_shape_, (channels, height, width); pixel_scale_; n_features_in_,
    the pixels of an image; feature_names_in_, a DataFrame's columns.
    """

    def __init__(
        self,
        preset: str | Path = DEFAULT_PRESET,
        *,
        settings: Mapping[str, Any] | None = None,
        time_limit: str | float | None = None,
        seed: int | None = None,
        device: str = "auto",
        workers: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        plugins: Sequence[str | Path] | None = None,
        **single_settings: Any,
    ) -> None:
        self.preset = preset
        self.settings = settings
        self.time_limit = time_limit
        self.seed = seed
        self.device = device
        self.workers = workers
        self.image_shape = image_shape
        self.plugins = plugins
        for name, value in single_settings.items():  # checked in fit, as scikit-learn asks
            setattr(self, name, value)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return all parameters by name, single settings among them."""
        parameters: dict[str, Any] = super().get_params(deep)
        return parameters | self._single_settings()

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters by name, also single settings: schedule__epochs=3."""
        own = self._get_param_names()
        single = {name for name in parameters if name.partition("__")[0] in Recipe.model_fields and name not in own}
        for name in single:
            setattr(self, name, parameters.pop(name))
        super().set_params(**parameters)
        return self

    def _single_settings(self) -> dict[str, Any]:
        """Return the settings that are parameters of their own: {"schedule__epochs": 3}."""
        own = self._get_param_names()
        return {
            name: value
            for name, value in vars(self).items()
            if name not in own and not (name.startswith("_") or name.endswith("_"))
        }

    def fit(self, X: Any, y: Any, groups: Any = None, sample_weight: Any = None) -> Self:
        """Train the ensemble. groups: (n,) integers or text; rows of a group are never on both sides of a fold.

        sample_weight: (n,) numbers from 0 up, how much each row counts in the loss; only their ratios count. A row of
        weight 0 is not learned from, but held out and predicted like the others.
        Raises ValueError for invalid data or parameters, UserError for other failures.
        """
        with _raising_value_errors():
            load_plugins(self.plugins)
            limit = None if self.time_limit is None else TimeLimit.parse(self.time_limit)
            recipe = choose_recipe(self.preset, self._settings())
            dataset = with_related(Dataset("X", self._learn_images(X, y)), "groups", groups)
            images = with_related(dataset, "weights", _array_of(sample_weight)).train
            plan = self._plan(recipe, images) if limit is None else self._plan_in_time(limit, images)
            for message in plan.describe_few_images():
                warnings.warn(message, stacklevel=2)
            self._train(plan, len(images))
        return self

    def _plan(self, recipe: Recipe, images: ImageSet) -> RunPlan:
        train = choose_rows(images, recipe)
        return RunPlan.prepare(self._reduce_batches(recipe, len(train)), Dataset("X", train), "HitofudeClassifier.fit")

    def _plan_in_time(self, limit: TimeLimit, images: ImageSet) -> RunPlan:
        """Plan what ends within the limit; see hitofude.runs.frontier."""
        if self.preset != DEFAULT_PRESET:
            raise RecipeError(f"time_limit chooses the recipe, and preset={self.preset!r} gives it. Leave one out.")
        with SpeedMeter(images) as meter:
            threads = usual_threads()
            costs = CostModel(meter, self.device, self.workers, THREADS, threads, is_attended=False)
            return choose_plan(limit, self._settings(), lambda recipe: self._plan(recipe, images), costs).plan

    def predict_proba(self, X: Any, *, raw: bool = False) -> NDArray[np.float32]:
        """Return (n, classes) probabilities in the order of `classes_`, the mean over the members that are asked.

        They are calibrated by `temperature_`; raw: as predicted.
        """
        check_is_fitted(self, "members_")
        with _raising_value_errors():
            images = self._read_images(X)
            compute, shape = choose_compute(self.device, self.recipe_.precision), images.shape[1:]
            with compute.applied():
                are_alone = self.recipe_.ensemble.predict_by == "full-data"
                members = [one for one in self.members_ if not (are_alone and len(one.held_out))]
                with using(getattr(self, "_plugin_sources", ())):  # of earlier versions: none
                    networks = [member.rebuild(shape, len(self.classes_), compute) for member in members]
                temperature = None if raw else getattr(self, "temperature_", None)  # of earlier versions: not known
                cascade = getattr(self, "cascade_", None)  # of earlier versions: none
                model = Model(networks, list(self.classes_), shape, compute, self.recipe_.tta, temperature, cascade)
            return model.predict(torch.from_numpy(images))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the (n,) most probable labels."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        return tags

    def _settings(self) -> dict[str, Any]:
        """Return the settings, the single ones and the seed, checked and as Python's numbers."""
        settings = {} if self.settings is None else self.settings
        if not isinstance(settings, Mapping) or not all(isinstance(name, str) for name in settings):
            raise RecipeError(f"settings={settings!r}: expected names and values, such as {{'schedule.epochs': 3}}.")
        single = {name.replace("__", ".", 1): value for name, value in self._single_settings().items()}
        settings = dict(settings) | single
        settings |= {} if self.seed is None else {"seed": self.seed}
        for name, value in settings.items():
            if isinstance(value, np.generic):  # NumPy numbers are common in parameter grids
                settings[name] = value.item()
        return settings

    def _reduce_batches(self, recipe: Recipe, rows: int) -> Recipe:
        """Make batches smaller for few rows, unless the settings or a variant contain a size."""
        size = max(SMALLEST_BATCH, math.ceil(rows / BATCHES_OF_ALL_ROWS))
        chosen = [self._settings(), *recipe.ensemble.variants]
        if size >= recipe.optimizer.batch_size or any("optimizer.batch_size" in settings for settings in chosen):
            return recipe
        return recipe.with_settings({"optimizer.batch_size": size})

    def _learn_images(self, X: Any, y: Any) -> ImageSet:
        """Set image shape, pixel scale and classes from X and y, and return the training images."""
        rows = _plain(X)
        if y is not None:
            check_present(np.asarray(y, dtype=None if hasattr(y, "dtype") else object), "y")
        pixels, labels = validate_data(self, _as_rows(rows), y)
        self.image_shape_ = choose_image_shape(_shape_of(rows), self.image_shape)
        self.pixel_scale_, found = training_scale(RawImages("X", pixels, None, None))
        self._trained_scale = TrainedScale.of(self.pixel_scale_, found)
        try:
            check_classification_targets(labels)
            self.classes_, indices = np.unique(labels, return_inverse=True)
        except TypeError as error:
            raise InputError(f"The labels in y have no order ({error}). Make them all text, or all numbers.") from error
        if len(self.classes_) < 2:
            raise InputError(f"y has one class, '{self.classes_[0]}'. A classifier needs two or more.")
        names, images = tuple(map(str, self.classes_)), to_images(found, self.image_shape_)
        return ImageSet(images, indices.astype(np.int64), row_numbers(len(pixels)), names)

    def _read_images(self, X: Any) -> NDArray[np.uint8]:
        """Return (N, C, H, W) images to predict. Raises ValueError if shape or scale are not the training images'."""
        rows = _plain(X)
        pixels = validate_data(self, _as_rows(rows), reset=False)
        shape = _shape_of(rows)[1:]
        if len(shape) > 1 and shape not in (self.image_shape_, self.image_shape_[1:]):
            raise InputError(f"X has images of {shape}; the training images are {self.image_shape_}.")
        trained = getattr(self, "_trained_scale", None)  # of earlier versions: not known
        if trained is None:
            return to_images(self.pixel_scale_.to_bytes(pixels), self.image_shape_)
        rescaler = Rescaler(trained, remedy="Bring X to that scale.")
        return to_images(rescaler.to_bytes(RawImages("X", pixels, None, None)), self.image_shape_)

    def _train(self, plan: RunPlan, count: int) -> None:
        """Train the members in a temporary folder. count: the rows of X, of which the plan may use a sample."""
        recipe, train = plan.recipe, plan.train
        compute = choose_compute(self.device, recipe.precision, THREADS)
        workers = _choose_workers(plan, compute, self.workers)
        rows, classes = train.ids.astype(np.int64) - 1, len(self.classes_)
        warner = _Warner()
        for warning in doubtful_settings(plan):
            if warning.startswith(tuple(self._settings())):  # few rows and the preset's own settings are usual here
                warner.warned(warning)
        with tempfile.TemporaryDirectory(prefix="hitofude-") as name:
            task = EnsembleTask(compute, tuple(plan.members), train, None, Path(name), unattended=True)
            probabilities = train_ensemble(task, workers, warner)
            labels, out_of_fold = train.known_labels(), probabilities.out_of_fold
            held_out = parts_of_whole(plan.held_out(), recipe.ensemble.predict_by)
            self.cascade_ = plan_cascade(plan, probabilities)
            of_rows, self.temperature_ = fit_temperatures(labels, out_of_fold, held_out, None, self.cascade_)
            self.members_ = [
                TrainedMember.load(task.member_folder(member.member), member, rows, train.image_shape, classes)
                for member in plan.members
            ]
        self.recipe_ = recipe
        self._plugin_sources = tuple(sources_of(recipe))
        self.oof_probabilities_ = np.full((count, classes), np.nan, dtype=np.float32)
        self.oof_probabilities_[rows] = with_temperature(out_of_fold, of_rows)


class _Warner(SilentDisplay):
    """No output, but Python's warnings."""

    def warned(self, message: str) -> None:
        warnings.warn(message, stacklevel=2)


@contextmanager
def _raising_value_errors() -> Iterator[None]:
    """Turn errors about data and settings into ValueError, as scikit-learn expects."""
    try:
        yield
    except (InputError, RecipeError) as error:
        raise ValueError(str(error)) from error


def _plain(X: Any) -> Any:
    """Return sparse matrices, and frames with one column of images, as arrays; the rest unchanged."""
    if issparse(X):
        return X.toarray()
    found = image_column(X, "X") if is_frame(X) and len(X.columns) == 1 else None
    return X if found is None else found[1]


def _array_of(sample_weight: Any) -> Any:
    """Return sample weights as an array, since text would name a column; None, and one number for all rows, as None."""
    weights = np.asarray(sample_weight)
    return None if weights.ndim == 0 else weights


def _as_rows(X: Any) -> Any:
    """Flatten stacks of images to (n, pixels); leave the rest unchanged for scikit-learn to validate."""
    shape = _shape_of(X)
    return X if len(shape) < 3 else np.asarray(X).reshape(shape[0], math.prod(shape[1:]))


def _shape_of(X: Any) -> tuple[int, ...]:
    return tuple(X.shape if hasattr(X, "shape") else np.asarray(X).shape)


def _choose_workers(plan: RunPlan, compute: Compute, workers: int | None) -> int:
    """Return the number of members trained at once: by default the fastest, up to the threads PyTorch may use.

    joblib gives each of its processes a share of the threads, so several fits at once do not overload the machine.
    """
    if workers is not None and not (isinstance(workers, Integral) and workers > 0):
        raise RecipeError(f"workers={workers!r}: expected a whole number from 1 up, or None.")
    members, images, available = len(plan.members), plan.images_to_train(), usual_threads()
    return Parallelism.choose(members, images, compute, workers, THREADS, available).workers
