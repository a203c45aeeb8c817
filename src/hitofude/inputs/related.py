"""What the user says of each training row: its group, such as its writer; its fold; its weight in the loss.

Groups and folds are texts, weights are numbers, one for each training row: a column of the file, an array, or a CSV of
ids and groups (or folds, or weights).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hitofude.errors import InputError, counted, first_line, suggest
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.duplicates import Copies
from hitofude.inputs.formats.columns import find_id
from hitofude.inputs.formats.labels import label_texts
from hitofude.inputs.formats.naming import natural
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.image_set import ImageSet, describe_weights, weights_of_texts
from hitofude.inputs.spelling import Spellings
from hitofude.language.translation import line, say, say_count, translate

Relation = Literal["groups", "folds", "weights"]
Related = str | Path | ArrayLike
"""The name of a column, a CSV file, or an array of a group (or fold, or weight) for each training row."""
MOST_COPIES = 20
"""A group of near copies may be as large, however few rows there are."""
NOUNS: dict[Relation, str] = {"groups": "group", "folds": "fold", "weights": "weight"}


def column_of(related: Related | None) -> str | None:
    """Return the name if it is that of a column, else None. Files exist, or end in .csv."""
    is_column = isinstance(related, str) and not related.endswith(".csv") and not Path(related).is_file()
    return str(related) if is_column else None


def with_related(dataset: Dataset, relation: Relation, related: Related | None) -> Dataset:
    """Return the dataset with groups, folds or weights of a file or an array; a column was read with the images.

    Weights that are all alike are none. Raise InputError, with the line, for a row without group, an unknown or
    duplicate id, a blank value; for a column that does not exist; for weights below zero, or all zero.
    """
    if related is None:
        return dataset
    name, train = column_of(related), dataset.train
    if name is not None:
        if getattr(train, relation) is None:
            raise InputError(_explain_missing_column(dataset.name, relation, name))
        found = getattr(train, relation)
    elif relation == "weights":
        found = _weights(related, dataset)
    elif isinstance(related, str | Path):
        found = _read(Path(related), relation, dataset)
    else:
        found = _of_array(related, relation, len(train))
    values: dict[str, Any] = {relation: _usable_weights(found) if relation == "weights" else found}
    return replace(dataset, train=replace(train, **values))


def _weights(given: Related, dataset: Dataset) -> NDArray[np.float64]:
    """Read (N,) weights of a CSV file or an array."""
    train = dataset.train
    if isinstance(given, str | Path):
        texts = _read(Path(given), "weights", dataset)
        return weights_of_texts(texts, lambda row: f"{given}, the image with the id '{train.ids[row]}'")
    try:
        weights = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"sample_weight: expected numbers ({first_line(error)}).") from None
    if weights.shape != (len(train),):
        raise InputError(
            f"sample_weight: found the shape {weights.shape} for {counted(len(train), 'training row')}; expected "
            f"({len(train)},), a weight for each row."
        )
    is_wrong = ~((weights >= 0) & np.isfinite(weights))
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise InputError(f"sample_weight, row {row + 1}: found {weights[row]}, expected a number from 0 up.")
    return weights


def _usable_weights(weights: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return None if all rows weigh alike. Raise InputError if all weights are zero."""
    if (weights == 0).all():
        raise InputError("All weights are zero, so there is nothing to learn from. Give some rows a weight above 0.")
    return None if (weights == weights[0]).all() else weights


