"""Splits of the training rows: folds, given or drawn, and one part held out; related rows are never on both sides."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import check_several_classes
from hitofude.inputs.formats.naming import natural
from hitofude.inputs.image_set import ImageSet
from hitofude.recipe import EnsembleRecipe, Recipe

Split = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The rows to train on, and those held out."""


def settle_folds(recipe: Recipe, train: ImageSet, groups: NDArray[np.int64] | None) -> Recipe:
    """Return the recipe with the number of folds that the rows allow: that of given folds, or at most as many as the
    largest class has images, or groups of images.

    groups: (N,) the number of each row's group, None if all are alone. Raise InputError if nothing can be held out.
    """
    check_several_classes(train)
    _check_weights(train)
    if train.folds is not None:
        _check_given_folds(train, train.folds, recipe.ensemble)
        return recipe.with_settings({"ensemble.folds": len(np.unique(train.folds))})
    _check_groups(train, groups, recipe.ensemble)
    most = int(_units_of_classes(train, groups).max())
    if most < 2:
        what = "a single image" if groups is None else "images of a single group"
        raise InputError(f"Each class has {what}, so none can be held out to validate on. Add images of a class.")
    if recipe.ensemble.split == "folds" and most < recipe.ensemble.folds:
        return recipe.with_settings({"ensemble.folds": most})
    return recipe


def can_hold_out(train: ImageSet, groups: NDArray[np.int64] | None, ensemble: EnsembleRecipe) -> bool:
    """Whether the groups, (N,), can be divided so that rows of a class are on both sides."""
    parts = ensemble.folds if ensemble.split == "folds" else 2
    return groups is None or (len(np.unique(groups)) >= parts and int(_units_of_classes(train, groups).max()) > 1)


def split_rows(train: ImageSet, groups: NDArray[np.int64] | None, ensemble: EnsembleRecipe, seed: int) -> list[Split]:
    """Return the rows of each fold, or of the one split; all are honest.

    A row is not held out if no other row of its class is trained on: it would be held against a member that never saw
    the class. Such a row is trained on, unless others of its group are held out. A row of weight 0 is held out like any
    other, but never trained on.
    """
    labels = train.known_labels()
    if train.folds is not None:
        own = [train.folds == fold for fold in _fold_names(train.folds)]
        splits = [(np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)) for is_held_out in own]
    else:
        splits = _drawn_splits(labels, groups, ensemble, seed)
    splits = [_hold_out_known_classes(labels, groups, learned_rows(train, rows), held_out) for rows, held_out in splits]
    return [(learned_rows(train, rows), held_out) for rows, held_out in splits]


