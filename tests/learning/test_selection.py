from pathlib import Path

import numpy as np
import pytest
import torch

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.selection import Uncertainty, count_epochs, images_in_epoch
from hitofude.learning.training import MemberPlan, TrainingData, train_member
from hitofude.recipe import Recipe

HALF = {"schedule.epochs": 6, "augment.no_aug_epochs": 2, "schedule.epoch_share": 0.4}


def recipe(**settings: object) -> Recipe:
    return Recipe().with_settings({**HALF, **{name.replace("__", "."): value for name, value in settings.items()}})


def test_the_first_epoch_and_those_without_augmentation_show_all_images() -> None:
    assert [images_in_epoch(recipe(), 99, epoch, 6) for epoch in range(1, 7)] == [99, 40, 40, 40, 99, 99]


def test_few_rows_get_as_many_epochs_as_the_least_steps_need() -> None:
    assert count_epochs(recipe(schedule__epochs=8, schedule__epoch_share=1.0, schedule__min_steps=500), 12_800) == 8
    least = recipe(schedule__min_steps=1000, optimizer__batch_size=100)
    epochs = count_epochs(least, 950)
    steps = [-(-images_in_epoch(least, 950, epoch, epochs) // 100) for epoch in range(1, epochs + 1)]
    assert sum(steps) >= 1000 > sum(steps) - 4


def test_half_of_an_epochs_images_are_the_most_uncertain_and_the_others_are_drawn() -> None:
    uncertainty, rows = Uncertainty(100), torch.arange(10, 60)
    logits = torch.zeros(50, 2)
    logits[:, 0] = torch.arange(50)  # the first row is the least sure
    uncertainty.update(rows, logits)
    chosen = [uncertainty.choose(rows, 20, torch.Generator().manual_seed(seed)).tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]
    for places in chosen:
        assert len(set(places)) == 20
        assert set(range(10)) <= set(places), "places in the rows, not row numbers"
    assert set(chosen[0]) != set(chosen[2])


@pytest.fixture
def data(digits: ImageSet, compute: Compute) -> TrainingData:
    return TrainingData.on_device(digits, compute)


class Listener:
    """An observer that counts images, and may stop the training after an epoch."""

    def __init__(self, last: int | None = None) -> None:
        self.images, self.last = 0, last

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None:
        self.images += images

    def epoch_finished(self, log: EpochLog) -> None:
        if log.epoch == self.last:
            raise KeyboardInterrupt

    def warned(self, message: str) -> None: ...


def test_a_training_that_is_continued_shows_the_same_images(
    digits: ImageSet, data: TrainingData, compute: Compute, tmp_path: Path
) -> None:
    """The uncertainty of each image belongs to the saved state."""
    rows = np.arange(len(digits), dtype=np.int64)
    settings = {"network__name": "cnn-lean", "optimizer__batch_size": 32}
    plan = MemberPlan(0, recipe(**settings), rows, rows[:0])
    whole, listener = MemberFolder(tmp_path / "whole"), Listener()
    train_member(plan, data, compute, whole, listener)
    assert listener.images == plan.images == 3 * len(rows) + 3 * int(np.ceil(0.4 * len(rows)))

    halved = MemberFolder(tmp_path / "halved")
    with pytest.raises(KeyboardInterrupt):
        train_member(plan, data, compute, halved, Listener(last=3))
    train_member(plan, data, compute, halved, Listener())
    assert halved.weights_path.read_bytes() == whole.weights_path.read_bytes()
