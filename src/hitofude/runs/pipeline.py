"""The whole flow: a source becomes a trained ensemble, an honest accuracy, and a submission."""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from hitofude.inputs.class_weights import read_class_weights
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.sources import Reading, Source, open_source
from hitofude.language.translation import Language, line, say, say_count, speaking
from hitofude.learning.compute import Compute, choose_compute, explaining_memory_errors, processors, usable_device
from hitofude.learning.dispatch import TrainingBackend, open_backend
from hitofude.learning.ensemble import EnsembleProbabilities, train_ensemble
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask
from hitofude.learning.plugins import load_plugins
from hitofude.learning.training import Targets
from hitofude.metrics.calibration import Cascade, join_members, with_temperature
from hitofude.metrics.metrics import Accuracy, accuracy
from hitofude.outputs.display import Display, choose_display
from hitofude.outputs.network_graph import network_graph
from hitofude.outputs.plots import draw_accuracy, draw_loss, plot_curves
from hitofude.outputs.report import Calibration, write_summary
from hitofude.outputs.submission import write_submission
from hitofude.recipe import DEFAULT_PRESET, choose_recipe
from hitofude.runs.callbacks import Callback, Callbacks, RunStart
from hitofude.runs.claim import check_same_run, claim_run, saved_epochs
from hitofude.runs.evaluation import calibrate, evaluate, plan_cascade, rewrite_report
from hitofude.runs.folder import RunFolder
from hitofude.runs.frontier import check_choosable, choose_in_time
from hitofude.runs.known_kinds import fit_novelty
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import RunResult, load_result
from hitofude.runs.sanity import doubtful_settings
from hitofude.runs.teacher import Teacher
from hitofude.runs.time_limit import TimeLimit
from hitofude.runs.trackers.tracker import CarefulTracker, choose_callbacks
from hitofude.storage import check_disk, read_npz, write_npz, write_text
from hitofude.workers.pool import WorkerPool

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_DRAWINGS = 30
"""Learning curves are drawn at the end, and meanwhile at most this often: drawing costs as much as a short epoch."""

ONE_AT_A_TIME = threading.RLock()
"""Held during plotting and evaluation, because Matplotlib is not thread-safe."""


def run(
    source: Source | None = None,
    *,
    preset: str | Path | None = None,
    time_limit: str | float | TimeLimit | None = None,
    run: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    debug: bool = False,
    device: str = "auto",
    workers: int | str | WorkerPool | None = None,
    threads: int | None = None,
    metric: str | None = None,
    class_weights: str | Path | Mapping[str, float] | None = None,
    quiet: bool = False,
    command: str | None = None,
    plugins: Sequence[str | Path] | None = None,
    callbacks: Sequence[Callback | str] = (),
    language: Language | None = None,
    **how: Unpack[Reading],
) -> RunResult:
    """Train an ensemble on a source, validate it honestly, predict the source's test images.

    source: see hitofude.inputs.sources; also (images, labels), a data frame, or a Dataset with images to predict. None
    is the embedded sample. preset: a preset's name or a recipe file, by default "fast".
    time_limit: in place of a preset, such as "10m", or in seconds: the most accurate recipe that ends in time on this
    machine, see hitofude.runs.frontier. A run is continued with the recipe that it was begun with.
    run: the folder, by default runs/SOURCE-PRESET or runs/SOURCE-LIMIT. An unfinished run there is continued, a
    finished one is only read.
    settings: dotted names and values, such as {"schedule.epochs": 3}. debug: 1,000 rows, 5 epochs, 2 folds.
    workers: the number of members trained side by side, or a cluster: "dask", "tcp://SCHEDULER:8786", "ray" or a Ray
    address; threads: for each member; None for whatever is fastest. A run is continued with the threads that it was
    begun with. how: the source is read, such as label="species"; see hitofude.inputs.sources.Reading.
    metric: by which the run is judged, such as "macro-f1", by default the preset's. class_weights: in the loss,
    "balanced", a table of class and weight, or a CSV file of them.
    command: the command line that makes or continues this run, for its report and for `hitofude runs`. plugins: files
    that register networks and augmentations of your own; see hitofude.register_network. callbacks: told of the
    progress, see hitofude.Callback, or the names of trackers: "tensorboard", "mlflow", "wandb".
    language: "en" or "ja", of the report, the displayed texts and the result's outcome; by default English whatever the
    locale. The report of a finished run is written again if it is given.

    Raises a subclass of hitofude.errors.UserError for everything a user can fix.
    """
    load_plugins(plugins)
    changes = dict(settings or {}) | ({} if metric is None else {"metric": metric})
    recipe = choose_recipe(preset or DEFAULT_PRESET, changes, debug=debug)
    limit = None if time_limit is None else TimeLimit.parse(time_limit)
    if limit is not None:
        check_choosable(preset, debug=debug)
    with speaking(language), explaining_memory_errors():
        display, dataset = choose_display(quiet=quiet), open_source(source, **how)
        if class_weights is not None:
            changes["optimizer.class_weights"] = _read_weights(class_weights, dataset)
        name = str(limit or preset or DEFAULT_PRESET)
        folder = RunFolder(Path(run) if run else default_folder(dataset.name, name, debug=debug))
        choice = None
        if limit is None:
            recipe = recipe.with_settings(changes)
        elif folder.recipe.exists():
            recipe = folder.load_recipe().with_settings({**changes, "chosen_for": str(limit)})
        else:
            choice = choose_in_time(limit, changes, dataset, display, device=device, workers=workers, threads=threads)
            recipe = choice.plan.recipe
        plan = RunPlan.prepare(recipe, dataset, command or f"hitofude run {dataset.name} --preset recipe.toml")
        where: dict[str, Any] = {"workers": workers, "device": device, "threads": threads}
        where |= {"callbacks": callbacks, "command": command}
        result = finish_run(plan, folder, display, **where, rewrite=language is not None)
        if choice is not None:
            display.message(choice.describe_end(choice.limit.spent()))
        return result


