"""Apply lists of label issues: drop the rows whose label is probably wrong, or use the suggested labels.

A list that a person reviewed (`hitofude review`) has a column `decision`: keep, relabel, drop or skip. Then the
decisions count, whatever the networks thought.
"""

from collections.abc import Sequence
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

Remedy = Literal["drop", "relabel", "both"]
Decision = Literal["keep", "relabel", "drop", "skip"]
DECISION, PROBABILITY = "decision", "probability_wrong"
DECISIONS: tuple[Decision, ...] = ("keep", "relabel", "drop", "skip")
ISSUES_FROM = 0.5
"""The probability of being wrong from which a listed label is acted on by default."""
NAMES: dict[Remedy, str] = {"drop": "dropped", "relabel": "relabelled", "both": "reviewed"}


@dataclass(frozen=True, eq=False)
class Review:
    """A dataset after a list of label issues was applied to it."""

    dataset: Dataset
    dropped: int
    """The lines whose images were left out."""
    relabelled: int
    """The lines whose images got another label."""
    left: int
    """The lines that were not acted on: their label is not probable enough to be wrong, or a person decided so."""
    expected_right: float | None
    """The number of right labels that is expected among those acted on; None if the list does not say."""
    has_decisions: bool = False
    """Whether a person decided on each line."""

    @property
    def applied(self) -> int:
        """The lines that were acted on."""
        return self.dropped + self.relabelled

    def describe(self, path: Path) -> str:
        """Describe the number of labels that were acted on, and the number that were not, a line each."""
        texts = []
        if self.dropped:
            images = say_count(self.dropped, "training image")
            texts.append(say("{images} of {file} left out", images=images, file=path))
        if self.relabelled or not self.dropped:
            images = say_count(self.relabelled, "training image")
            texts.append(say("{images} of {file} relabelled", images=images, file=path))
        if self.expected_right is not None:
            right = say("; by the networks, about {count:,.0f} of them had the right label", count=self.expected_right)
            texts[-1] += right
        if self.left and self.has_decisions:
            texts.append(say("{count:,} left as they are, as decided", count=self.left))
        elif self.left:
            left = say("{count:,} left as they are: their label is rather right. --issues-from 0 acts on all",
                count=self.left)  # fmt: skip
            texts.append(left)
        return "\n".join([line("issues", texts[0]), *(" " * LABEL_WIDTH + text for text in texts[1:])])


@dataclass(frozen=True)
class _Line:
    """A line of a list. act: what is to be done with its image, None for nothing."""

    number: int
    id: str
    label: str
    act: Literal["drop", "relabel"] | None
    suggested: str
    wrong: float | None


def review(dataset: Dataset, path: Path, remedy: Remedy, least: float = ISSUES_FROM) -> Review:
    """Leave out the listed training rows, or give them their `suggested` labels.

    path: label_issues.csv, with the columns `id` and `label`, and `suggested` to relabel; lines may have been removed
    and suggestions changed, and numbers spelled anew by a spreadsheet. With a column `decision`, only the lines that
    ask for the remedy are acted on; `both` is for such a list alone. Raise InputError with the line of an unknown or
    duplicate id, of a label that is not that image's, of a suggestion that is not a class, or of an unknown decision.
    least: lines whose `probability_wrong` is lower are left as they are; a list without this column is applied as a
    whole.

    The accuracy on the rest is too high: the rows that go are those that were predicted wrong.
    """
    train, table = dataset.train, read_text_table(path)
    has_decisions = DECISION in table.header
    if remedy == "both" and not has_decisions:
        raise InputError(
            f"{path}: --drop-issues and --relabel-issues both name it, and it has no column 'decision' that says which "
            "is meant for each line. Name it with one of them, or make such a list with `hitofude review`."
        )
    lines = _decided(table, remedy) if has_decisions else _suspected(table, remedy, least)
    row_of = _rows_of(lines, dataset, path)
    classes = Spellings(train.classes)
    labels = train.known_labels().copy()
    for one in lines:
        if one.act == "relabel":
            if (known := classes.find(one.suggested)) is None:
                hint = suggest(one.suggested, list(train.classes))
                raise InputError(f"{path}, line {one.number}: '{one.suggested}' is not one of the classes.{hint}")
            labels[row_of[one.number]] = train.classes.index(known)
    acted = [one for one in lines if one.act is not None]
    if lines and not acted:
        raise InputError(_nothing(path, remedy, None if has_decisions else least))
    dropped = [row_of[one.number] for one in acted if one.act == "drop"]
    right = sum(1 - one.wrong for one in acted if one.wrong is not None) if PROBABILITY in table.header else None
    reviewed = _apply(dataset, labels, dropped, NAMES[remedy], path)
    return Review(
        reviewed, len(dropped), len(acted) - len(dropped), len(lines) - len(acted),
        None if has_decisions else right, has_decisions,
    )  # fmt: skip


