"""What the out-of-fold probabilities of a run say: figures, lists of images to look at, the report."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.duplicates import Duplicate
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.augment import transformed_versions
from hitofude.learning.ensemble import EnsembleProbabilities
from hitofude.learning.epoch_log import EpochLog
from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.estimate import Estimate, estimate_ensemble
from hitofude.metrics.label_issues import LabelIssues
from hitofude.metrics.metrics import Accuracy, accuracy, agreement, answered, class_scores, confusion_matrix, reliability
from hitofude.outputs.audit import Hardness, Labelled, write_duplicates
from hitofude.outputs.html_report import Page, write_page
from hitofude.outputs.network_graph import operations
from hitofude.outputs.plots import plot_images
from hitofude.outputs.report import AuditSummary, Calibration, MemberSummary, RunSummary
from hitofude.runs.audit import LabelledPredictions, list_rows
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import RunPlan

HARDEST_DRAWN = 50
ORIGINALS, VERSIONS = 6, 12


def evaluate(
    job: RunPlan,
    folder: RunFolder,
    probabilities: EnsembleProbabilities,
    logs: Sequence[EpochLog],
    test: Accuracy | None,
) -> RunSummary:
    """Write the lists, pictures and the page; the figures, with the test accuracy where it is known, are given back."""
    train, test_images, duplicates = job.train, job.dataset.test, job.duplicates()
    judged = LabelledPredictions(Labelled.of(train), probabilities.out_of_fold, probabilities.disagreement)
    calibration = _calibrate(train.known_labels(), probabilities.out_of_fold)
    hardness, issues = list_rows(judged, calibration.temperature, folder.hardest, folder.label_issues)
    write_duplicates(folder.duplicates, judged.train, None if test_images is None else test_images.ids, duplicates)
    _draw_hardest(folder, train, judged.train, hardness)
    audit = _count(issues, duplicates, train.known_labels())
    summary = _summarise(job, folder, probabilities, logs, test, calibration, audit)
    originals, augmented = transformed_versions(train, job.recipe.augment, ORIGINALS, VERSIONS, job.recipe.seed)
    page = Page(
        summary=summary,
        train=train,
        test=test_images,
        out_of_fold=probabilities.out_of_fold,
        logs=logs,
        hardness=hardness,
        issues=issues,
        duplicates=duplicates,
        recipe=job.recipe.to_toml(),
        originals=originals,
        augmented=augmented.round().astype(np.uint8),
        operations={name: operations(network, train.image_shape) for name, network in job.networks.items()},
    )
    write_page(folder.page, page)
    return summary


def _count(issues: LabelIssues, duplicates: Sequence[Duplicate], labels: NDArray[np.int64]) -> AuditSummary:
    """labels: (N,) of the training rows."""
    within = [item for item in duplicates if item.part == item.earlier_part == "train"]
    return AuditSummary(
        label_issues=len(issues),
        same_images=sum(item.difference == 0 for item in duplicates),
        near_images=sum(item.difference > 0 for item in duplicates),
        differing_labels=sum(bool(labels[item.row] != labels[item.earlier_row]) for item in within),
        leaks=sum(item.is_leak for item in duplicates),
    )


def _summarise(
    job: RunPlan,
    folder: RunFolder,
    probabilities: EnsembleProbabilities,
    logs: Sequence[EpochLog],
    test: Accuracy | None,
    calibration: Calibration,
    audit: AuditSummary,
) -> RunSummary:
    labels, out_of_fold = _held_out(job.train.known_labels(), probabilities.out_of_fold)
    predicted = out_of_fold.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, len(job.train.classes))
    members = _members(job, probabilities)
    return RunSummary(
        source=job.dataset.name,
        command=job.command,
        finished=datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        environment=folder.load_environment(),
        images_to_train=len(job.train),
        images_to_predict=0 if job.dataset.test is None else len(job.dataset.test),
        classes=job.train.classes,
        parameters=job.parameters(),
        members=members,
        agreement=_agreement(probabilities.test),
        single=_by_network(members),
        out_of_fold=accuracy(labels, predicted),
        confusion=tuple(map(tuple, confusion.tolist())),
        class_scores=tuple(class_scores(confusion)),
        calibration=calibration,
        estimate=_estimate(job, probabilities),
        test=test,
        audit=audit,
        training_seconds=sum(log.seconds for log in logs),
    )


def _held_out(
    labels: NDArray[np.int64], out_of_fold: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and probabilities of the rows that some member held out."""
    known = answered(out_of_fold)
    return labels[known], out_of_fold[known]


def _calibrate(labels: NDArray[np.int64], out_of_fold: NDArray[np.float32]) -> Calibration:
    labels, out_of_fold = _held_out(labels, out_of_fold)
    temperature = fit_temperature(labels, out_of_fold)
    calibrated = with_temperature(out_of_fold, temperature)
    return Calibration(temperature, reliability(labels, out_of_fold), reliability(labels, calibrated))


def _members(job: RunPlan, probabilities: EnsembleProbabilities) -> tuple[MemberSummary, ...]:
    labels, found = job.train.known_labels(), []
    for plan, held_out in zip(job.plans, probabilities.held_out, strict=True):
        of_rows = labels[plan.validation_rows]
        judged = accuracy(of_rows, held_out.argmax(axis=1)) if len(held_out) else None
        found.append(MemberSummary(plan.network, len(plan.train_rows), judged))
    return tuple(found)


def _by_network(members: Sequence[MemberSummary]) -> dict[str, Accuracy]:
    """Of each network's members on the rows that they held out, all their answers together."""
    found: dict[str, Accuracy] = {}
    for member in members:
        if member.held_out is not None:
            before = found.get(member.network, Accuracy(0, 0))
            after = member.held_out
            found[member.network] = Accuracy(before.right + after.right, before.total + after.total)
    return found


def _agreement(members: NDArray[np.float32] | None) -> tuple[tuple[float, ...], ...] | None:
    return None if members is None else tuple(map(tuple, agreement(members.argmax(axis=2)).tolist()))


def _estimate(job: RunPlan, probabilities: EnsembleProbabilities) -> Estimate | None:
    if probabilities.test is None:
        return None
    held_out = [plan.validation_rows for plan in job.plans]
    return estimate_ensemble(job.train.known_labels(), probabilities.out_of_fold, held_out, probabilities.test)


def _draw_hardest(folder: RunFolder, images: ImageSet, train: Labelled, hardness: Hardness) -> None:
    shown = hardness.rows[:HARDEST_DRAWN]
    captions = [
        f"{train.label(row)} → {train.classes[predicted]}"
        for row, predicted in zip(shown, hardness.predicted, strict=False)
    ]
    title = "The hardest training images: label → prediction by members that never saw them"
    plot_images(folder.hardest_picture, images.images[shown], captions, title)
