"""The score of a submission against the true labels of a solution file."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.cells import cell_len

from hitofude.errors import InputError, agree, counted
from hitofude.inputs.formats.columns import find_id, find_label
from hitofude.inputs.formats.text_table import TextTable, read_text_table
from hitofude.inputs.image_set import classes_of
from hitofude.inputs.spelling import Spellings, number_of, without_zero_decimals
from hitofude.language.translation import say, say_count, say_of
from hitofude.metrics.metrics import Accuracy
from hitofude.metrics.scores import LOWER_IS_BETTER, NAMES, SMALLEST_PROBABILITY, Answers
from hitofude.metrics.scores import score as metric_score
from hitofude.recipe import Metric

USAGE, IGNORED = "usage", "ignored"
SHOWN = 5


@dataclass(frozen=True)
class Score:
    """The accuracy of a submission, and labels that occur in only one of the two files, with their rows."""

    accuracy: Accuracy
    by_usage: Mapping[str, Accuracy]
    """The accuracy on the rows of each part that a column `Usage` names; empty without this column."""
    ignored: int
    """The rows that `Usage` leaves out."""
    only_predicted: Mapping[str, int]
    never_predicted: Mapping[str, int]
    answers: Answers
    """The labels and the predictions of all rows; a prediction that is no label of the solution is a class, too."""

    def describe(self, metric: Metric = "accuracy") -> str:
        """Describe the score in a line, and each part and peculiarity in another.

        Raises InputError if the metric is not defined for these labels.
        """
        lines = [] if metric == "accuracy" else [describe_metric(metric, self.answers)]
        parts = [(say("accuracy"), self.accuracy), *self.by_usage.items()]
        width = max(cell_len(part) for part, _ in parts)
        lines += [f"{part}{' ' * (width - cell_len(part))} {accuracy}" for part, accuracy in parts]
        if self.ignored:
            text = say_of(
                self.ignored,
                "{rows} is left out, because the Usage is Ignored",
                "{rows} are left out, because the Usage is Ignored",
                rows=say_count(self.ignored, "row"),
            )
            lines.append(text)
        if self.only_predicted:
            lines.append(say("predicted, but no label of the solution: {labels}", labels=_listed(self.only_predicted)))
        if self.never_predicted:
            lines.append(say("in the solution, but never predicted: {labels}", labels=_listed(self.never_predicted)))
        return "\n".join(lines)


@dataclass(frozen=True)
class _Labels:
    """The labels of a file by id, in its order."""

    path: Path
    names: tuple[str, str]
    """The headers of the id and of the label."""
    of: dict[str, str]
    usage: dict[str, str]

    def is_ignored(self, id: str) -> bool:
        return self.usage.get(id, "").lower() == IGNORED


def score(submission: Path, solution: Path, *, label: str | None = None) -> Score:
    """Compare a submission with the true labels; ids and labels that are numbers are compared as numbers.

    The id is the column of such a name (`id`, `ImageId`), else the first; the label is the column `label`, else the one
    that both files have, else the first other one. label: the name of that column, in the files that have it. Rows of
    the solution whose `Usage` is Ignored are left out.

    Raises InputError if a file cannot be read, the ids differ, or no predicted label is one of the solution's.
    """
    predicted, true = _read_both(submission, solution, label)
    answers = _by_id_of(true, predicted)
    spellings = Spellings(true.of.values())
    rows = [id for id in true.of if not true.is_ignored(id)]
    if not rows:
        raise InputError(f"{solution}: the Usage of every row is Ignored, so there is nothing to score.")
    found = {id: spellings.find(answers[id]) for id in rows}
    predicted_labels = set(found.values())
    _check_labels(predicted, true, answers, found)
    right = {id: found[id] == true.of[id] for id in rows}
    parts = dict.fromkeys(true.usage[id] for id in rows) if true.usage else {}
    return Score(
        _accuracy([right[id] for id in rows]),
        {part: _accuracy([right[id] for id in rows if true.usage[id] == part]) for part in parts},
        ignored=len(true.of) - len(rows),
        only_predicted=Counter(answers[id] for id in rows if found[id] is None),
        never_predicted=Counter(label for id in rows if (label := true.of[id]) not in predicted_labels),
        answers=_encode([true.of[id] for id in rows], [found[id] or answers[id] for id in rows]),
    )


def _encode(labels: list[str], answers: list[str]) -> Answers:
    classes = classes_of(np.array([*labels, *answers]))
    index = {name: i for i, name in enumerate(classes)}
    encoded, predicted = (np.array([index[name] for name in names]) for names in (labels, answers))
    return Answers(encoded, predicted, None, classes)


def describe_metric(metric: Metric, answers: Answers) -> str:
    """Describe a score in a line. Raises InputError if the metric is not defined for these labels."""
    found = metric_score(metric, answers)
    if found is None:
        needs = {"quadratic-kappa": "classes that are numbers", "auc": "two classes or more among the labels"}
        raise InputError(f"--metric {metric} needs {needs.get(metric, 'other labels')}. Choose another metric.")
    name, baseline = say(NAMES[metric]), found.baseline
    text = say("{metric} {score}; baseline {baseline:.4f}", metric=name, score=found, baseline=baseline)
    return text + (say("; lower is better") if metric in LOWER_IS_BETTER else "")


def score_probabilities(submission: Path, solution: Path, metric: Metric, *, label: str | None = None) -> str:
    """Describe the log loss or the AUC of a submission of probabilities.

    The submission has a column for each class, called like it or so after a beginning that all share; for two classes
    it may have one column, of the second class. For the log loss rows are scaled to a sum of 1. Raises InputError as
    `score` does, and with the line for a value that is no probability.
    """
    tables = [read_text_table(path, fewest=2) for path in (submission, solution)]
    true = _read_labels(tables[1], label, tables[0].header)
    rows = [id for id in true.of if not true.is_ignored(id)]
    classes = classes_of(np.array([true.of[id] for id in rows]))
    columns = _match_columns(tables[0], classes)
    by_id: dict[str, list[float]] = {}
    spellings, id_column = Spellings(true.of), find_id(tables[0].header) or 0
    for number, fields in tables[0].lines:
        if (known := spellings.find(fields[id_column])) is None or known in by_id:
            problem = "is not one of the solution's" if known is None else "is a duplicate"
            raise InputError(f"{submission}, line {number}: the id '{fields[id_column]}' {problem}.")
        by_id[known] = [_read_probability(fields[i], f"{submission}, line {number}") for i in columns.values()]
    if missing := [id for id in rows if id not in by_id]:
        ids = f"{counted(len(missing), 'id')} of {solution} {agree(len(missing), 'are')} missing"
        raise InputError(f"{submission}: {ids}, such as '{missing[0]}'.")
    found = np.array([by_id[id] for id in rows])
    if len(columns) == 1:
        found = np.stack([1 - found[:, 0], found[:, 0]], axis=1)
    names = classes if len(columns) == 1 else tuple(columns)
    if metric == "log-loss":
        found = found / found.sum(axis=1, keepdims=True).clip(min=SMALLEST_PROBABILITY)
    labels = np.array([names.index(true.of[id]) for id in rows])
    return describe_metric(metric, Answers.of(labels, found, names))


def _match_columns(table: TextTable, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the column of each class, also of classes that the solution lacks. Raise InputError if one is missing."""
    taken = {find_id(table.header) or 0, find_label(table.header, "label")}
    free = [i for i in range(len(table.header)) if i not in taken]
    names = [table.header[i] for i in free]
    if len(free) == 1 and len(classes) == 2:
        return {classes[1]: free[0]}
    spellings = Spellings(classes)
    for start in range(max(map(len, names), default=0)):
        if len({name[:start] for name in names}) > 1:
            break
        found = {spellings.find(name[start:].strip()) or name[start:]: i for name, i in zip(names, free, strict=True)}
        if len(found) == len(names) and set(classes) <= found.keys():
            return {name: found[name] for name in classes_of(np.array(list(found)))}
    raise InputError(
        f"{table.path}: expected a column of probabilities for each class of the solution, such as '{classes[0]}', "
        f"found {', '.join(names[:SHOWN])}. To score labels, choose another metric than log-loss and auc."
    )


