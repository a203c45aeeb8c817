"""The whole flow: a source becomes a trained ensemble, its honest accuracy, and a submission."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.display import Display, SilentDisplay, choose_display
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import Dataset, open_source
from hitofude.learning.checkpoint import KEPT_STATES, EpochLog
from hitofude.learning.engine import Engine, choose_engine, explaining_memory_errors
from hitofude.learning.ensemble import EnsembleProbabilities, mean_of_members, plan_members, train_ensemble
from hitofude.learning.estimate import Estimate, estimate_ensemble
from hitofude.learning.member import EnsembleJob
from hitofude.learning.metrics import Accuracy, accuracy
from hitofude.learning.networks import build_network, count_parameters
from hitofude.learning.schedule import count_epochs
from hitofude.learning.training import MemberPlan
from hitofude.learning.workers import Team
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
BYTES_A_ROW = 150  # ids and labels in oof.npz, test_probabilities.npz and hardest.csv
BYTES_OF_PICTURES = 2_000_000


def run(
    source: str | Path | Dataset | None = None,
    *,
    preset: str | Path = DEFAULT_PRESET,
    run: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    debug: bool = False,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    label: str | None = None,
    shape: tuple[int, int] | None = None,
    quiet: bool = False,
) -> RunResult:
    """Train an ensemble on a source, validate it honestly, predict the source's test images.

    source: see hitofude.inputs.sources; None is the embedded sample. preset: a preset's name or a recipe file.
    run: the folder, by default runs/SOURCE-PRESET. An unfinished run there is continued, a finished one is
    only read. settings: dotted names and values, such as {"schedule.epochs": 3}. debug: 1,000 rows, 5 epochs,
    2 folds. workers: how many members are trained side by side; threads: of each; left out, what is fastest here.
    A run is continued with the threads that it was begun with. label, shape: the label column, and (H, W) where
    the pixels make no square.

    Raises hitofude.errors.UserError, of the kind that fits, for everything a user can mend.
    """
    display = SilentDisplay() if quiet else choose_display()
    recipe = choose_recipe(preset, settings or {}, debug=debug)
    with explaining_memory_errors():
        engine = choose_engine(device, recipe.precision)
        dataset = source if isinstance(source, Dataset) else open_source(source, label=label, shape=shape)
        job = _Job.prepare(recipe, dataset)
        folder = RunFolder(Path(run) if run else default_folder(dataset.name, preset, debug=debug))
        threads = threads or folder.threads_begun_with()
        team = Team.choose(len(job.plans), job.images_to_train(), engine, workers, threads)
        engine = replace(engine, threads=team.threads)
        display.message(_introduction(job, engine, team, folder))
        if folder.is_finished:
            folder.check_same(recipe, dataset)
        else:
            with folder.claimed(recipe, dataset, engine):
                _train(job, folder, engine, team, display)
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
    networks: dict[str, nn.Module]  # one of each name, untrained

    @classmethod
    def prepare(cls, recipe: Recipe, dataset: Dataset) -> "_Job":
        """Raises RecipeError or InputError where recipe and data do not fit."""
        train = choose_rows(dataset.train, recipe)
        plans = plan_members(recipe, train)
        names = dict.fromkeys(plan.network for plan in plans)
        networks = {
            name: build_network(name, train.image_shape, len(train.classes), torch.Generator()) for name in names
        }
        return cls(recipe, dataset, train, plans, networks)

    def epochs(self, plan: MemberPlan) -> int:
        return count_epochs(self.recipe.schedule, self.recipe.optimizer.batch_size, len(plan.train_rows))

    def parameters(self) -> dict[str, int]:
        """Of each network."""
        return {name: count_parameters(network) for name, network in self.networks.items()}

    def images_to_train(self) -> int:
        """Over all members, counted once an epoch."""
        return sum(self.epochs(plan) * len(plan.train_rows) for plan in self.plans)


def _train(job: _Job, folder: RunFolder, engine: Engine, team: Team, display: Display) -> None:
    recipe, train, test = job.recipe, job.train, job.dataset.test
    folder.check_disk(_bytes_needed(job, team))
    name, network = next(iter(job.networks.items()))
    write_network_graph(folder.network, network, train.image_shape, name)
    recorder = _Recorder(folder, job, display)
    ensemble = EnsembleJob(recipe, engine, tuple(job.plans), train, test, folder.members)
    with display.training(len(job.plans), recorder.images_left()):
        probabilities = train_ensemble(ensemble, team.workers, recorder)
    _write_probabilities(folder, train, test, probabilities)
    _write_hardest(folder, train, probabilities.out_of_fold)
    summary = RunSummary(
        source=job.dataset.name,
        images_to_train=len(train),
        images_to_predict=0 if test is None else len(test),
        classes=len(train.classes),
        networks=tuple(plan.network for plan in job.plans),
        parameters=job.parameters(),
        single=_accuracy_of_singles(job, probabilities),
        out_of_fold=_out_of_fold_accuracy(train, probabilities.out_of_fold),
        estimate=_estimate(job, probabilities),
        test=_write_submission(folder, job.dataset, probabilities.test),
        training_seconds=sum(log.seconds for log in recorder.logs),
    )
    write_report(folder.report, summary)


class _Recorder:
    """Writes log.jsonl and the learning curves, and passes everything on to the display."""

    def __init__(self, folder: RunFolder, job: _Job, display: Display) -> None:
        self._folder, self._display = folder, display
        self._images = {plan.member: len(plan.train_rows) for plan in job.plans}
        self._epochs = {plan.member: job.epochs(plan) for plan in job.plans}
        self._images_to_train = job.images_to_train()
        self.logs = folder.epochs(self._images)
        folder.restart_log(self.logs)

    def images_left(self) -> int:
        """How many images, counted once an epoch, are still to be trained on."""
        return self._images_to_train - sum(self._images[log.member] for log in self.logs)

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

    def warned(self, message: str) -> None:
        self._display.warned(message)


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


def _accuracy_of_singles(job: _Job, probabilities: EnsembleProbabilities) -> dict[str, Accuracy]:
    """Of each network's members on the rows that they held out, all their answers together."""
    labels, found = job.train.known_labels(), {name: Accuracy(0, 0) for name in job.networks}
    for plan, held_out in zip(job.plans, probabilities.held_out, strict=True):
        right = int((held_out.argmax(axis=1) == labels[plan.validation_rows]).sum())
        before = found[plan.network]
        found[plan.network] = Accuracy(before.right + right, before.total + len(held_out))
    return {name: single for name, single in found.items() if single.total}


