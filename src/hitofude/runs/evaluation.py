"""The evaluation of a trained ensemble: figures, lists of images to review, and the report."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.direction import isolate
from hitofude.inputs.duplicates import Duplicate
from hitofude.inputs.image_set import ImageSet, describe_weights
from hitofude.language.translation import note
from hitofude.learning.augment import transformed_versions
from hitofude.learning.ensemble import EnsembleProbabilities, join_out_of_fold
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.speed import multiplications
from hitofude.learning.training import MemberPlan
from hitofude.metrics.baseline import no_better_than_commonest
from hitofude.metrics.calibration import Cascade, join_members, reliability, with_temperature
from hitofude.metrics.cascade import HeldOut, choose_cascade
from hitofude.metrics.estimate import EnsembleAnswers, Estimate, estimate_alike, estimate_ensemble
from hitofude.metrics.grouped import grouped_accuracy
from hitofude.metrics.label_issues import LabelIssues, find_label_issues
from hitofude.metrics.metrics import Accuracy, agreement, answered, class_scores, confusion_matrix
from hitofude.metrics.scores import NEED_PROBABILITIES, Answers, Score, all_scores
from hitofude.metrics.whole_ensemble import LEVELS, fit_temperatures, member_groups, parts_of_whole, set_threshold
from hitofude.outputs.audit import Hardness, LabelledRows, rank_hardness, write_duplicates
from hitofude.outputs.html_report.page import Page, render
from hitofude.outputs.network_graph import operations
from hitofude.outputs.plots import plot_images
from hitofude.outputs.report import AuditSummary, Calibration, MemberSummary, RunSummary, TeacherSummary
from hitofude.recipe import Metric
from hitofude.runs.audit import LabelledPredictions, write_lists
from hitofude.runs.flattery import summarise_related
from hitofude.runs.folder import RunFolder
from hitofude.runs.plan import RunPlan
from hitofude.runs.result import RunResult
from hitofude.runs.sanity import doubtful_settings
from hitofude.storage import write_text

HARDEST_DRAWN = 50
ORIGINALS, VERSIONS = 6, 12


def plan_cascade(plan: RunPlan, probabilities: EnsembleProbabilities) -> Cascade | None:
    """Choose the members that are asked one after another, by the rows that members held out.

    Return None if all members that predict are to be asked about every image, as they are if the metric needs
    probabilities, and if only members on all rows predict.
    """
    if plan.recipe.metric in NEED_PROBABILITIES or plan.recipe.ensemble.predict_by != "all":
        return None
    shape, classes = plan.train.image_shape, len(plan.train.classes)
    costs = {name: multiplications(name, shape, classes) for name in plan.networks}
    held_out = HeldOut(
        labels=plan.train.known_labels(),
        rows=[member.validation_rows for member in plan.members],
        probabilities=probabilities.held_out,
        kinds=[(member.recipe.to_toml(), bool(member.teachers)) for member in plan.members],
        costs=[costs[member.network] for member in plan.members],
        seen_again_below=plan.recipe.tta.threshold if plan.recipe.tta.shift else 0.0,
    )
    return choose_cascade(held_out, plan.recipe.ensemble.most_changed)


def calibrate(plan: RunPlan, probabilities: EnsembleProbabilities, cascade: Cascade | None) -> Calibration:
    """Fit the temperatures by the rows that some member held out and, if there are any, the images to predict.

    If members learned from these images, they tell nothing about images that no member saw, and are not used.
    """
    predict_by, known = plan.recipe.ensemble.predict_by, answered(probabilities.out_of_fold)
    of_test = probabilities.test if predict_by == "all" and not plan.pseudo_labelled() else None
    labels, out_of_fold = plan.train.known_labels()[known], probabilities.out_of_fold[known]
    held_out = parts_of_whole(plan.held_out(), predict_by)
    temperatures = fit_temperatures(plan.train.known_labels(), probabilities.out_of_fold, held_out, of_test, cascade)
    calibrated = with_temperature(out_of_fold, temperatures.out_of_fold)
    of_labels, groups = calibrated[np.arange(len(labels)), labels], member_groups(held_out)
    return Calibration(
        temperature=temperatures.ensemble,
        out_of_fold_temperature=temperatures.out_of_fold,
        as_predicted=reliability(labels, out_of_fold),
        at_temperature=reliability(labels, calibrated),
        set_thresholds={
            f"{level:g}": set_threshold(level, of_labels, of_test, groups, temperatures, cascade) for level in LEVELS
        },
    )


def evaluate(
    plan: RunPlan,
    folder: RunFolder,
    probabilities: EnsembleProbabilities,
    calibration: Calibration,
    cascade: Cascade | None,
    logs: Sequence[EpochLog],
    test: Accuracy | None,
) -> RunSummary:
    """Write the lists, pictures and report.html; return the figures. test: the test accuracy, if it is known."""
    train, test_images, duplicates = plan.train, plan.dataset.test, plan.duplicates()
    labels, rows = train.known_labels(), LabelledRows.of(train)
    out_of_fold = with_temperature(probabilities.out_of_fold, calibration.out_of_fold_temperature)
    predictions = LabelledPredictions(rows, out_of_fold, probabilities.disagreement)
    hardness, issues = write_lists(predictions, out_of_fold, folder.hardest, folder.label_issues)
    write_duplicates(folder.duplicates, rows, None if test_images is None else test_images.ids, duplicates)
    _draw_hardest(folder, train, rows, hardness)
    audit = _count_findings(issues, duplicates, labels)
    summary = _summarise(plan, folder, probabilities, logs, test, calibration, cascade, audit)
    page = _page(plan, summary, out_of_fold, logs, hardness, issues)
    write_text(folder.page, render(page))
    return summary


def rewrite_report(plan: RunPlan, result: RunResult, logs: Sequence[EpochLog]) -> None:
    """Write report.html of a finished run again, in the language that is spoken now. logs: of all epochs."""
    labels, out_of_fold = plan.train.known_labels(), result.out_of_fold_probabilities
    hardness, issues = rank_hardness(labels, out_of_fold), find_label_issues(labels, out_of_fold)
    write_text(result.folder.page, render(_page(plan, result.summary, out_of_fold, logs, hardness, issues)))


def _page(
    plan: RunPlan,
    summary: RunSummary,
    out_of_fold: NDArray[np.float32],
    logs: Sequence[EpochLog],
    hardness: Hardness,
    issues: LabelIssues,
) -> Page:
    """Gather the content of the report. out_of_fold: (N, classes), calibrated."""
    train, recipe = plan.train, plan.recipe
    originals, augmented = transformed_versions(train, plan.members[0].recipe.augment, ORIGINALS, VERSIONS, recipe.seed)
    return Page(
        summary=summary,
        train=train,
        test=plan.dataset.test,
        out_of_fold=out_of_fold,
        logs=logs,
        hardness=hardness,
        issues=issues,
        duplicates=plan.duplicates(),
        recipe=recipe.to_toml(),
        originals=originals,
        augmented=augmented.round().astype(np.uint8),
        operations={name: operations(network, train.image_shape) for name, network in plan.networks.items()},
    )


def _summarise(
    plan: RunPlan,
    folder: RunFolder,
    probabilities: EnsembleProbabilities,
    logs: Sequence[EpochLog],
    test: Accuracy | None,
    calibration: Calibration,
    cascade: Cascade | None,
    audit: AuditSummary,
) -> RunSummary:
    train, out_of_fold, of_test = plan.train, probabilities.out_of_fold, probabilities.test
    known, labels = answered(out_of_fold), train.known_labels()
    predicted = out_of_fold[known].argmax(axis=1)
    related = None if plan.groups is None else plan.groups[known]
    confusion = confusion_matrix(labels[known], predicted, len(train.classes))
    members = _summarise_members(plan, probabilities)
    estimate = _estimate(plan, probabilities, calibration, cascade)
    doubt = None if estimate is None else estimate.doubt
    scores = _score_training_rows(plan, out_of_fold, calibration.out_of_fold_temperature)
    guess = no_better_than_commonest(plan.recipe.metric, scores, confusion.tolist(), train.classes)
    return RunSummary(
        source=plan.dataset.name,
        command=plan.command,
        finished=datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
        environment=folder.load_environment(),
        images_to_train=len(train),
        images_to_predict=0 if plan.dataset.test is None else len(plan.dataset.test),
        classes=train.classes,
        parameters=plan.parameters(),
        members=members,
        agreement=None if of_test is None else tuple(map(tuple, agreement(of_test.argmax(axis=2)).tolist())),
        metric=plan.recipe.metric,
        scores=scores,
        test_scores=_score_test_images(plan, of_test, calibration.temperature, cascade),
        single=_accuracy_by_network(plan, probabilities),
        out_of_fold=grouped_accuracy(labels[known], predicted, related),
        confusion=tuple(map(tuple, confusion.tolist())),
        class_scores=tuple(class_scores(confusion)),
        calibration=calibration,
        estimate=None if doubt else estimate,
        no_estimate=doubt,
        test=test,
        audit=audit,
        warnings=(*doubtful_settings(plan), *([] if guess is None else [guess])),
        training_seconds=sum(log.seconds for log in logs),
        training_flop=plan.training_flop(),
        related=summarise_related(plan, out_of_fold),
        never_held_out=tuple(train.classes[label] for label in plan.never_held_out()),
        scale=plan.dataset.scale.describe(),
        look=plan.dataset.look.describe(),
        reading=plan.dataset.reading,
        left_aside=plan.dataset.left_aside,
        pseudo_labelled=plan.pseudo_labelled(),
        weights=None if train.weights is None else describe_weights(train.weights),
        teacher=_summarise_teacher(plan),
        cascade=cascade,
    )


def _estimate(
    plan: RunPlan, probabilities: EnsembleProbabilities, calibration: Calibration, cascade: Cascade | None
) -> Estimate | None:
    """Estimate the score of the submission; None without images to predict."""
    labels, test, out_of_fold = plan.train.known_labels(), probabilities.test, probabilities.out_of_fold
    if test is None:
        return None
    if plan.recipe.ensemble.predict_by != "all":
        return estimate_alike(labels, out_of_fold, test.shape[1], plan.groups)
    answers = EnsembleAnswers(out_of_fold, plan.held_out(), test)
    unseen = _answers_of_unseen(plan, probabilities, answers) if plan.pseudo_labelled() else None
    return estimate_ensemble(labels, answers, calibration.temperatures, plan.groups, cascade, unseen)


def _answers_of_unseen(
    plan: RunPlan, probabilities: EnsembleProbabilities, answers: EnsembleAnswers
) -> EnsembleAnswers:
    """Return the answers of the members that did not learn from the images to predict."""
    rows, classes = len(plan.train), len(plan.train.classes)
    places = [place for place, member in enumerate(plan.members) if (member.train_rows < rows).all()]
    members, held_out = [plan.members[place] for place in places], [probabilities.held_out[place] for place in places]
    out_of_fold, _ = join_out_of_fold(members, held_out, rows, classes)
    return EnsembleAnswers(out_of_fold, answers.held_out[:, places], answers.members[places])


def _summarise_teacher(plan: RunPlan) -> TeacherSummary | None:
    teacher = plan.teacher
    if teacher is None:
        return None
    shape, classes = plan.train.image_shape, len(plan.train.classes)
    own = sum(multiplications(plan.members[place].network, shape, classes) for place in plan.predicting())
    networks, accuracy = teacher.result.summary.predicting, teacher.result.accuracy
    return TeacherSummary(str(teacher.folder.path), len(networks), teacher.operations(), own, accuracy)


def _score_training_rows(plan: RunPlan, out_of_fold: NDArray[np.float32], temperature: float) -> dict[Metric, Score]:
    """Return the scores on the rows that some member held out. out_of_fold: (N, classes), as predicted."""
    known, labels = answered(out_of_fold), plan.train.known_labels()
    calibrated = with_temperature(out_of_fold[known], temperature)
    groups = None if plan.groups is None else plan.groups[known]
    return all_scores(Answers.of(labels[known], calibrated, plan.train.classes), groups)


def _score_test_images(
    plan: RunPlan, members: NDArray[np.float32] | None, temperature: float, cascade: Cascade | None
) -> dict[Metric, Score] | None:
    """Return the scores on the images to predict if their labels are known. members: (M, images, classes)."""
    test, classes = plan.dataset.test, plan.train.classes
    if members is None or test is None or test.labels is None:
        return None
    trained_on = np.bincount(plan.train.known_labels(), minlength=len(classes)) / len(plan.train)
    answers = Answers.of(test.labels, join_members(members[plan.predicting()], temperature, cascade), classes)
    return all_scores(answers, shares=trained_on)


def _count_findings(issues: LabelIssues, duplicates: Sequence[Duplicate], labels: NDArray[np.int64]) -> AuditSummary:
    """labels: (N,) of the training rows."""
    in_train = [item for item in duplicates if item.split == item.earlier_split == "train"]
    return AuditSummary(
        label_issues=len(issues),
        probably_wrong=issues.probable,
        expected_wrong=issues.expected,
        same_images=sum(item.difference == 0 for item in duplicates),
        near_images=sum(item.difference > 0 for item in duplicates),
        differing_labels=sum(bool(labels[item.row] != labels[item.earlier_row]) for item in in_train),
        leaks=sum(item.is_leak for item in duplicates),
    )


def _summarise_members(plan: RunPlan, probabilities: EnsembleProbabilities) -> tuple[MemberSummary, ...]:
    return tuple(
        _summarise_member(plan, member, held_out)
        for member, held_out in zip(plan.members, probabilities.held_out, strict=True)
    )


def _summarise_member(plan: RunPlan, member: MemberPlan, held_out: NDArray[np.float32]) -> MemberSummary:
    """held_out: the member's probabilities of its validation rows, (rows, classes)."""
    variant, accuracy = plan.variant_of(member), _accuracy_of(plan, [(member, held_out)])
    settings = {} if variant is None else plan.recipe.ensemble.variants[variant - 1]
    predicts = member.member in plan.predicting()
    return MemberSummary(member.network, len(member.train_rows), accuracy, variant, settings, predicts)


