"""Apply a list of label issues: drop the rows whose label is probably wrong, or use the suggested labels."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, suggest
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.formats.text_table import TextTable, read_text_table
from hitofude.inputs.spelling import Spellings, number_of
from hitofude.language.translation import LABEL_WIDTH, line, say, say_count

Remedy = Literal["drop", "relabel"]
PROBABILITY = "probability_wrong"
ISSUES_FROM = 0.5
"""The probability of being wrong from which a listed label is acted on by default."""


@dataclass(frozen=True, eq=False)
class Review:
    """A dataset after a list of label issues was applied to it."""

    dataset: Dataset
    applied: int
    """The lines that were acted on."""
    left: int
    """The lines whose label is not probable enough to be wrong."""
    expected_right: float | None
    """The number of right labels that is expected among those acted on; None if the list does not say."""

    def describe(self, path: Path, remedy: Remedy) -> str:
        """Describe in two lines the number of labels that were acted on, and the number that were not."""
        images = say_count(self.applied, "training image")
        if remedy == "drop":
            text = say("{images} of {file} left out", images=images, file=path)
        else:
            text = say("{images} of {file} relabelled", images=images, file=path)
        if self.expected_right is not None:
            text += say("; by the networks, about {count:,.0f} of them had the right label", count=self.expected_right)
        lines = [line("issues", text)]
        if self.left:
            left = say(
                "{count:,} left as they are: their label is rather right. --issues-from 0 acts on all", count=self.left
            )
            lines.append(" " * LABEL_WIDTH + left)
        return "\n".join(lines)


def review(dataset: Dataset, path: Path, remedy: Remedy, least: float = ISSUES_FROM) -> Review:
    """Leave out the listed training rows, or give them their `suggested` labels.

    path: label_issues.csv, with the columns `id` and `label`, and `suggested` to relabel; lines may have been removed
    and suggestions changed, and numbers spelled anew by a spreadsheet. Raise InputError with the line of an unknown or
    duplicate id, of a label that is not that image's, or of a suggestion that is not a class. least: lines whose
    `probability_wrong` is lower are left as they are; a list without this column is applied as a whole.

    The accuracy on the rest is too high: the rows that go are those that were predicted wrong.
    """
    train, table = dataset.train, read_text_table(path)
    columns = ["id", "label"] if remedy == "drop" else ["id", "label", "suggested"]
    row_of = {id: row for row, id in enumerate(train.ids.tolist())}
    ids, classes = Spellings(row_of), Spellings(train.classes)
    wrong = _probabilities(table)
    labels, listed, applied = train.known_labels().copy(), dict[str, int](), list[str]()
    for number, (text, label, *suggested) in table.columns(columns):
        location = f"{path}, line {number}"
        if (id := ids.find(text)) is None:
            raise InputError(f"{location}: there is no training image with the id '{text}'. Is it the right list?")
        if id in listed:
            raise InputError(f"{location}: duplicate id '{id}', after line {listed[id]}. Remove one.")
        found = train.classes[int(labels[row_of[id]])]
        if found != classes.find(label):
            raise InputError(f"{location}: image '{id}' has the label '{found}', not '{label}'. Is it the right list?")
        listed[id] = number
        if wrong.get(number, 1) < least:
            continue
        applied.append(id)
        for name in suggested:
            if (known := classes.find(name)) is None:
                hint = suggest(name, list(train.classes))
                raise InputError(f"{location}: '{name}' is not one of the classes.{hint}")
            labels[row_of[id]] = train.classes.index(known)
    if listed and not applied:
        raise InputError(
            f"{path}: no label in it has a probability_wrong of {least:g} or more, so nothing would change. "
            "If you reviewed the list yourself, add --issues-from 0."
        )
    reviewed = _apply(dataset, labels, [row_of[id] for id in applied], remedy, path)
    right = sum(1 - wrong[listed[id]] for id in applied) if wrong else None
    return Review(reviewed, len(applied), len(listed) - len(applied), right)


def _probabilities(table: TextTable) -> dict[int, float]:
    """Return the probability of being wrong by the line's number; empty if the list does not have them."""
    if PROBABILITY not in table.header:
        return {}
    found = {}
    for number, (text,) in table.columns([PROBABILITY]):
        value = number_of(text)
        if value is None or not 0 <= value <= 1:
            raise InputError(f"{table.path}, line {number}: {PROBABILITY} is '{text}', expected a number from 0 to 1.")
        found[number] = float(value)
    return found


def _apply(dataset: Dataset, labels: NDArray[np.int64], rows: list[int], remedy: Remedy, path: Path) -> Dataset:
    train = dataset.train
    if remedy == "relabel":
        return replace(dataset, name=f"{dataset.name}-relabelled", train=replace(train, labels=labels))
    kept = np.setdiff1d(np.arange(len(train)), rows)
    if len(kept) == 0:
        raise InputError(f"{path} lists every training image; none would be left to train on.")
    return replace(dataset, name=f"{dataset.name}-dropped", train=train.take(kept))