def learned_rows(train: ImageSet, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows without those of weight 0."""
    return rows if train.weights is None else rows[train.weights[rows] > 0]


def _fold_names(folds: NDArray[np.str_]) -> list[str]:
    """Return the distinct names in order, numbers by value."""
    return sorted(set(folds.tolist()), key=natural)


def _drawn_splits(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, ensemble: EnsembleRecipe, seed: int
) -> list[Split]:
    from sklearn.model_selection import (  # a process that predicts needs no sklearn
        GroupShuffleSplit,
        StratifiedGroupKFold,
        StratifiedKFold,
        train_test_split,
    )

    rows = np.zeros(len(labels))
    if ensemble.split == "holdout" and groups is None:
        train, validation = train_test_split(np.arange(len(labels)), test_size=ensemble.holdout, random_state=seed)
        return [(train, validation)]
    if ensemble.split == "holdout":
        return list(GroupShuffleSplit(1, test_size=ensemble.holdout, random_state=seed).split(rows, groups=groups))
    folds = (StratifiedKFold if groups is None else StratifiedGroupKFold)(
        ensemble.folds, shuffle=True, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)  # its rows are held out once each
        return list(folds.split(rows, labels, groups))


def _hold_out_known_classes(
    labels: NDArray[np.int64], groups: NDArray[np.int64] | None, train: NDArray[np.int64], validation: NDArray[np.int64]
) -> Split:
    """Take the rows whose class is not among the trained rows out of the validation rows."""
    is_known = np.isin(labels[validation], labels[train])
    if is_known.all():
        return train, validation
    unknown, validation = validation[~is_known], validation[is_known]
    if groups is not None:
        unknown = unknown[~np.isin(groups[unknown], groups[validation])]
    return np.sort(np.concatenate([train, unknown])), validation


def _units_of_classes(train: ImageSet, groups: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """(classes,) the number of rows, or of groups, that hold images of each class."""
    labels = train.known_labels()
    units = np.stack([labels, np.arange(len(labels)) if groups is None else groups])
    return np.bincount(np.unique(units, axis=1)[0], minlength=len(train.classes))


def _check_weights(train: ImageSet) -> None:
    """Raise InputError if all rows of a class have the weight 0."""
    if train.weights is None:
        return
    labels = train.known_labels()
    learned = np.bincount(labels[train.weights > 0], minlength=len(train.classes))
    unknown = np.flatnonzero((learned == 0) & (np.bincount(labels, minlength=len(train.classes)) > 0))
    if len(unknown):
        raise InputError(
            f"All rows of the class '{train.classes[unknown[0]]}' have the weight 0, so it would not be learned. Give "
            "one of them a weight above 0, or leave out the rows of the class."
        )


def _check_groups(train: ImageSet, groups: NDArray[np.int64] | None, ensemble: EnsembleRecipe) -> None:
    if groups is None:
        return
    count, folds = len(np.unique(groups)), ensemble.folds if ensemble.split == "folds" else 2
    if count >= folds:
        return
    found = "All rows are related to each other" if count == 1 else f"There are {count} groups of related rows"
    remedy = "Name a column that divides them" if count == 1 else f"Use --set ensemble.folds={count}"
    if train.groups is None:
        remedy += ", or --set ensemble.group_copies=false, as their images are copies"
    raise InputError(f"{found}, fewer than the {folds} parts of the split. {remedy}.")


def _check_given_folds(train: ImageSet, given: NDArray[np.str_], ensemble: EnsembleRecipe) -> None:
    """Raise InputError for a single fold, a given group on both sides, and a fold that holds all rows of a class.

    given: (N,) the fold of each row.
    """
    if ensemble.split != "folds":
        raise InputError('--folds contradicts the recipe\'s split = "holdout". Add --set ensemble.split=folds.')
    if len(np.unique(given)) < 2:
        raise InputError(
            f"All rows are in the fold '{given[0]}'. Folds need two or more; leave out --folds to draw them."
        )
    if train.groups is not None:
        names, of_row, folds, _ = _folds_of_units(train.groups, given)
        for group in np.flatnonzero(folds > 1)[:1]:
            first, second = _fold_names(given[of_row == group])[:2]
            raise InputError(
                f"The group '{names[group]}' has rows in the folds '{first}' and '{second}', so it would be on both "
                "sides. Give its rows one fold, or leave out --groups or --folds."
            )
    labels, of_row, folds, rows = _folds_of_units(train.known_labels(), given)
    for label in np.flatnonzero((folds == 1) & (rows > 1))[:1]:
        raise InputError(
            f"All {rows[label]} images of the class '{train.classes[labels[label]]}' are in the fold "
            f"'{given[of_row == label][0]}', so the member that holds it out would never see the class. Spread them "
            "over two folds or more, or leave out --folds."
        )


def _folds_of_units(units: NDArray[Any], folds: NDArray[np.str_]) -> tuple[NDArray[Any], ...]:
    """Return the distinct units, (N,) the index of each row's unit, and for each unit its number of folds and rows."""
    names, of_row, rows = np.unique(units, return_inverse=True, return_counts=True)
    pairs = np.unique(np.stack([of_row, np.unique(folds, return_inverse=True)[1]]), axis=1)
    return names, of_row, np.bincount(pairs[0], minlength=len(names)), rows
