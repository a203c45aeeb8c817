"""Apply a reviewed list of label issues: drop the rows, or use the suggested labels."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from hitofude.errors import InputError, suggest
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.spelling import Spellings

Remedy = Literal["drop", "relabel"]


def review(dataset: Dataset, path: Path, remedy: Remedy) -> Dataset:
    """Return the dataset without the listed training rows, or with their `suggested` labels.

    path: label_issues.csv, with the columns `id` and `label`, and `suggested` to relabel; lines may have been removed
    and suggestions changed, and numbers spelled anew by a spreadsheet. Raise InputError with the line of an unknown or
    duplicate id, of a label that is not that image's, or of a suggestion that is not a class.

    The accuracy on the rest is too high: the rows that go are those that were predicted wrong.
    """
    train = dataset.train
    columns = ["id", "label"] if remedy == "drop" else ["id", "label", "suggested"]
    row_of = {id: row for row, id in enumerate(train.ids.tolist())}
    ids, classes = Spellings(row_of), Spellings(train.classes)
    labels, listed = train.known_labels().copy(), dict[str, int]()
    for number, (text, label, *suggested) in read_text_table(path).columns(columns):
        location = f"{path}, line {number}"
        if (id := ids.find(text)) is None:
            raise InputError(f"{location}: there is no training image with the id '{text}'. Is it the right list?")
        if id in listed:
            raise InputError(f"{location}: duplicate id '{id}', after line {listed[id]}. Remove one.")
        found = train.classes[int(labels[row_of[id]])]
        if found != classes.find(label):
            raise InputError(f"{location}: image '{id}' has the label '{found}', not '{label}'. Is it the right list?")
        for name in suggested:
            if (known := classes.find(name)) is None:
                hint = suggest(name, list(train.classes))
                raise InputError(f"{location}: '{name}' is not one of the classes.{hint}")
            labels[row_of[id]] = train.classes.index(known)
        listed[id] = number
    if remedy == "relabel":
        return replace(dataset, name=f"{dataset.name}-relabelled", train=replace(train, labels=labels))
    kept = np.setdiff1d(np.arange(len(train)), [row_of[id] for id in listed])
    if len(kept) == 0:
        raise InputError(f"{path} lists every training image; none would be left to train on.")
    return replace(dataset, name=f"{dataset.name}-dropped", train=train.take(kept))