def apply_reviews(
    dataset: Dataset, drop: Sequence[Path], relabel: Sequence[Path], least: float = ISSUES_FROM
) -> list[tuple[Path, Review]]:
    """Apply several lists, one after the other: each file once, with both remedies if both name it.

    Return each file with its review; the last one's dataset is the outcome. Raises as `review` does.
    """
    found = list[tuple[Path, Review]]()
    for path in dict.fromkeys([*drop, *relabel]):
        remedy: Remedy = "both" if path in drop and path in relabel else "drop" if path in drop else "relabel"
        one = review(dataset, path, remedy, least)
        found.append((path, one))
        dataset = one.dataset
    return found


def _decided(table: TextTable, remedy: Remedy) -> list[_Line]:
    """The lines of a list with decisions; a blank one is as good as skip."""
    last = "suggested" if "suggested" in table.header else "label"
    wanted = ("drop", "relabel") if remedy == "both" else (remedy,)
    found = []
    for number, (id, label, text, suggested) in table.columns(["id", "label", DECISION, last]):
        decision = text.lower()
        if decision and decision not in DECISIONS:
            raise InputError(
                f"{table.path}, line {number}: the decision is '{text}', expected {', '.join(DECISIONS)} or nothing."
            )
        act = decision if decision in wanted else None
        found.append(_Line(number, id, label, act, suggested, None))  # type: ignore[arg-type]
    if last == "label" and any(one.act == "relabel" for one in found):
        table.columns(["suggested"])  # raises
    return found


def _suspected(table: TextTable, remedy: Remedy, least: float) -> list[_Line]:
    wrong = _probabilities(table)
    columns = ["id", "label", "label" if remedy == "drop" else "suggested"]
    return [
        _Line(number, id, label, remedy if wrong.get(number, 1) >= least else None, suggested, wrong.get(number))  # type: ignore[arg-type]
        for number, (id, label, suggested) in table.columns(columns)
    ]


def _rows_of(lines: Sequence[_Line], dataset: Dataset, path: Path) -> dict[int, int]:
    """Return the training row of each line by the line's number. Raise InputError for a list of other images."""
    train = dataset.train
    row_of = {id: row for row, id in enumerate(train.ids.tolist())}
    ids, classes, labels = Spellings(row_of), Spellings(train.classes), train.known_labels()
    listed, found = dict[str, int](), dict[int, int]()
    for one in lines:
        location = f"{path}, line {one.number}"
        if (id := ids.find(one.id)) is None:
            raise InputError(f"{location}: there is no training image with the id '{one.id}'. Is it the right list?")
        if id in listed:
            raise InputError(f"{location}: duplicate id '{id}', after line {listed[id]}. Remove one.")
        label = train.classes[int(labels[row_of[id]])]
        if label != classes.find(one.label):
            raise InputError(
                f"{location}: image '{id}' has the label '{label}', not '{one.label}'. Is it the right list?"
            )
        listed[id] = one.number
        found[one.number] = row_of[id]
    return found


def _nothing(path: Path, remedy: Remedy, least: float | None) -> str:
    if least is None:
        wanted = "drop or relabel" if remedy == "both" else remedy
        return f"{path}: no line has the decision {wanted}, so nothing would change. Run without it."
    return (
        f"{path}: no label in it has a probability_wrong of {least:g} or more, so nothing would change. "
        "If you reviewed the list yourself, add --issues-from 0."
    )


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


def _apply(dataset: Dataset, labels: NDArray[np.int64], dropped: list[int], name: str, path: Path) -> Dataset:
    train = replace(dataset.train, labels=labels)
    kept = np.setdiff1d(np.arange(len(train)), dropped)
    if len(kept) == 0:
        raise InputError(f"{path} lists every training image; none would be left to train on.")
    changed = train.take(kept) if dropped else train
    return replace(dataset, name=f"{dataset.name}-{name}", train=changed)
