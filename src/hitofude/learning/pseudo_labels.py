"""Pseudo-labels: images to predict that members learn from, labelled by members that were made before them."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hitofude.learning.training import MemberPlan, Targets
from hitofude.metrics.metrics import mean_of_members


def stages(plans: Sequence[MemberPlan]) -> Iterator[list[MemberPlan]]:
    """Yield the members that can be made at once, after all their teachers.

    Raises ValueError if teachers are not among the plans.
    """
    made, left = set[int](), list(plans)
    while left:
        ready = [plan for plan in left if made.issuperset(plan.teachers)]
        if not ready:
            raise ValueError(f"no plan makes the teachers {sorted(set(left[0].teachers) - made)}")
        yield ready
        made.update(plan.member for plan in ready)
        left = [plan for plan in left if plan.member not in made]


def pseudo_labelled(
    plan: MemberPlan, labels: NDArray[np.int64], predicted: Mapping[int, NDArray[np.float32]]
) -> Targets | None:
    """Return the targets of the training images and, behind them, the images to predict; None without teachers.

    labels: (N,) of the training images. predicted: by member, (images to predict, classes). The targets are classes or,
    if pseudo-labels are soft, probabilities; a training image's are its label alone.
    """
    if not plan.teachers:
        return None
    mean = mean_of_members(np.stack([predicted[member] for member in plan.teachers]))
    if plan.recipe.ensemble.pseudo_labels == "hard":
        return np.concatenate([labels, mean.argmax(axis=1)])
    return np.concatenate([np.eye(mean.shape[1], dtype=np.float32)[labels], mean])