def related_rows(groups: NDArray[np.str_] | None, copies: Copies | None, count: int) -> NDArray[np.int64] | None:
    """Return (count,) a number for each row, the same for all that are linked by groups or copies.

    groups: (count,); copies: of the same rows. None if every row is alone. If near copies link a tenth of the rows with
    each other, the images are merely alike, and only identical ones count.
    """
    ends = [np.empty((2, 0), dtype=np.int64)]
    if groups is not None:
        _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
        ends.append(np.stack([np.arange(count), first[inverse]]))
    if copies is not None:
        links = copies.links()
        largest = np.bincount(_connected(links, count)).max(initial=0)
        ends.append(links if largest <= max(MOST_COPIES, count // 10) else copies.links(near=False))
    found = _connected(np.concatenate(ends, axis=1), count)
    return found if found.max(initial=0) + 1 < count else None


def _connected(links: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return (count,) the same number, from 0, for all that the links, (2, pairs), connect."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(links.shape[1], dtype=np.bool_), tuple(links)), shape=(count, count))
    found: NDArray[np.int64] = connected_components(graph, directed=False)[1].astype(np.int64)
    return found


def describe_related(train: ImageSet, groups: NDArray[np.int64] | None) -> list[str]:
    """Describe related rows, folds and weights, a line each.

    groups: (N,) the number of each row's group, None if all are alone.
    """
    lines = []
    if groups is not None:
        sizes = np.unique(groups, return_counts=True)[1]
        text, related = "", int(sizes[sizes > 1].sum())
        if train.groups is not None:
            text = say("{groups}; ", groups=say_count(len(np.unique(train.groups)), "given group"))
        text += say(
            "{rows} in {groups} of up to {largest:,}, copies included",
            rows=say_count(related, "row"), groups=say_count(int((sizes > 1).sum()), "group"), largest=sizes.max(),
        )  # fmt: skip
        text += say("; none on both sides of a split") if train.folds is None else ""
        lines.append(line("related", text))
    if train.folds is not None:
        folds = ", ".join(sorted(set(train.folds.tolist()), key=natural)[:10])
        lines.append(line("folds", say("given: {folds}", folds=folds)))
    if train.weights is not None:
        weights = translate(describe_weights(train.weights))
        lines.append(line("weights", say("{weights}; scores count every row once", weights=weights)))
    return lines


def _explain_missing_column(source: str, relation: Relation, name: str) -> str:
    return (
        f"{source}: there is no column '{name}', which --{relation} names, nor a file of that name. Name a column of "
        f"the training file, or a CSV file with the columns id and {NOUNS[relation]}."
    )


def _of_array(values: ArrayLike, relation: Relation, rows: int) -> NDArray[np.str_]:
    array = np.asarray(values, dtype=None if hasattr(values, "dtype") else object)
    texts = label_texts(array, relation)
    if len(texts) != rows:
        raise InputError(
            f"{relation}: found {counted(len(texts), 'value')} for {counted(rows, 'training row')}. Each row needs one."
        )
    if (is_blank := texts == "").any():
        raise InputError(f"{relation}, row {int(is_blank.argmax()) + 1}: the {NOUNS[relation]} is blank. Fill it in.")
    return texts


def _read(path: Path, relation: Relation, dataset: Dataset) -> NDArray[np.str_]:
    """Read a CSV of ids and groups, folds or weights, in any order; lines of images to predict are ignored."""
    noun, ids = NOUNS[relation], dataset.train.ids
    table = read_text_table(path, fewest=2)
    id, value = _columns(table.header, noun, path)
    test_ids = set() if dataset.test is None else set(dataset.test.ids.tolist())
    row_of, found = {name: row for row, name in enumerate(ids.tolist())}, dict[int, tuple[int, str]]()
    spellings = Spellings(row_of)
    for number, (name, text) in table.columns([id, value]):
        location = f"{path}, line {number}"
        row = row_of.get(spellings.find(name) or name)
        if row is None:
            if name in test_ids:
                continue
            raise InputError(f"{location}: there is no training image with the id '{name}'. {_explain_ids(ids)}")
        if row in found:
            raise InputError(f"{location}: duplicate id '{name}', after line {found[row][0]}. Remove one.")
        if not text:
            raise InputError(f"{location}: the {noun} is blank. Fill it in.")
        found[row] = number, text
    missing = [name for row, name in enumerate(ids.tolist()) if row not in found]
    if missing:
        raise InputError(
            f"{path}: there is no {noun} for {len(missing):,} of the {len(ids):,} training images, such as the one "
            f"with the id '{missing[0]}'. Add a line for each. {_explain_ids(ids)}"
        )
    return np.asarray([found[row][1] for row in range(len(ids))], dtype=np.str_)


def _columns(header: tuple[str, ...], noun: str, path: Path) -> tuple[str, str]:
    """Return the column of ids, and that of groups or folds, which may have any name if it is the only other one."""
    id = find_id(header)
    others = [name for position, name in enumerate(header) if position != id]
    if id is None:
        raise InputError(f"{path}, line 1: there is no column 'id'. Expected the columns id and {noun}.")
    if noun in others or len(others) == 1:
        return header[id], noun if noun in others else others[0]
    raise InputError(f"{path}, line 1: there is no column '{noun}'.{suggest(noun, others)}")


def _explain_ids(ids: NDArray[np.str_]) -> str:
    return f"The ids of the training images are '{ids[0]}' to '{ids[-1]}'; without an id column they are row numbers."
