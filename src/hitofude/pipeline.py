"""The whole flow: a source becomes a trained ensemble, its honest accuracy, and a submission."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    folder = RunFolder(Path(run) if run else default_folder(dataset.name, preset, debug=debug))
    display.message(_introduction(dataset, recipe, engine, folder))
    folder.claim(recipe, dataset, describe_environment(engine))
    if not folder.is_finished:
        _train(folder, recipe, dataset, engine, display)
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


def _train(folder: RunFolder, recipe: Recipe, dataset: Dataset, engine: Engine, display: Display) -> None:
    train = choose_rows(dataset.train, recipe)
    plans = plan_members(recipe, train)
    parameters = _draw_network(folder, recipe, train)
    recorder = _Recorder(folder, plans, recipe, display)
    with display.training(len(plans), recorder.images_left()):
        probabilities = train_ensemble(plans, train, dataset.test, recipe, engine, folder.member, recorder)
    _write_probabilities(folder, train, dataset.test, probabilities)
    _write_hardest(folder, train, probabilities.out_of_fold)
    summary = RunSummary(
        source=dataset.name,
        images_to_train=len(train),
        images_to_predict=0 if dataset.test is None else len(dataset.test),
        classes=len(train.classes),
        network=recipe.network.name,
        parameters=parameters,
        members=len(plans),
        out_of_fold=_out_of_fold_accuracy(train, probabilities.out_of_fold),
        test=_write_submission(folder, dataset, probabilities.test),
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


def _draw_network(folder: RunFolder, recipe: Recipe, train: ImageSet) -> int:
    """Draw the network; its number of parameters."""
    generator = generator_for(recipe.seed, 0, 0, "weights")
    network = build_network(recipe.network.name, train.image_shape, len(train.classes), generator)
    write_network_graph(folder.network, network, train.image_shape, recipe.network.name)
    return count_parameters(network)


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
    plot_images(folder.hardest_picture, train.images[shown], captions)


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


def _introduction(dataset: Dataset, recipe: Recipe, engine: Engine, folder: RunFolder) -> str:
    _, height, width = dataset.train.image_shape
    to_predict = "none" if dataset.test is None else f"{len(dataset.test):,}"
    split = f"{recipe.ensemble.folds} folds" if recipe.ensemble.split == "folds" else "one split"
    return (
        f"source   {dataset.name}: {len(dataset.train):,} images of {height}x{width} in {len(dataset.train.classes)} "
        f"classes to learn from, {to_predict} to predict\n"
        f"network  {recipe.network.name}, {split}\n"
        f"device   {engine}\n"
        f"run      {folder.path}"
    )
