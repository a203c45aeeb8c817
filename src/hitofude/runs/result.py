"""A finished run, read from its folder."""

import os
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

from hitofude.inputs.direction import isolate, isolate_quoted
from hitofude.language.translation import Language, language, say, say_count, say_of, speaking, translate
from hitofude.metrics.baseline import GUESS
from hitofude.metrics.estimate import Estimate
from hitofude.metrics.label_issues import describe_issues
from hitofude.metrics.metrics import Accuracy, answered
from hitofude.metrics.scores import LOWER_IS_BETTER, NAMES, NEED_PROBABILITIES, Score
from hitofude.metrics.whole_ensemble import member_groups, parts_of_whole, prediction_sets, set_threshold
from hitofude.outputs.frames import FrameKind, labelled_frame
from hitofude.outputs.report import AuditSummary, RelatedSummary, RunSummary
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
    language: Language = "en"  # in which it is described

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
        width = max(cell_len(name) for name, _ in facts)
        return "\n".join(f"{name}{' ' * (width - cell_len(name))}  {value}" for name, value in facts)

    def _repr_html_(self) -> str:
        """Show the same lines in a notebook, with links to the files."""
        rows = "".join(
            f'<tr><th scope="row" style="text-align: left; white-space: nowrap">{name}</th>'
            f'<td style="text-align: left">{_link(value) if isinstance(value, Path) else escape(value)}</td></tr>'
            for name, value in self._facts()
        )
        return f"<table><tbody>{rows}</tbody></table>"

    def _facts(self) -> list[tuple[str, str | Path]]:
        """Return the names and values of the lines, in the language in which the run was read."""
        with speaking(self.language):
            return [(name, value) for name, value in self._possible_facts() if value is not None]

    def _possible_facts(self) -> list[tuple[str, str | Path | None]]:
        summary, audit = self.summary, self.summary.audit
        minutes, seconds = divmod(round(summary.training_seconds), 60)
        time = say("{minutes} min {seconds} s, all members together", minutes=minutes, seconds=seconds)
        is_accuracy = summary.metric == "accuracy"
        labels = describe_issues(audit.label_issues, audit.probably_wrong, audit.expected_wrong)
        return [
            *(
                (say("warning"), isolate_quoted(translate(warning)))
                for warning in summary.warnings
                if warning.startswith(GUESS)
            ),
            *((say("single {network}", network=translate(name)), str(one)) for name, one in summary.single.items()),
            *self._headline(),
            (say("worst class"), None if summary.worst_class is None else str(summary.worst_class)),
            (say("expected test score") if is_accuracy else say("expected test accuracy"), _expect(summary)),
            *self._test_scores(),
            (say("pseudo-labels"), _describe_pseudo_labels(summary.pseudo_labelled)),
            (say("row weights"), _describe_weights(summary.weights)),
            (say("not held out"), _name_classes(summary.never_held_out)),
            *_compare_with_teacher(summary),
            (say("related rows"), None if summary.related is None else describe_related(summary.related)),
            (say("training time"), time),
            (say("networks asked"), summary.networks_asked),
            (say("submission"), self.submission),
            (say("audit"), say("{labels}; {duplicates}; see the report", labels=labels, duplicates=_duplicates(audit))),
            (say("report"), self.folder.page),
            (say("everything"), self.folder.path),
        ]

    def _headline(self) -> list[tuple[str, str]]:
        """The out-of-fold score by the run's metric, its baseline, and the accuracy if that is another metric."""
        summary, score = self.summary, self.score
        name = say("out-of-fold {metric}", metric=say(NAMES[summary.metric]))
        accuracy = say("{score}, each row by members that never saw it", score=summary.out_of_fold)
        of_accuracy = (say("out-of-fold {metric}", metric=say("accuracy")), accuracy)
        if score is None:
            return [(name, say("not defined for these rows")), of_accuracy]
        answers = _describe_baseline(summary)
        baseline = (say("baseline"), say("{score:.4f}, {answers}", score=score.baseline, answers=answers))
        if summary.metric == "accuracy":
            return [of_accuracy, baseline]
        lower = say("; lower is better") if summary.metric in LOWER_IS_BETTER else ""
        honest = say("{score}, each row by members that never saw it", score=score)
        return [(name, honest + lower), baseline, of_accuracy]

    def _test_scores(self) -> list[tuple[str, str]]:
        summary, metric = self.summary, self.summary.metric
        if summary.test is None:
            return []
        score = None if summary.test_scores is None else summary.test_scores.get(metric)
        scores: list[tuple[Metric, Score | Accuracy]] = [("accuracy", summary.test)]
        if score is not None and metric != "accuracy":
            scores.insert(0, (metric, score))
        return [
            (
                say("test {metric}", metric=say(NAMES[one])),
                say("{score}; by the source's labels, which chose nothing", score=found),
            )
            for one, found in scores
        ]


def describe_score(summary: RunSummary) -> str:
    """`out-of-fold accuracy 0.9895, baseline 0.1137`"""
    name, score = NAMES[summary.metric], summary.score
    if score is None:
        return f"out-of-fold {name} not defined"
    return f"out-of-fold {name} {score.value:.4f}, baseline {score.baseline:.4f}"


