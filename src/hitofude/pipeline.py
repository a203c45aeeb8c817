"""The whole flow: a source becomes a trained ensemble, its honest accuracy, and a submission."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hitofude.display import Display, SilentDisplay, choose_display
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import Dataset, open_source
from hitofude.learning.checkpoint import EpochLog
from hitofude.learning.engine import Engine, choose_engine, describe_environment
from hitofude.learning.ensemble import (
    EnsembleProbabilities,
    mean_of_members,
    plan_members,
    train_ensemble,
)
from hitofude.learning.metrics import Accuracy, accuracy
from hitofude.learning.networks import build_network, count_parameters
from hitofude.learning.randomness import generator_for
from hitofude.learning.training import MemberPlan, count_epochs
from hitofude.outputs.audit import rank_hardness, write_hardest
from hitofude.outputs.network_graph import write_network_graph
from hitofude.outputs.plots import plot_accuracy, plot_images, plot_loss
from hitofude.outputs.report import RunSummary, write_report
from hitofude.outputs.submission import KAGGLE_HEADER, write_submission
from hitofude.recipe import DEFAULT_PRESET, Recipe
from hitofude.result import RunResult, load_result
from hitofude.run_folder import RunFolder
from hitofude.storage import write_npz

HARDEST_SHOWN = 50


def run(
    source: str | Path | Dataset | None = None,
    *,
    preset: str | Path = DEFAULT_PRESET,
    run: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    debug: bool = False,
    device: str = "auto",
    label: str | None = None,
    shape: tuple[int, int] | None = None,
    quiet: bool = False,
) -> RunResult:
    """Train an ensemble on a source, validate it honestly, predict the source's test images.

    source: see hitofude.inputs.sources; None is the embedded sample. preset: a preset's name or a recipe file.
    run: the folder, by default runs/SOURCE-PRESET. An unfinished run there is continued, a finished one is
    only read. settings: dotted names and values, such as {"schedule.epochs": 3}. debug: 1,000 rows, 5 epochs,
    2 folds. label, shape: the label column, and (H, W) where the pixels make no square.

    Raises hitofude.errors.UserError, of the kind that fits, for everything a user can mend.
    """
    display = SilentDisplay() if quiet else choose_display()
    recipe = choose_recipe(preset, settings or {}, debug=debug)
    engine = choose_engine(device, recipe.precision)
    dataset = source if isinstance(source, Dataset) else open_source(source, label=label, shape=shape)
    job = _Job.prepare(recipe, dataset)
    folder = RunFolder(Path(run) if run else default_folder(dataset.name, preset, debug=debug))
    display.message(_introduction(job, engine, folder))
    folder.claim(recipe, dataset, describe_environment(engine))
    if not folder.is_finished:
        _train(job, folder, engine, display)
    return load_result(folder)


def choose_recipe(
    preset: str | Path = DEFAULT_PRESET, settings: Mapping[str, Any] | None = None, *, debug: bool = False
) -> Recipe:
    """A preset or a recipe file (.toml), made small for debugging, then with single settings replaced."""
    recipe = Recipe.load(Path(preset)) if str(preset).endswith(".toml") else Recipe.preset(str(preset))
    return (recipe.for_debugging() if debug else recipe).with_settings(settings or {})


def default_folder(source: str, preset: str | Path, *, debug: bool = False) -> Path:
    """runs/SOURCE-PRESET, the same for the same command."""
    return Path("runs", f"{source}-{Path(preset).stem}{'-debug' if debug else ''}")


def choose_rows(train: ImageSet, recipe: Recipe) -> ImageSet:
    """All training rows, or the recipe's seeded sample of them."""
    if recipe.rows is None or recipe.rows >= len(train):
        return train
    return train.take(shuffled_evenly(train.known_labels(), recipe.seed)[: recipe.rows])


@dataclass(frozen=True, eq=False)
class _Job:
    """What is to be trained, checked before anything is written."""

    recipe: Recipe
    dataset: Dataset
    train: ImageSet  # the rows that the recipe takes
    plans: list[MemberPlan]
    network: nn.Module  # the first member's, untrained

    @classmethod
    def prepare(cls, recipe: Recipe, dataset: Dataset) -> "_Job":
        """Raises RecipeError or InputError where recipe and data do not fit."""
        train = choose_rows(dataset.train, recipe)
        generator = generator_for(recipe.seed, 0, 0, "weights")
        network = build_network(recipe.network.name, train.image_shape, len(train.classes), generator)
        return cls(recipe, dataset, train, plan_members(recipe, train), network)