def _read_weights(weights: str | Path | Mapping[str, float], dataset: Dataset) -> str | dict[str, float]:
    if isinstance(weights, Mapping):
        return dict(weights)
    return str(weights) if weights in ("none", "balanced") else read_class_weights(Path(weights), dataset.train.classes)


def default_folder(source: str, preset: str | Path, *, debug: bool = False) -> Path:
    """Return runs/SOURCE-PRESET, or runs/SOURCE-LIMIT, which is the same for the same command."""
    return Path("runs", f"{source}-{Path(preset).stem}{'-debug' if debug else ''}")


def finish_run(
    plan: RunPlan,
    folder: RunFolder,
    display: Display,
    *,
    workers: int | str | WorkerPool | None,
    device: str,
    threads: int | None,
    callbacks: Sequence[Callback | str] = (),
    command: str | None = None,
    rewrite: bool = False,
) -> RunResult:
    """Begin or continue the planned run in its folder, or read it if it is finished; see `run`.

    command: the command line that continues it, if there is one. Several threads may call this at once, each for its
    own run: plotting and evaluation take turns, training does not.
    rewrite: the report of a finished run, in the language that is spoken now.
    """
    folder.check_trained_here()
    chosen = choose_callbacks(callbacks, display.warned)
    display.message(plan.describe())
    teacher = None if plan.teacher is None else plan.teacher.fingerprint
    if folder.is_finished:
        display.message(line("run", str(folder.path)))
        check_same_run(folder, plan.recipe, plan.dataset, teacher)
        result = load_result(folder)
        ended = say("nothing to do: this run ended on {time}. Its result:", time=result.summary.finished[:16])
        display.message(line("done", ended))
        logs = saved_epochs(folder, range(len(plan.members)))
        if rewrite:
            with ONE_AT_A_TIME:
                rewrite_report(plan, result, logs)
            display.message(line("report", say("written again, in English")))
        _tell(chosen, plan, folder, display, logs).finished(result)
        return result
    for warning in doubtful_settings(plan):
        display.warned(warning)
    with open_backend(
        workers,
        members=len(plan.members),
        images=plan.images_to_train(),
        parameters=max(plan.parameters().values()),
        device=device,
        precision=plan.recipe.precision,
        threads=threads or folder.threads_begun_with(),
    ) as backend:
        if backend.compute.note:
            display.warned(backend.compute.note)
        display.message(f"{line('device', str(backend))}\n{line('run', str(folder.path))}")
        with claim_run(folder, plan.recipe, plan.dataset, backend.compute, backend.environment, teacher):
            if command is not None:
                folder.keep_command(command)
            recorder = _Recorder(folder, plan, display, chosen)
            with recorder.callbacks.watching():
                _train(plan, folder, backend, display, recorder)
            result = load_result(folder)
            recorder.callbacks.finished(result)
    return result


def _tell(
    callbacks: Sequence[Callback], plan: RunPlan, folder: RunFolder, display: Display, logs: Sequence[EpochLog]
) -> Callbacks:
    """Tell the callbacks that the run starts. logs: the epochs that are saved."""
    epochs = {member.member: member.epochs for member in plan.members}
    start = RunStart(folder.path, plan.dataset.name, plan.recipe, len(plan.members), epochs, tuple(logs))
    told = Callbacks(callbacks, start)
    for one in callbacks:
        if isinstance(one, CarefulTracker) and one.tracker is not None:
            display.message(line("log", one.tracker.place(start)))
    return told


def _train(plan: RunPlan, folder: RunFolder, backend: TrainingBackend, display: Display, recorder: "_Recorder") -> None:
    check_disk(folder.path, plan.bytes_needed(backend.workers) - folder.bytes_written(), "The run needs", "--run")
    name, network = next(iter(plan.networks.items()))
    write_text(folder.network, network_graph(network, plan.train.image_shape, name))
    members, test = tuple(plan.members), plan.dataset.test
    targets = {} if plan.teacher is None else _learn_answers(plan, plan.teacher, folder, backend, display)
    ensemble = EnsembleTask(backend.compute, members, plan.train, test, folder.members, targets=targets)
    with display.training(len(members), recorder.images_left()), _logging_seconds("training and predicting"):
        probabilities = train_ensemble(ensemble, backend.pool or backend.workers, recorder)
        recorder.draw_curves()
    cascade = plan_cascade(plan, probabilities)
    calibration = calibrate(plan, probabilities, cascade)
    test_accuracy = _write_predictions(plan, folder, probabilities, calibration, cascade)
    with _logging_seconds("fitting the score of novelty"):
        fit_novelty(plan, folder, cascade, _compute_here(plan, backend))
    with ONE_AT_A_TIME, _logging_seconds("audit and report"):
        summary = evaluate(plan, folder, probabilities, calibration, cascade, recorder.logs, test_accuracy)
    folder.targets.unlink(missing_ok=True)
    folder.command.unlink(missing_ok=True)
    write_summary(folder.report, summary)