def _estimate(job: _Job, probabilities: EnsembleProbabilities) -> Estimate | None:
    if probabilities.test is None:
        return None
    held_out = [plan.validation_rows for plan in job.plans]
    return estimate_ensemble(job.train.known_labels(), probabilities.out_of_fold, held_out, probabilities.test)


def _bytes_needed(job: _Job, team: Team) -> int:
    """What a whole run writes, somewhat more than less: weights, the states of members in training, predictions."""
    weights = 4 * max(job.parameters().values())
    states = team.workers * (KEPT_STATES + 1) * 5 * weights
    rows = len(job.train) + (0 if job.dataset.test is None else len(job.dataset.test) * len(job.plans))
    return len(job.plans) * weights + states + rows * (4 * len(job.train.classes) + BYTES_A_ROW) + BYTES_OF_PICTURES


def _introduction(job: _Job, engine: Engine, team: Team, folder: RunFolder) -> str:
    train, test = job.dataset.train, job.dataset.test
    _, height, width = train.image_shape
    to_predict = "none" if test is None else f"{len(test):,}"
    rows = "" if job.train is train else f", {len(job.train):,} of them used"
    networks = ", ".join(f"{name} ({parameters:,} parameters)" for name, parameters in job.parameters().items())
    side_by_side = f", {team.workers} members side by side" if team.workers > 1 else ""
    return (
        f"source   {job.dataset.name}: {len(train):,} images of {height}x{width} in {len(train.classes)} classes "
        f"to learn from{rows}, {to_predict} to predict\n"
        f"network  {networks}\n"
        f"members  {_describe_members(job)}\n"
        f"device   {engine}{side_by_side}\n"
        f"run      {folder.path}"
    )


def _describe_members(job: _Job) -> str:
    """How many, and from which rows: `8: 3 folds, 2 times over; 2 on all rows, without out-of-fold rows`."""
    ensemble = job.recipe.ensemble
    parts = f"{ensemble.folds} folds" if ensemble.split == "folds" else "one part held out"
    repeats = f", {ensemble.repeats} times over" if ensemble.repeats > 1 else ""
    on_all = f"; {ensemble.all_rows} on all rows, without out-of-fold rows" if ensemble.all_rows else ""
    return f"{len(job.plans)}: {parts}{repeats}{on_all}"