def _accuracy_by_network(plan: RunPlan, probabilities: EnsembleProbabilities) -> dict[str, Accuracy]:
    """Return the accuracy of the members of each network, and of each variant if several have the network.

    It is that on the rows that they held out, all answers together.
    """
    members = defaultdict[str, list[tuple[MemberPlan, NDArray[np.float32]]]](list)
    variants = {(member.network, plan.variant_of(member)) for member in plan.members}
    shared = Counter(network for network, _ in variants)
    for member, held_out in zip(plan.members, probabilities.held_out, strict=True):
        name = member.network
        if shared[name] > 1:
            name = note("{network}, variant {number}", network=name, number=plan.variant_of(member))
        members[name].append((member, held_out))
    found = {name: _accuracy_of(plan, ones) for name, ones in members.items()}
    return {name: one for name, one in found.items() if one is not None}


def _accuracy_of(plan: RunPlan, members: Sequence[tuple[MemberPlan, NDArray[np.float32]]]) -> Accuracy | None:
    """Return the accuracy of members on the rows that they held out; None if there are none.

    members: each with its probabilities of its validation rows.
    """
    rows = np.concatenate([member.validation_rows for member, _ in members])
    if not len(rows):
        return None
    answers = np.concatenate([held_out.argmax(axis=1) for _, held_out in members if len(held_out)])
    groups = None if plan.groups is None else plan.groups[rows]
    return grouped_accuracy(plan.train.known_labels()[rows], answers, groups)


def _draw_hardest(folder: RunFolder, images: ImageSet, train: LabelledRows, hardness: Hardness) -> None:
    shown = hardness.rows[:HARDEST_DRAWN]
    captions = [
        f"{isolate(train.label(row))} → {isolate(train.classes[predicted])}"
        for row, predicted in zip(shown, hardness.predicted, strict=False)
    ]
    title = "The hardest training images: label → prediction by members that never saw them"
    plot_images(folder.hardest_picture, images.images[shown], captions, title)
