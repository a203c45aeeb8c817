"""Uneven classes and uneven rows: their weights in the loss, and epochs that draw each class alike."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hitofude.errors import InputError, suggest


def weigh_classes(
    weights: str | Mapping[str, float], labels: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.float32] | None:
    """Return (classes,) weights whose mean over the rows is 1, so that the learning rate keeps its meaning.

    weights: the recipe's optimizer.class_weights; labels: (N,) of the rows trained on. `balanced` is the inverse of the
    rows of a class, as in scikit-learn. None if there are no weights. Raises InputError for an unknown class.
    """
    if weights == "none":
        return None
    rows = np.bincount(labels, minlength=len(classes))
    if isinstance(weights, str):
        found = 1 / rows.clip(min=1)
    else:
        check_class_names(weights, classes)
        found = np.array([weights.get(name, 1.0) for name in classes])
    normalised: NDArray[np.float32] = (found * len(labels) / (found @ rows)).astype(np.float32)
    return normalised


def weigh_rows(
    weights: NDArray[np.float64] | None,
    of_classes: NDArray[np.float32] | None,
    labels: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> NDArray[np.float32] | None:
    """Return (images,) the weight of each image in the loss: that of its row times that of its class.

    weights: (N,) of the training images, None if they are all alike; images to predict behind them weigh as much as
    training images on average. of_classes: (classes,) as of weigh_classes. labels: (images,), of the targets. rows:
    those trained on, whose weights have the mean 1. None if all weigh alike.
    """
    if weights is None:
        return None if of_classes is None else of_classes[labels]
    found = np.ones(len(labels))
    found[: len(weights)] = weights / weights[rows[rows < len(weights)]].mean()
    if of_classes is not None:
        found *= of_classes[labels]
    normalised: NDArray[np.float32] = (found / found[rows].mean()).astype(np.float32)
    return normalised


def check_class_names(weights: str | Mapping[str, float], classes: Sequence[str]) -> None:
    """Raise InputError for a weight of an unknown class."""
    for name in () if isinstance(weights, str) else weights:
        if name not in classes:
            hint = suggest(name, list(classes))
            raise InputError(
                f"optimizer.class_weights has a weight for '{name}', which is not one of the classes.{hint}"
            )


def draw_balanced(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Draw (N,) indices of rows, equally many of each class, shuffled.

    labels: (N,) int64 of the rows, on the CPU. A class has each of its rows again before it has one a third time, and
    so on; the rows of a common class take turns from epoch to epoch. If the classes do not divide N, some chosen at
    random have one more.
    """
    present = labels.unique()
    present = present[torch.randperm(len(present), generator=generator)]
    shares = [(len(labels) + place) // len(present) for place in range(len(present))]
    drawn = []
    for label, share in zip(present, shares, strict=True):
        rows = (labels == label).nonzero().flatten()
        rounds = -(-share // len(rows))
        orders = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(rounds)]
        drawn.append(torch.cat(orders)[:share])
    order: Tensor = torch.cat(drawn)[torch.randperm(len(labels), generator=generator)]
    return order
