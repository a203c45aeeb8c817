"""The number of epochs of a training, and the learning rate of each step."""

import math

from hitofude.recipe import ScheduleRecipe


def count_epochs(schedule: ScheduleRecipe, batch_size: int, rows: int) -> int:
    """Return the epochs of the recipe, or more if they are needed for its least number of steps."""
    return max(schedule.epochs, math.ceil(schedule.min_steps / math.ceil(rows / batch_size)))


def learning_rate_at(schedule: ScheduleRecipe, highest: float, progress: float, epochs_done: int) -> float:
    """Return the learning rate of a step.

    progress: the share of the training's steps already made, 0 ≤ progress < 1. `one-cycle` rises linearly in the
    warm-up and then falls linearly to zero (L. N. Smith 2018, arXiv:1803.09820); `cosine` falls along half a wave
    (I. Loshchilov & F. Hutter 2017, arXiv:1608.03983, without restarts).
    """
    if schedule.name == "constant":
        return highest
    if schedule.name == "step":
        return highest * schedule.gamma ** sum(epochs_done >= milestone for milestone in schedule.milestones)
    if progress < schedule.warmup:
        return highest * progress / schedule.warmup
    falling = (1 - progress) / (1 - schedule.warmup) if schedule.warmup < 1 else 1.0
    return highest * (falling if schedule.name == "one-cycle" else (1 - math.cos(math.pi * falling)) / 2)