def _learn_answers(
    plan: RunPlan, teacher: Teacher, folder: RunFolder, backend: TrainingBackend, display: Display
) -> dict[int, Targets]:
    """Return the teacher's answers for each member, from the folder if they were saved before.

    They are computed in this process, in the precision of the training.
    """
    if not folder.targets.exists():
        test = plan.dataset.test
        images = np.concatenate([plan.train.images, *([] if test is None else [test.images])])
        about = say("{run} about {images}", run=teacher.folder.path, images=say_count(len(images), "image"))
        display.message(line("asking", about))
        compute = _compute_here(plan, backend)
        with _logging_seconds("asking the teacher"):
            answers = teacher.answers(plan.members, torch.from_numpy(images), compute)
        write_npz(folder.targets, **{str(member): found for member, found in answers.items()})
    saved = read_npz(folder.targets, *(str(member.member) for member in plan.members))
    return {member.member: saved[str(member.member)] for member in plan.members}


def _compute_here(plan: RunPlan, backend: TrainingBackend) -> Compute:
    """Return the compute of this process, on a device like that of the training and in its precision."""
    return choose_compute(usable_device(str(backend.compute.device)), plan.recipe.precision, processors())


@contextmanager
def _logging_seconds(step: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    logger.info("%s took %.2f s", step, time.monotonic() - started)


class _Recorder:
    """An observer that writes log.jsonl and the learning curves, and passes everything on to display and callbacks."""

    def __init__(self, folder: RunFolder, plan: RunPlan, display: Display, callbacks: Sequence[Callback]) -> None:
        self._folder, self._plan = folder, plan
        self._epochs = {member.member: member.epochs for member in plan.members}
        self.logs = saved_epochs(folder, self._epochs)
        self._drawn, self._drawn_at = 0, time.monotonic()
        self._display = display
        self.member_started, self.batch_finished = display.member_started, display.batch_finished
        self.warned = display.warned
        folder.restart_log(self.logs)
        self.callbacks = _tell(callbacks, plan, folder, display, self.logs)

    def images_left(self) -> int:
        """Return the number of images still to be trained on, counted once an epoch."""
        return self._plan.images_left(self.logs)

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)
        self._folder.append_log(log)
        self._display.epoch_finished(log)
        self.callbacks.epoch_finished(log)
        is_due = time.monotonic() - self._drawn_at > SECONDS_BETWEEN_DRAWINGS
        if is_due and log.epoch == self._epochs[log.member]:
            self.draw_curves(wait=False)

    def draw_curves(self, *, wait: bool = True) -> None:
        """Draw all epochs so far, unless they are drawn already or, without waiting, another run is being drawn."""
        if self._drawn < len(self.logs) and ONE_AT_A_TIME.acquire(blocking=wait):
            try:
                plot_curves(self._folder.loss, draw_loss, self.logs)
                plot_curves(self._folder.accuracy, draw_accuracy, self.logs)
            finally:
                ONE_AT_A_TIME.release()
            self._drawn, self._drawn_at = len(self.logs), time.monotonic()


def _write_predictions(
    plan: RunPlan,
    folder: RunFolder,
    probabilities: EnsembleProbabilities,
    calibration: Calibration,
    cascade: Cascade | None,
) -> Accuracy | None:
    """Write oof.npz and, if there are test images, their probabilities and the submission.

    Return the accuracy on the test images if the source knows their labels.
    """
    train, test = plan.train, plan.dataset.test
    classes = np.asarray(train.classes)
    write_npz(
        folder.out_of_fold,
        ids=train.ids,
        labels=train.known_labels(),
        probabilities=with_temperature(probabilities.out_of_fold, calibration.out_of_fold_temperature),
        raw_probabilities=probabilities.out_of_fold,
        held_out=plan.held_out(),
        disagreement=probabilities.disagreement,
        groups=np.arange(len(train)) if plan.groups is None else plan.groups,
        classes=classes,
    )
    if test is None or probabilities.test is None:
        return None
    joined = join_members(probabilities.test[plan.predicting()], calibration.temperature, cascade)
    write_npz(
        folder.test_probabilities,
        ids=test.ids,
        probabilities=joined,
        member_probabilities=probabilities.test,
        classes=classes,
    )
    write_submission(folder.submission, test.ids, joined, train.classes, plan.submission_format)
    return None if test.labels is None else accuracy(test.labels, joined.argmax(axis=1))