def _read_probability(text: str, location: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"{location}: '{text}' is not a probability, a number from 0 to 1.")
    return value


def _accuracy(right: list[bool]) -> Accuracy:
    return Accuracy(sum(right), len(right))


def _read_both(submission: Path, solution: Path, label: str | None) -> tuple[_Labels, _Labels]:
    """Read a submission and a solution."""
    tables = [read_text_table(path, fewest=2) for path in (submission, solution)]
    if label is not None and not any(label in table.header for table in tables):
        raise InputError(f"--label {label}: neither {submission} nor {solution} has such a column.")
    ours, theirs = (
        _read_labels(table, label, other.header) for table, other in zip(tables, reversed(tables), strict=True)
    )
    if blank := [id for id, text in theirs.of.items() if not text and not theirs.is_ignored(id)]:
        raise InputError(f"{solution}: the label of the id '{blank[0]}' is blank. Fill it in, or remove the line.")
    return ours, theirs


def _read_labels(table: TextTable, label: str | None, others: tuple[str, ...]) -> _Labels:
    """others: the other file's header."""
    path, header = table.path, table.header
    if not table.lines:
        raise InputError(f"{path}: expected a header and at least one row below it.")
    id_column = find_id(header) or 0
    usage_column = next((i for i, name in enumerate(header) if name.lower() == USAGE), None)
    label_column = _find_label(header, label, others, {id_column, usage_column})
    names = header[id_column], header[label_column]
    if all(number_of(name) is not None for name in names):
        raise InputError(f"{path}, line 1: expected column names, found numbers. Add a line such as ImageId,Label.")
    labels: dict[str, str] = {}
    for number, fields in table.lines:
        if fields[id_column] in labels:
            raise InputError(f"{path}, line {number}: duplicate id '{fields[id_column]}'. Remove one.")
        labels[fields[id_column]] = without_zero_decimals(fields[label_column])
    usage = {} if usage_column is None else {fields[id_column]: fields[usage_column] for _, fields in table.lines}
    return _Labels(path, names, labels, usage)


