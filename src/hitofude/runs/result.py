"""A finished run, read from its folder."""

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import agree, counted
from hitofude.inputs.direction import isolate, isolate_quoted
from hitofude.metrics.baseline import GUESS
from hitofude.metrics.estimate import Estimate
from hitofude.metrics.label_issues import describe_issues
from hitofude.metrics.metrics import Accuracy, answered
from hitofude.metrics.scores import LOWER_IS_BETTER, NAMES, NEED_PROBABILITIES, Score
from hitofude.metrics.whole_ensemble import member_groups, parts_of_whole, prediction_sets, set_threshold
from hitofude.outputs.frames import FrameKind, labelled_frame
from hitofude.outputs.report import RelatedSummary, RunSummary
from hitofude.recipe import Metric, Recipe
from hitofude.runs.folder import RunFolder
from hitofude.storage import read_npz

OUT_OF_FOLD = ("ids", "labels", "probabilities", "raw_probabilities", "held_out", "disagreement", "groups")
OF_TEST = ("ids", "probabilities", "member_probabilities")


@dataclass(frozen=True, eq=False, repr=False)
class RunResult:
    """A finished run."""

    folder: RunFolder
    recipe: Recipe
    summary: RunSummary
    classes: tuple[str, ...]
    ids: NDArray[np.str_]  # (N,) of the training rows
    labels: NDArray[np.int64]  # (N,) of the training rows, each an index into classes
    out_of_fold_probabilities: NDArray[np.float32]  # (N, classes), calibrated; NaN in rows that every member trained on
    raw_out_of_fold_probabilities: NDArray[np.float32]  # (N, classes), as predicted
    held_out: NDArray[np.bool_]  # (N, members) which members did not train on a row
    disagreement: NDArray[np.float32]  # (N,) the share of the members that held a row out and differ from their mean
    groups: NDArray[np.int64]  # (N,) related rows, of a group or copies of an image, have the same number
    test_ids: NDArray[np.str_] | None  # (M,)
    test_probabilities: NDArray[np.float32] | None  # (M, classes), calibrated
    member_probabilities: NDArray[np.float32] | None  # (members, M, classes), as predicted

    @property
    def accuracy(self) -> Accuracy:
        """The out-of-fold accuracy: each training row is predicted only by members that never saw it."""
        return self.summary.out_of_fold

    @property
    def score(self) -> Score | None:
        """The out-of-fold score by the run's metric; None if the metric is not defined for these rows."""
        return self.summary.score

    @property
    def scores(self) -> dict[Metric, Score]:
        """The out-of-fold score by each metric: value, 95 % interval and baseline."""
        return self.summary.scores

    @property
    def estimate(self) -> Estimate | None:
        """The expected score of the submission; None without images to predict, or if it cannot be trusted."""
        return self.summary.estimate

    @property
    def test_predictions(self) -> NDArray[np.str_] | None:
        """(M,) the labels of the submission."""
        probabilities = self.test_probabilities
        return None if probabilities is None else np.asarray(self.classes)[probabilities.argmax(axis=1)]

    def set_threshold(self, level: float) -> float:
        """Return the least calibrated probability of a class in an image's prediction set.

        level: the share of images whose set holds the true label. Raises RecipeError if it is not between 0 and 1.
        """
        known, calibration = answered(self.out_of_fold_probabilities), self.summary.calibration
        of_labels = self.out_of_fold_probabilities[known][np.arange(known.sum()), self.labels[known]]
        groups = member_groups(parts_of_whole(self.held_out, self.recipe.ensemble.predict_by))
        members = None if self.summary.pseudo_labelled else self.member_probabilities
        return set_threshold(level, of_labels, members, groups, calibration.temperatures, self.summary.cascade)

    def test_sets(self, level: float = 0.95) -> NDArray[np.bool_] | None:
        """Return (M, classes), the prediction sets of the images to predict: each holds its image's true label with
        probability `level`, and at least the likeliest class. None without images to predict.
        """
        if self.test_probabilities is None:
            return None
        return prediction_sets(self.test_probabilities, self.set_threshold(level))

    def test_frame(self, kind: FrameKind = "pandas") -> Any:
        """Return the predictions of the images to predict as a data frame: id, label, probability_CLASS for each class.

        The probabilities are calibrated. kind: "pandas" or "polars". None without images to predict. Raises InputError
        with pip's command if the package is missing.
        """
        if self.test_ids is None or self.test_predictions is None or self.test_probabilities is None:
            return None
        return labelled_frame(kind, self.test_ids, self.test_predictions, self.test_probabilities, self.classes)

    def out_of_fold_frame(self, kind: FrameKind = "pandas") -> Any:
        """Return the same of the training rows, by members that never saw them, with their given labels.

        The probabilities of rows that every member trained on are NaN.
        """
        labels = np.asarray(self.classes)[self.labels]
        return labelled_frame(kind, self.ids, labels, self.out_of_fold_probabilities, self.classes)

    @property
    def submission(self) -> Path | None:
        return self.folder.submission if self.folder.submission.exists() else None

    def __repr__(self) -> str:
        expected = "" if self.estimate is None else f", expected test score {self.estimate.value:.4f}"
        return f"RunResult('{self.folder.path}', {describe_score(self.summary)}{expected})"

    def describe(self) -> str:
        """Describe the outcome in a few lines: how good it is, how that is known, where the files are."""
        facts = self._facts()
        width = max(len(name) for name, _ in facts)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in facts)

    def _repr_html_(self) -> str:
        """Show the same lines in a notebook, with links to the files."""
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; white-space: nowrap">{name}</th>'
            f'<td style="text-align: left">{_link(value) if isinstance(value, Path) else escape(value)}</td></tr>'
            for name, value in self._facts()
        )
        return f"<table><tbody>{rows}</tbody></table>"

    def _facts(self) -> list[tuple[str, str | Path]]:
        summary, audit = self.summary, self.summary.audit
        minutes, seconds = divmod(round(summary.training_seconds), 60)
        leaks = f", {audit.leaks} of them across training and test images" if audit.leaks else ""
        duplicates = f"{counted(audit.same_images + audit.near_images, 'duplicate image')}{leaks}"
        expected_name = "expected test score" if summary.metric == "accuracy" else "expected test accuracy"
        labels = describe_issues(audit.label_issues, audit.probably_wrong, audit.expected_wrong)
        facts: list[tuple[str, str | Path | None]] = [
            *(("warning", isolate_quoted(warning)) for warning in summary.warnings if warning.startswith(GUESS)),
            *((f"single {name}", str(accuracy)) for name, accuracy in summary.single.items()),
            *self._headline(),
            ("worst class", None if summary.worst_class is None else str(summary.worst_class)),
            (expected_name, _expect(summary)),
            *self._test_scores(),
            ("pseudo-labels", _describe_pseudo_labels(summary.pseudo_labelled)),
            ("row weights", None if summary.weights is None else f"{summary.weights}; scores count every row once"),
            ("not held out", _name_classes(summary.never_held_out)),
            *_compare_with_teacher(summary),
            ("related rows", None if summary.related is None else describe_related(summary.related)),
            ("training time", f"{minutes} min {seconds} s, all members together"),
            ("networks asked", summary.networks_asked),
            ("submission", self.submission),
            ("audit", f"{labels}; {duplicates}; see the report"),
            ("report", self.folder.page),
            ("everything", self.folder.path),
        ]
        return [(name, value) for name, value in facts if value is not None]

    def _headline(self) -> list[tuple[str, str]]:
        """The out-of-fold score by the run's metric, its baseline, and the accuracy if that is another metric."""
        summary, score, honest = self.summary, self.score, "each row by members that never saw it"
        name, accuracy = f"out-of-fold {NAMES[summary.metric]}", f"{summary.out_of_fold}, {honest}"
        if score is None:
            return [(name, "not defined for these rows"), ("out-of-fold accuracy", accuracy)]
        baseline = ("baseline", f"{score.baseline:.4f}, {_describe_baseline(summary)}")
        if summary.metric == "accuracy":
            return [(name, accuracy), baseline]
        lower = "; lower is better" if summary.metric in LOWER_IS_BETTER else ""
        return [(name, f"{score}, {honest}{lower}"), baseline, ("out-of-fold accuracy", accuracy)]

    def _test_scores(self) -> list[tuple[str, str]]:
        summary, metric, source = self.summary, self.summary.metric, "by the source's labels, which chose nothing"
        if summary.test is None:
            return []
        score = None if summary.test_scores is None else summary.test_scores.get(metric)
        by_metric = [] if score is None or metric == "accuracy" else [(f"test {NAMES[metric]}", f"{score}; {source}")]
        return [*by_metric, ("test accuracy", f"{summary.test}; {source}")]