def _describe_baseline(summary: RunSummary) -> str:
    if summary.metric in NEED_PROBABILITIES:
        return say("the classes' shares as every image's probabilities")
    return say("always answering {answer}", answer=summary.baseline_answer)


def _expect(summary: RunSummary) -> str | None:
    if summary.no_estimate is not None:
        reason = translate(summary.no_estimate)
        return say("no estimate: {reason}. The out-of-fold accuracy is all that is known", reason=reason)
    if summary.estimate is None:
        return None
    return say("{score}: {explanation}", score=summary.estimate, explanation=_explain(summary.estimate))


def _duplicates(audit: AuditSummary) -> str:
    found = say_count(audit.same_images + audit.near_images, "duplicate image")
    if not audit.leaks:
        return found
    return say("{duplicates}, {leaks} of them across training and test images", duplicates=found, leaks=audit.leaks)


def _name_classes(classes: tuple[str, ...]) -> str | None:
    """Say which classes are not in the out-of-fold accuracy, if there are any."""
    if not classes:
        return None
    more = say(" and {count} more", count=len(classes) - 5) if len(classes) > 5 else ""
    names = say(", ").join(map(isolate, classes[:5])) + more
    return say("{classes}: too few images; trained on, not in the accuracy", classes=names)


def _describe_pseudo_labels(images: int) -> str | None:
    if not images:
        return None
    return say_of(
        images,
        "the {images} to predict was learned from, without labels",
        "the {images} to predict were learned from, without labels",
        images=say_count(images, "image"),
    )


def _describe_weights(weights: str | None) -> str | None:
    return None if weights is None else say("{weights}; scores count every row once", weights=translate(weights))


def _compare_with_teacher(summary: RunSummary) -> list[tuple[str, str]]:
    """Describe the cost and the errors of a distilled run beside those of its teacher."""
    teacher = summary.teacher
    if teacher is None:
        return []
    theirs, ours = (
        say(
            "{networks}, {operations:.1f} million operations an image",
            networks=say_count(count, "network"),
            operations=operations / 1e6,
        )
        for count, operations in (
            (teacher.networks, teacher.operations),
            (len(summary.predicting), teacher.own_operations),
        )
    )
    right, found = teacher.out_of_fold, summary.out_of_fold
    wrong, own_wrong = right.total - right.right, found.total - found.right
    of_teacher = say(
        "{run}: {costs}; {wrong:,} of {rows:,} wrong", run=teacher.run, costs=theirs, wrong=wrong, rows=right.total
    )
    of_student = say(
        "{costs}, {share:.1f} % of the teacher's; {wrong:,} of {rows:,} wrong, {more:+.1f} %",
        costs=ours,
        share=100 * teacher.own_operations / teacher.operations,
        wrong=own_wrong,
        rows=found.total,
        more=100 * (own_wrong - wrong) / max(wrong, 1),
    )
    return [(say("teacher"), of_teacher), (say("distilled"), of_student)]


def describe_related(related: RelatedSummary) -> str:
    """Describe related rows, and what a split regardless of them would have shown."""
    divided, groups = related.divided_copies, say_count(related.groups, "group")
    if divided:
        text = say_of(
            divided,
            "{rows:,} in {groups}, but {divided:,} has a copy in another given fold: too high",
            "{rows:,} in {groups}, but {divided:,} have a copy in another given fold: too high",
            rows=related.rows, groups=groups, divided=divided,
        )  # fmt: skip
    else:
        text = say("{rows:,} in {groups}, none on both sides of a split", rows=related.rows, groups=groups)
    if related.flattery is None:
        return text
    more = max(related.flattery, 0)
    return text + say("; random splits would show about {more:.4f} more, by nearest neighbours", more=more)


def _explain(estimate: Estimate) -> str:
    if not estimate.gain and not estimate.ease:
        return say("as out of fold, by networks trained alike on fewer rows")
    text = say("out of fold {gain:+.4f} by averaging all members", gain=estimate.gain)
    if abs(estimate.ease) < 0.00005:
        return text
    if estimate.ease > 0:
        text = say("{gain} and {ease:+.4f} as the images to predict look easier", gain=text, ease=estimate.ease)
    else:
        text = say("{gain} and {ease:+.4f} as the images to predict look harder", gain=text, ease=estimate.ease)
    if abs(estimate.ease) < estimate.ease_by_chance:
        return say("{gain_and_ease}, which may be chance", gain_and_ease=text)
    return text


def _link(path: Path) -> str:
    """Return a link that works beside the notebook, even if both are moved together."""
    try:
        target = quote(Path(os.path.relpath(path)).as_posix())
    except ValueError:  # on another drive
        target = path.resolve().as_uri()
    return f'<a href="{target}" target="_blank">{escape(str(path))}</a>'


def load_result(path: RunFolder | str | Path) -> RunResult:
    """Read a finished run, to be described in the language of this call.

    Raises RunFolderError if it is not finished or not a run.
    """
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
        language=language(),
    )