def _train(job: _Job, folder: RunFolder, engine: Engine, display: Display) -> None:
    recipe, train, test = job.recipe, job.train, job.dataset.test
    write_network_graph(folder.network, job.network, train.image_shape, recipe.network.name)
    recorder = _Recorder(folder, job.plans, recipe, display)
    with display.training(len(job.plans), recorder.images_left()):
        probabilities = train_ensemble(job.plans, train, test, recipe, engine, folder.member, recorder)
    _write_probabilities(folder, train, test, probabilities)
    _write_hardest(folder, train, probabilities.out_of_fold)
    summary = RunSummary(
        source=job.dataset.name,
        images_to_train=len(train),
        images_to_predict=0 if test is None else len(test),
        classes=len(train.classes),
        network=recipe.network.name,
        parameters=count_parameters(job.network),
        members=len(job.plans),
        out_of_fold=_out_of_fold_accuracy(train, probabilities.out_of_fold),
        test=_write_submission(folder, job.dataset, probabilities.test),
        training_seconds=sum(log.seconds for log in recorder.logs),
    )
    write_report(folder.report, summary)


class _Recorder:
    """Writes log.jsonl and the learning curves, and passes everything on to the display."""

    def __init__(self, folder: RunFolder, plans: Sequence[MemberPlan], recipe: Recipe, display: Display) -> None:
        self._folder, self._display = folder, display
        self._images = {plan.member: len(plan.train_rows) for plan in plans}
        self._epochs = {
            plan.member: count_epochs(recipe.schedule, recipe.optimizer.batch_size, len(plan.train_rows))
            for plan in plans
        }
        self.logs = folder.epochs(self._images)
        folder.restart_log(self.logs)

    def images_left(self) -> int:
        """How many images, counted once an epoch, are still to be trained on."""
        planned = sum(self._epochs[member] * images for member, images in self._images.items())
        return planned - sum(self._images[log.member] for log in self.logs)

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self._display.member_started(member, epochs, epochs_done)

    def batch_finished(self, images: int) -> None:
        self._display.batch_finished(images)

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)
        self._folder.append_log(log)
        self._display.epoch_finished(log)
        if log.epoch == self._epochs[log.member]:
            plot_loss(self._folder.loss, self.logs)
            plot_accuracy(self._folder.accuracy, self.logs)


def _write_probabilities(
    folder: RunFolder, train: ImageSet, test: ImageSet | None, probabilities: EnsembleProbabilities
) -> None:
    classes = np.asarray(train.classes)
    write_npz(
        folder.out_of_fold,
        ids=train.ids,
        labels=train.known_labels(),
        probabilities=probabilities.out_of_fold,
        classes=classes,
    )
    if test is not None and probabilities.test is not None:
        write_npz(folder.test_probabilities, ids=test.ids, probabilities=probabilities.test, classes=classes)


def _write_hardest(folder: RunFolder, train: ImageSet, out_of_fold: NDArray[np.float32]) -> None:
    hardness = rank_hardness(train.known_labels(), out_of_fold)
    write_hardest(folder.hardest, train, hardness)
    shown = hardness.rows[:HARDEST_SHOWN]
    labels = train.known_labels()[shown]
    captions = [
        f"{train.classes[label]} → {train.classes[predicted]}"
        for label, predicted in zip(labels, hardness.predicted, strict=False)
    ]
    title = "The hardest training images: label → prediction by members that never saw them"
    plot_images(folder.hardest_picture, train.images[shown], captions, title)


def _write_submission(folder: RunFolder, dataset: Dataset, members: NDArray[np.float32] | None) -> Accuracy | None:
    """Write submission.csv where there is a test set; its accuracy where the source knows the labels."""
    test, template = dataset.test, dataset.template
    if test is None or members is None:
        return None
    predicted = mean_of_members(members).argmax(axis=1)
    labels = [dataset.train.classes[index] for index in predicted]
    header = KAGGLE_HEADER if template is None else template.header
    write_submission(folder.submission, test.ids, labels, header, None if template is None else template.ids)
    return None if test.labels is None else accuracy(test.labels, predicted)


def _out_of_fold_accuracy(train: ImageSet, out_of_fold: NDArray[np.float32]) -> Accuracy:
    known = ~np.isnan(out_of_fold[:, 0])
    return accuracy(train.known_labels()[known], out_of_fold[known].argmax(axis=1))


def _introduction(job: _Job, engine: Engine, folder: RunFolder) -> str:
    train, test, network = job.dataset.train, job.dataset.test, job.recipe.network.name
    _, height, width = train.image_shape
    to_predict = "none" if test is None else f"{len(test):,}"
    rows = "" if job.train is train else f", {len(job.train):,} of them used"
    members = "1 member" if len(job.plans) == 1 else f"{len(job.plans)} members, one a fold"
    return (
        f"source   {job.dataset.name}: {len(train):,} images of {height}x{width} in {len(train.classes)} classes "
        f"to learn from{rows}, {to_predict} to predict\n"
        f"network  {network}, {count_parameters(job.network):,} parameters; {members}\n"
        f"device   {engine}\n"
        f"run      {folder.path}"
    )