def _find_label(header: tuple[str, ...], label: str | None, others: tuple[str, ...], taken: set[int | None]) -> int:
    """Return the position of the label. taken: the positions of the id and of Usage."""
    if label in header:
        return header.index(label)
    named = find_label(header, "label")
    if named is not None and named not in taken:
        return named
    free = [i for i in range(len(header)) if i not in taken]
    common = [i for i in free if header[i].lower() in {name.lower() for name in others}]
    return (common or free or [1])[0]


def _by_id_of(true: _Labels, predicted: _Labels) -> dict[str, str]:
    """Return the predicted labels by the solution's ids. Raise InputError if the ids are not the same."""
    spellings = Spellings(true.of)
    answers: dict[str, str] = {}
    for id, label in predicted.of.items():
        if (known := spellings.find(id)) is None:
            raise InputError(_misfit(predicted, true, f"the id '{id}' is not one of the solution's"))
        if known in answers:
            raise InputError(f"{predicted.path}: the id '{id}' occurs twice, spelled differently. Remove one.")
        answers[known] = label
    if missing := [id for id in true.of if id not in answers and not true.is_ignored(id)]:
        raise InputError(
            _misfit(
                predicted,
                true,
                f"{counted(len(missing), 'id')} {agree(len(missing), 'are')} missing, such as '{missing[0]}'",
            )
        )
    return answers


def _check_labels(predicted: _Labels, true: _Labels, answers: dict[str, str], found: dict[str, str | None]) -> None:
    """Raise InputError if no predicted label is one of the solution's, which no submission of its kind can be."""
    if any(label is not None for label in found.values()):
        return
    ours, theirs = (
        ", ".join(repr(label) for label in sorted(set(of))[:SHOWN]) for of in (answers.values(), true.of.values())
    )
    raise InputError(
        f"{predicted.path}, column '{predicted.names[1]}': none of its labels ({ours}) is among those of {true.path}, "
        f"column '{true.names[1]}' ({theirs}). If the labels are in another column, name it with --label; otherwise "
        "spell them as the solution does."
    )


def _misfit(predicted: _Labels, true: _Labels, problem: str) -> str:
    return (
        f"{predicted.path} does not fit {true.path}: {problem} (columns '{predicted.names[0]}' and '{true.names[0]}'). "
        "Are they of the same competition?"
    )


def _listed(labels: Mapping[str, int]) -> str:
    """`'x' (3 rows), 'y' (1 row) and 4 more`"""
    shown = sorted(labels.items(), key=lambda item: -item[1])[:SHOWN]
    words = [say("'{label}' ({rows})", label=label, rows=say_count(count, "row")) for label, count in shown]
    more = say(" and {count:,} more", count=len(labels) - SHOWN) if len(labels) > SHOWN else ""
    return say(", ").join(words) + more