def describe_score(summary: RunSummary) -> str:
    """`out-of-fold accuracy 0.9895, baseline 0.1137`"""
    name, score = NAMES[summary.metric], summary.score
    if score is None:
        return f"out-of-fold {name} not defined"
    return f"out-of-fold {name} {score.value:.4f}, baseline {score.baseline:.4f}"


def _describe_baseline(summary: RunSummary) -> str:
    if summary.metric in NEED_PROBABILITIES:
        return "the classes' shares as every image's probabilities"
    return f"always answering {summary.baseline_answer}"


def _expect(summary: RunSummary) -> str | None:
    if summary.no_estimate is not None:
        return f"no estimate: {summary.no_estimate}. The out-of-fold accuracy is all that is known"
    return None if summary.estimate is None else f"{summary.estimate}: {_explain(summary.estimate)}"


def _name_classes(classes: tuple[str, ...]) -> str | None:
    """Say which classes are not in the out-of-fold accuracy, if there are any."""
    more = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return (
        f"{', '.join(map(isolate, classes[:5]))}{more}: too few images; trained on, not in the accuracy"
        if classes
        else None
    )


def _describe_pseudo_labels(images: int) -> str | None:
    return (
        f"the {counted(images, 'image')} to predict {agree(images, 'were')} learned from, without labels"
        if images
        else None
    )


