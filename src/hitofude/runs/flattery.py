"""The figures about training rows that belong together, and by how much they would have flattered the accuracy."""

import numpy as np
from numpy.typing import NDArray

from hitofude.metrics.metrics import answered
from hitofude.outputs.report import RelatedSummary
from hitofude.runs.plan import RunPlan

QUERIES = 1000
QUERIES_AT_ONCE = 100


def summarise_related(plan: RunPlan, out_of_fold: NDArray[np.float32]) -> RelatedSummary | None:
    """Count the related rows of a run; None if every row is alone. out_of_fold: (N, classes), NaN if unknown."""
    train, groups, count = plan.train, plan.groups, len(plan.train)
    given = tuple(name for name, texts in (("groups", train.groups), ("folds", train.folds)) if texts is not None)
    if groups is None and not given:
        return None
    groups = np.arange(count) if groups is None else groups
    sizes = np.bincount(groups)
    links = plan.dataset.copies(train).links()
    divided = np.empty(0) if train.folds is None else links[:, np.not_equal(*train.folds[links])]
    return RelatedSummary(
        groups=int((sizes > 1).sum()),
        rows=int(sizes[sizes > 1].sum()),
        largest=int(sizes.max()),
        copies=len(np.unique(links)),
        given=given,
        divided_copies=len(np.unique(divided)),
        flattery=_flattery(plan, groups, out_of_fold),
    )


def _flattery(plan: RunPlan, groups: NDArray[np.int64], out_of_fold: NDArray[np.float32]) -> float | None:
    """Estimate the accuracy that a random split of the same parts would add. None if no held-out row is related.

    In a random split a row's related rows are trained on, unless all of them happen to be held out with it. If they
    include the row's nearest neighbours, pixel by pixel, the networks are taken to answer with the nearest one's label,
    else as they did. A sample of the rows is asked. groups: (N,); out_of_fold: (N, classes).
    """
    labels, known = plan.train.known_labels(), answered(out_of_fold)
    related = np.flatnonzero(known & (np.bincount(groups)[groups] > 1))
    if len(related) == 0:
        return None
    ensemble = plan.recipe.ensemble
    held_out = 1 / ensemble.folds if ensemble.split == "folds" else ensemble.holdout
    asked = np.random.default_rng(plan.recipe.seed).permutation(related)[:QUERIES]
    nearest, nearer = _nearest_related(plan.train.images, groups, asked)
    is_right = out_of_fold[asked].argmax(axis=1) == labels[asked]
    change = (labels[nearest] == labels[asked]).astype(np.float64) - is_right
    changes = np.where(nearer > 0, change, 0) * (1 - held_out ** nearer.astype(np.float64))
    return float(changes.mean() * len(related) / known.sum())


def _nearest_related(
    images: NDArray[np.uint8], groups: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each of the rows its nearest related row, and how many of these are nearer than any other row.

    images: (N, C, H, W); groups: (N,) each row's group, which has two rows or more for each of the rows.
    """
    pixels = images.reshape(len(images), -1).astype(np.float32)
    squares = np.einsum("np,np->n", pixels, pixels)
    nearest, nearer = np.empty((2, len(rows)), dtype=np.int64)
    for start in range(0, len(rows), QUERIES_AT_ONCE):
        asked = rows[start : start + QUERIES_AT_ONCE]
        distances = squares - 2 * pixels[asked] @ pixels.T
        is_related = groups[asked][:, None] == groups
        others = np.where(is_related, np.inf, distances).min(axis=1, keepdims=True)
        is_related[np.arange(len(asked)), asked] = False
        of_related = np.where(is_related, distances, np.inf)
        nearest[start : start + len(asked)] = of_related.argmin(axis=1)
        nearer[start : start + len(asked)] = (of_related < others).sum(axis=1)
    return nearest, nearer
