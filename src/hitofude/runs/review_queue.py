"""The images of a run that deserve a person's look, the most doubtful first.

First the suspected labels; then images whose copy has another label, both of them; then the images that networks which
never saw them answered otherwise than the label says, by their loss. Each image occurs once, with all its reasons.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.image_set import ImageSet
from hitofude.metrics.label_issues import find_label_issues
from hitofude.metrics.metrics import answered
from hitofude.outputs.audit import rank_hardness
from hitofude.runs.result import RunResult

Reason = Literal["suspect", "copy", "answer", "unclear"]
"""The label is suspected; a copy of the image has another one; the networks answer otherwise; an image without a label
is unclear to them."""
SIMILAR = 4
BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Doubt:
    """An image to look at. Rows count from 0 in the run's training images."""

    row: int
    reasons: tuple[Reason, ...]
    suggested: int
    """The class that the networks suggest; if they agree with the label, that of a copy."""
    wrong: float | None
    """The probability that the label is wrong, if it is suspected."""
    copies: tuple[int, ...]
    """The rows of its copies with other labels."""


def only(doubts: Sequence[Doubt], rows: Sequence[int], probabilities: NDArray[np.float32]) -> list[Doubt]:
    """Return the doubts of these rows, in the order of the doubts; at the end those of rows that are not among them."""
    by_row = {doubt.row: doubt for doubt in doubts if doubt.row in set(rows)}
    answers = np.nan_to_num(probabilities).argmax(axis=1)
    return [*by_row.values(), *(Doubt(row, (), int(answers[row]), None, ()) for row in rows if row not in by_row)]


def training_images(result: RunResult, dataset: Dataset) -> ImageSet:
    """Return the images that a run learned from, in its order.

    Raises InputError if the dataset is another one than the run's.
    """
    train = dataset.train
    if train.fingerprint != result.folder.load_data().train_fingerprint:
        raise InputError(
            f"{dataset.name} has other training images or labels than the run {result.folder.path} learned from in\n"
            f"  {result.summary.command}\nName the same source, and read it with the same options."
        )
    row_of = {id: row for row, id in enumerate(train.ids.tolist())}
    return train.take(np.array([row_of[id] for id in result.ids.tolist()], dtype=np.int64))


def doubts_of(result: RunResult) -> list[Doubt]:
    """Return the images to look at, in the order to look at them; see this module's docstring."""
    labels, probabilities = result.labels, result.out_of_fold_probabilities
    known = answered(probabilities)
    reasons = defaultdict[int, list[Reason]](list)
    issues = find_label_issues(labels, probabilities)
    for row in issues.rows.tolist():
        reasons[row].append("suspect")
    copies = _copies(result)
    for row in copies:
        reasons[row].append("copy")
    hardness = rank_hardness(labels, probabilities)
    for row in hardness.rows[hardness.predicted != labels[hardness.rows]].tolist():
        reasons[row].append("answer")
    suggested = dict(zip(issues.rows.tolist(), issues.suggested.tolist(), strict=True))
    wrong = dict(zip(issues.rows.tolist(), issues.wrong.tolist(), strict=True))
    found = []
    for row, why in reasons.items():
        answer = int(probabilities[row].argmax()) if known[row] else int(labels[row])
        if answer == labels[row] and copies[row]:
            answer = int(labels[copies[row][0]])
        others = tuple(copies[row]) if row in copies else ()
        found.append(Doubt(row, tuple(why), suggested.get(row, answer), wrong.get(row), others))
    return found


def _copies(result: RunResult) -> dict[int, list[int]]:
    """Return the rows of training images that have copies with other labels, and these, by the run's list."""
    row_of = {id: row for row, id in enumerate(result.ids.tolist())}
    found = defaultdict[int, list[int]](list)
    for row, earlier in _pairs(result.folder.duplicates, row_of):
        if result.labels[row] != result.labels[earlier]:
            found[row].append(earlier)
            found[earlier].append(row)
    return found


def _pairs(path: Path, row_of: dict[str, int]) -> Iterable[tuple[int, int]]:
    """Yield the rows of each training image and its earlier copy; none if the list is not there."""
    if not path.exists():
        return
    for _, (part, id, before, earlier) in read_text_table(path).columns(["part", "id", "earlier_part", "earlier_id"]):
        if part == before == "train" and id in row_of and earlier in row_of:
            yield row_of[id], row_of[earlier]


def nearest(images: NDArray[np.uint8], row: int, count: int = SIMILAR) -> list[int]:
    """Return the rows of the images most like one, by the distance of their pixels, without itself.

    images: (N, C, H, W).
    """
    flat = images.reshape(len(images), -1)
    own = flat[row].astype(np.float32)
    distances = np.concatenate(
        [((flat[start : start + BLOCK].astype(np.float32) - own) ** 2).sum(1) for start in range(0, len(flat), BLOCK)]
    )
    distances[row] = np.inf
    return [int(found) for found in np.argsort(distances, kind="stable")[:count] if np.isfinite(distances[found])]
