"""Members that learn the answers of members that were made before them: of training images, or images to predict."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hitofude.learning.member import MemberProbabilities
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


def taught_targets(
    plan: MemberPlan, labels: NDArray[np.int64], made: Mapping[int, MemberProbabilities]
) -> Targets | None:
    """Return the targets of the training images and, behind them, the images to predict; None without teachers.

    labels: (N,) of the training images. made: the members so far, by number. Targets are classes, or probabilities if
    some of them are.
    """
    if not plan.teachers:
        return None
    ensemble, teachers = plan.recipe.ensemble, [made[member] for member in plan.teachers]
    of_training = _mean([teacher.train for teacher in teachers]) if ensemble.soft_labels else None
    of_test = None if ensemble.pseudo_labels == "none" else _mean([teacher.test for teacher in teachers])
    if of_test is None:
        return of_training
    classes = of_test.argmax(axis=1)
    if of_training is None and ensemble.pseudo_labels == "hard":
        return np.concatenate([labels, classes])
    certain = np.eye(of_test.shape[1], dtype=np.float32)
    return np.concatenate(
        [
            certain[labels] if of_training is None else of_training,
            certain[classes] if ensemble.pseudo_labels == "hard" else of_test,
        ]
    )


def _mean(answers: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """Return the mean of the members' probabilities; None if there are no images of the kind."""
    known = [answer for answer in answers if answer is not None]
    return mean_of_members(np.stack(known)) if known else None