def _compare_with_teacher(summary: RunSummary) -> list[tuple[str, str]]:
    """Describe the cost and the errors of a distilled run beside those of its teacher."""
    teacher = summary.teacher
    if teacher is None:
        return []
    theirs, ours = (
        f"{counted(count, 'network')}, {operations / 1e6:.1f} million operations an image"
        for count, operations in (
            (teacher.networks, teacher.operations),
            (len(summary.predicting), teacher.own_operations),
        )
    )
    right, found = teacher.out_of_fold, summary.out_of_fold
    wrong, own_wrong = right.total - right.right, found.total - found.right
    share = f"{100 * teacher.own_operations / teacher.operations:.1f} % of the teacher's"
    more = f"{100 * (own_wrong - wrong) / max(wrong, 1):+.1f} %"
    return [
        ("teacher", f"{teacher.run}: {theirs}; {wrong:,} of {right.total:,} wrong"),
        ("distilled", f"{ours}, {share}; {own_wrong:,} of {found.total:,} wrong, {more}"),
    ]


def describe_related(related: RelatedSummary) -> str:
    """Describe related rows, and what a split regardless of them would have shown."""
    divided = related.divided_copies
    parts = [
        f"{related.rows:,} in {counted(related.groups, 'group')}, "
        + (
            f"but {divided:,} {agree(divided, 'have')} a copy in another given fold: too high"
            if divided
            else "none on both sides of a split"
        )
    ]
    if related.flattery is not None:
        parts.append(f"random splits would show about {max(related.flattery, 0):.4f} more, by nearest neighbours")
    return "; ".join(parts)


def _explain(estimate: Estimate) -> str:
    if not estimate.gain and not estimate.ease:
        return "as out of fold, by networks trained alike on fewer rows"
    gain = f"{estimate.gain:+.4f} over out of fold, the gain of averaging all members"
    if abs(estimate.ease) < estimate.ease_by_chance:
        return gain
    harder = "easier" if estimate.ease > 0 else "harder"
    return f"{gain}; {estimate.ease:+.4f}, because the images to predict look {harder} than the training images"


def _link(path: Path) -> str:
    """Return a link that works beside the notebook, even if both are moved together."""
    try:
        target = quote(Path(os.path.relpath(path)).as_posix())
    except ValueError:  # on another drive
        target = path.resolve().as_uri()
    return f'<a href="{target}" target="_blank">{escape(str(path))}</a>'


def load_result(path: RunFolder | str | Path) -> RunResult:
    """Read a finished run. Raises RunFolderError if it is not finished or not a run."""
    folder = path if isinstance(path, RunFolder) else RunFolder(Path(path))
    recipe, data = folder.load_recipe(), folder.load_data()
    summary = folder.load_summary()
    out_of_fold = read_npz(folder.out_of_fold, *OUT_OF_FOLD)
    test = read_npz(folder.test_probabilities, *OF_TEST) if data.test_images else {}
    return RunResult(
        folder=folder,
        recipe=recipe,
        summary=summary,
        classes=data.classes,
        ids=out_of_fold["ids"],
        labels=out_of_fold["labels"],
        out_of_fold_probabilities=out_of_fold["probabilities"],
        raw_out_of_fold_probabilities=out_of_fold["raw_probabilities"],
        held_out=out_of_fold["held_out"],
        disagreement=out_of_fold["disagreement"],
        groups=out_of_fold["groups"],
        test_ids=test.get("ids"),
        test_probabilities=test.get("probabilities"),
        member_probabilities=test.get("member_probabilities"),
    )
