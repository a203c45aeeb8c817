"""A reviewed list of label issues, put to use: the rows dropped, or labelled as suggested."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from hitofude.errors import InputError, suggest
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset

Remedy = Literal["drop", "relabel"]


def review(dataset: Dataset, path: Path, remedy: Remedy) -> Dataset:
    """The dataset without the listed training rows, or with their `suggested` labels.

    path: as label_issues.csv, with columns `id` and `label`, and `suggested` to relabel; lines may have been removed
    and suggestions changed. Raises InputError with the line of an id that is unknown or listed twice, of a label that
    is not that image's, or of a suggestion that is no class.

    The accuracy on what is left flatters: the rows that go are those that were answered wrong.
    """
    columns = ["id", "label"] if remedy == "drop" else ["id", "label", "suggested"]
    lines = read_text_table(path).columns(columns)
    rows = _find(dataset.train, path, [(number, id, label) for number, (id, label, *_) in lines])
    if remedy == "drop":
        kept = np.setdiff1d(np.arange(len(dataset.train)), rows)
        if len(kept) == 0:
            raise InputError(f"{path} lists every training image; none would be left to learn from.")
        return replace(dataset, name=f"{dataset.name}-dropped", train=dataset.train.take(kept))
    labels = dataset.train.known_labels().copy()
    for row, (number, (_, _, suggested)) in zip(rows, lines, strict=True):
        labels[row] = _class(dataset.train, suggested, f"{path}, line {number}")
    relabelled = replace(dataset.train, labels=labels)
    return replace(dataset, name=f"{dataset.name}-relabelled", train=relabelled)


def _find(train: ImageSet, path: Path, lines: list[tuple[int, str, str]]) -> list[int]:
    """The training row of each line."""
    row_of = {id: row for row, id in enumerate(train.ids.tolist())}
    labels, seen = train.known_labels(), dict[str, int]()
    for number, id, label in lines:
        place = f"{path}, line {number}"
        if id not in row_of:
            raise InputError(f"{place}: there is no training image with the id '{id}'. Is the list of this source?")
        if id in seen:
            raise InputError(f"{place}: the id '{id}' stands there a second time, after line {seen[id]}. Remove one.")
        found = train.classes[int(labels[row_of[id]])]
        if found != label:
            raise InputError(
                f"{place}: image '{id}' has the label '{found}', not '{label}'. Is the list of this source?"
            )
        seen[id] = number
    return [row_of[id] for _, id, _ in lines]


def _class(train: ImageSet, name: str, place: str) -> int:
    if name not in train.classes:
        raise InputError(f"{place}: '{name}' is none of the classes.{suggest(name, list(train.classes))}")
    return train.classes.index(name)
