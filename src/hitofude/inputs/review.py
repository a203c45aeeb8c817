"""Apply a reviewed list of label issues: drop the rows, or use the suggested labels."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from hitofude.errors import InputError, suggest
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.image_set import ImageSet

Remedy = Literal["drop", "relabel"]


def review(dataset: Dataset, path: Path, remedy: Remedy) -> Dataset:
    """Return the dataset without the listed training rows, or with their `suggested` labels.

    path: label_issues.csv, with the columns `id` and `label`, and `suggested` to relabel; lines may have been removed
    and suggestions changed. Raise InputError with the line of an unknown or duplicate id, of a label that is not that
    image's, or of a suggestion that is not a class.

    The accuracy on the rest is too high: the rows that go are those that were predicted wrong.
    """
    columns = ["id", "label"] if remedy == "drop" else ["id", "label", "suggested"]
    lines = read_text_table(path).columns(columns)
    rows = _find(dataset.train, path, [(number, id, label) for number, (id, label, *_) in lines])
    if remedy == "drop":
        kept = np.setdiff1d(np.arange(len(dataset.train)), rows)
        if len(kept) == 0:
            raise InputError(f"{path} lists every training image; none would be left to train on.")
        return replace(dataset, name=f"{dataset.name}-dropped", train=dataset.train.take(kept))
    labels, classes = dataset.train.known_labels().copy(), dataset.train.classes
    for row, (number, (_, _, suggested)) in zip(rows, lines, strict=True):
        if suggested not in classes:
            hint = suggest(suggested, list(classes))
            raise InputError(f"{path}, line {number}: '{suggested}' is not one of the classes.{hint}")
        labels[row] = classes.index(suggested)
    return replace(dataset, name=f"{dataset.name}-relabelled", train=replace(dataset.train, labels=labels))


def _find(train: ImageSet, path: Path, lines: list[tuple[int, str, str]]) -> list[int]:
    """The training row of each line."""
    row_of = {id: row for row, id in enumerate(train.ids.tolist())}
    labels, seen = train.known_labels(), dict[str, int]()
    for number, id, label in lines:
        location = f"{path}, line {number}"
        if id not in row_of:
            raise InputError(f"{location}: there is no training image with the id '{id}'. Is the list of this source?")
        if id in seen:
            raise InputError(f"{location}: duplicate id '{id}', after line {seen[id]}. Remove one.")
        found = train.classes[int(labels[row_of[id]])]
        if found != label:
            raise InputError(
                f"{location}: image '{id}' has the label '{found}', not '{label}'. Is the list of this source?"
            )
        seen[id] = number
    return [row_of[id] for _, id, _ in lines]
