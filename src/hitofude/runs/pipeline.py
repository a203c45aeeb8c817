"""The whole flow: a source becomes a trained ensemble, its honest accuracy, and a submission."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import Shape
from hitofude.inputs.sources import Dataset, Source, open_source
from hitofude.learning.compute import explaining_memory_errors
from hitofude.learning.dispatch import TrainingBackend, open_backend
from hitofude.learning.ensemble import EnsembleProbabilities, train_ensemble
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask
from hitofude.metrics.metrics import Accuracy, accuracy, mean_of_members
from hitofude.outputs.display import Display, SilentDisplay, choose_display
from hitofude.outputs.network_graph import write_network_graph
from hitofude.outputs.plots import plot_accuracy, plot_loss
from hitofude.outputs.report import write_report
from hitofude.outputs.submission import KAGGLE_HEADER, write_submission
from hitofude.recipe import DEFAULT_PRESET, choose_recipe
from hitofude.runs.evaluation import evaluate
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import RunResult, load_result
from hitofude.storage import write_npz
from hitofude.workers.pool import WorkerPool

logger = logging.getLogger(__name__)

ONE_AT_A_TIME = threading.RLock()
"""Held while pictures are drawn and a run is judged: Matplotlib is not safe for threads."""


def run(
    source: Source | None = None,
    *,
    preset: str | Path = DEFAULT_PRESET,
    run: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    debug: bool = False,
    device: str = "auto",
    workers: int | str | WorkerPool | None = None,
    threads: int | None = None,
    label: str | None = None,
    shape: Shape | None = None,
    quiet: bool = False,
    command: str | None = None,
) -> RunResult:
    """Train an ensemble on a source, validate it honestly, predict the source's test images.

    source: see hitofude.inputs.sources; (images, labels), a data frame, or a Dataset with images to predict, too;
    None is the embedded sample. preset: a preset's name or a recipe file.
    run: the folder, by default runs/SOURCE-PRESET. An unfinished run there is continued, a finished one is
    only read. settings: dotted names and values, such as {"schedule.epochs": 3}. debug: 1,000 rows, 5 epochs,
    2 folds. workers: how many members are trained side by side, or a cluster: "dask", "tcp://SCHEDULER:8786", "ray" or
    a Ray address; threads: of each member; left out, what is fastest. A run is continued with the threads that it was
    begun with. label, shape: the label column, and (H, W) where the pixels make no square, (H, W, 3) for colour.
    command: what makes this run again, for the report.

    Raises hitofude.errors.UserError, of the kind that fits, for everything a user can mend.
    """
    display = SilentDisplay() if quiet else choose_display()
    recipe = choose_recipe(preset, settings or {}, debug=debug)
    with explaining_memory_errors():
        dataset = open_source(source, label=label, shape=shape)
        job = RunPlan.prepare(recipe, dataset, command or f"hitofude run {dataset.name} --preset recipe.toml")
        folder = RunFolder(Path(run) if run else default_folder(dataset.name, preset, debug=debug))
        return finish_run(job, folder, display, workers=workers, device=device, threads=threads)


def finish_run(
    job: RunPlan,
    folder: RunFolder,
    display: Display,
    *,
    workers: int | str | WorkerPool | None,
    device: str,
    threads: int | None,
) -> RunResult:
    """Begin or continue the job's run in its folder, or read it where it is finished; see `run`.

    Several threads may do so at once, each for its own run: what is not safe for threads waits its turn here, while the
    members of all go on.
    """
    folder.check_trained_here()
    display.message(job.describe())
    if folder.is_finished:
        display.message(f"run      {folder.path}")
        folder.check_same(job.recipe, job.dataset)
    else:
        _make(job, folder, workers, device, threads or folder.threads_begun_with(), display)
    return load_result(folder)


def _make(
    job: RunPlan,
    folder: RunFolder,
    where: int | str | WorkerPool | None,
    device: str,
    threads: int | None,
    display: Display,
) -> None:
    """Begin or continue the run in the folder, where its members are to be made."""
    with open_backend(
        where,
        members=len(job.plans),
        images=job.images_to_train(),
        parameters=max(job.parameters().values()),
        device=device,
        precision=job.recipe.precision,
        threads=threads,
    ) as backend:
        display.message(f"device   {backend}\nrun      {folder.path}")
        with folder.claimed(job.recipe, job.dataset, backend.compute, backend.environment):
            _train(job, folder, backend, display)


@contextmanager
def logging_seconds(what: str) -> Iterator[None]:
    """Log how long it took."""
    started = time.monotonic()
    yield
    logger.info("%s took %.2f s", what, time.monotonic() - started)


def default_folder(source: str, preset: str | Path, *, debug: bool = False) -> Path:
    """runs/SOURCE-PRESET, the same for the same command."""
    return Path("runs", f"{source}-{Path(preset).stem}{'-debug' if debug else ''}")


def _train(job: RunPlan, folder: RunFolder, backend: TrainingBackend, display: Display) -> None:
    recipe, train, test = job.recipe, job.train, job.dataset.test
    folder.check_disk(job.bytes_needed(backend.workers))
    name, network = next(iter(job.networks.items()))
    write_network_graph(folder.network, network, train.image_shape, name)
    recorder = _Recorder(folder, job, display)
    ensemble = EnsembleTask(recipe, backend.compute, tuple(job.plans), train, test, folder.members)
    with display.training(len(job.plans), recorder.images_left()), logging_seconds("training and predicting"):
        probabilities = train_ensemble(ensemble, backend.pool or backend.workers, recorder)
        recorder.draw_curves()
    _write_probabilities(folder, train, test, probabilities)
    of_test = _write_submission(folder, job.dataset, probabilities.test)
    with ONE_AT_A_TIME, logging_seconds("audit and report"):
        summary = evaluate(job, folder, probabilities, recorder.logs, of_test)
    write_report(folder.report, summary)


class _Recorder:
    """Writes log.jsonl and the learning curves, and passes everything on to the display."""

    def __init__(self, folder: RunFolder, job: RunPlan, display: Display) -> None:
        self._folder, self._job, self._display = folder, job, display
        self._images = {plan.member: len(plan.train_rows) for plan in job.plans}
        self._epochs = {plan.member: job.epochs(plan) for plan in job.plans}
        self.logs = folder.epochs(self._images)
        self._drawn = 0
        folder.restart_log(self.logs)

    def images_left(self) -> int:
        """How many images, counted once an epoch, are still to be trained on."""
        return self._job.images_left(self.logs)

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self._display.member_started(member, epochs, epochs_done)

    def batch_finished(self, images: int) -> None:
        self._display.batch_finished(images)

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)
        self._folder.append_log(log)
        self._display.epoch_finished(log)
        if log.epoch == self._epochs[log.member]:
            self.draw_curves(wait=False)

    def draw_curves(self, *, wait: bool = True) -> None:
        """Draw all epochs so far, unless they are drawn; without waiting, only where nobody else draws."""
        if self._drawn < len(self.logs) and ONE_AT_A_TIME.acquire(blocking=wait):
            try:
                plot_loss(self._folder.loss, self.logs)
                plot_accuracy(self._folder.accuracy, self.logs)
            finally:
                ONE_AT_A_TIME.release()
            self._drawn = len(self.logs)

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
        disagreement=probabilities.disagreement,
        classes=classes,
    )
    if test is not None and probabilities.test is not None:
        write_npz(folder.test_probabilities, ids=test.ids, probabilities=probabilities.test, classes=classes)


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
