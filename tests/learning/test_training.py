"""Training one member: exact, resumable, and never on validation rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hitofude.errors import DivergedError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network, images_from_bytes
from hitofude.learning.training import (
    MemberPlan,
    Trainer,
    TrainingData,
    batch_sizes,
    generator_for,
    seed_for,
    train_member,
)
from hitofude.recipe import Recipe

ROWS, HELD_OUT = np.arange(200), np.arange(200, 300)
"""Of member 1, which is trained here."""


def plan_of(recipe: Recipe) -> MemberPlan:
    return MemberPlan(1, recipe, ROWS, HELD_OUT)


class Listener:
    """Records the epochs; may stop the training as a crash would."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.logs: list[EpochLog] = []
        self.warnings: list[str] = []
        self.images = 0
        self.stop_after = stop_after

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self.epochs_done = epochs_done

    def batch_finished(self, images: int) -> None:
        self.images += images
        if self.stop_after is not None and self.images > self.stop_after:
            raise KeyboardInterrupt

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)

    def warned(self, message: str) -> None:
        self.warnings.append(message)


def train(
    recipe: Recipe, digits: ImageSet, compute: Compute, folder: Path, listener: Listener, plan: MemberPlan | None = None
) -> nn.Module:
    data = TrainingData.on_device(digits, compute)
    return train_member(plan or plan_of(recipe), data, compute, MemberFolder(folder), listener)


def weights(folder: Path) -> bytes:
    return MemberFolder(folder).weights_path.read_bytes()


@pytest.fixture(scope="module")
def plain(quick: Recipe, digits: ImageSet, compute: Compute, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of the member, trained with `quick`."""
    folder = tmp_path_factory.mktemp("plain")
    train(quick, digits, compute, folder, Listener())
    return weights(folder)


def test_two_identical_trainings_produce_identical_bytes(
    plain: bytes, quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    train(quick, digits, compute, tmp_path, Listener())
    assert weights(tmp_path) == plain


def test_another_seed_produces_other_weights(
    plain: bytes, quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    train(quick.with_settings({"seed": 1}), digits, compute, tmp_path, Listener())
    assert weights(tmp_path) != plain


EVERYTHING = {
    "optimizer.name": "muon",
    "optimizer.label_smoothing": 0.1,
    "ema.decay": 0.9,
    "ema.batch_norm": "recomputed",
    "augment.elastic_std": 1.0,
    "augment.min_crop": 0.9,
    "augment.erase_probability": 0.5,
    "augment.no_aug_epochs": 1,
}
RECIPES = {
    "fast": {},
    "article": {"optimizer.name": "adam", "schedule.name": "step", "schedule.milestones": (1,)},
    "sgd": {"optimizer.name": "sgd", "schedule.name": "cosine", "optimizer.learning_rate": 0.05},
    "everything": EVERYTHING,
}


REST = [("article", 250), ("sgd", 250), ("everything", 50), ("everything", 450)]


@pytest.mark.parametrize(
    ("name", "stop_after"),
    [
        ("fast", 250),
        ("everything", 250),
        *(pytest.param(*rest, marks=pytest.mark.slow) for rest in REST),
    ],
)
def test_an_interrupted_training_ends_with_the_same_bytes(
    name: str, stop_after: int, quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    recipe = quick.with_settings(RECIPES[name])
    train(recipe, digits, compute, tmp_path / "whole", Listener())
    with pytest.raises(KeyboardInterrupt):
        train(recipe, digits, compute, tmp_path / "broken", Listener(stop_after))
    resumed = Listener()
    train(recipe, digits, compute, tmp_path / "broken", resumed)
    assert resumed.epochs_done == stop_after // 200
    assert weights(tmp_path / "whole") == weights(tmp_path / "broken")


def test_recomputed_statistics_are_those_of_the_training_images(
    quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    settings = {"ema.decay": 0.9, "ema.batch_norm": "recomputed", "augment.probability": 0, "optimizer.batch_size": 50}
    layer = train(quick.with_settings(settings), digits, compute, tmp_path, Listener()).get_submodule("stem")
    images = images_from_bytes(torch.from_numpy(digits.images[ROWS]))
    means = layer.get_submodule("conv")(images).mean(dim=(0, 2, 3))
    assert torch.allclose(layer.get_submodule("norm").get_buffer("running_mean"), means, atol=1e-5)


def test_a_finished_member_is_loaded_not_trained(
    quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    first = train(quick, digits, compute, tmp_path, Listener())
    listener = Listener()
    second = train(quick, digits, compute, tmp_path, listener)
    assert listener.images == 0
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_validation_rows_do_not_change_the_weights(
    plain: bytes, quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    images = digits.images.copy()
    images[HELD_OUT] = 255 - images[HELD_OUT]
    train(quick, ImageSet(images, digits.labels, digits.ids, digits.classes), compute, tmp_path, Listener())
    assert weights(tmp_path) == plain


def test_dropout_is_drawn_by_the_epoch_and_leaves_the_global_generator_alone(
    quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    quick = quick.with_settings({"schedule.epochs": 2, "network.name": "cnn-deep"})
    plan = MemberPlan(1, quick, np.arange(64), np.arange(64, 80))
    before = torch.get_rng_state()
    train(quick, digits, compute, tmp_path / "whole", Listener(), plan)
    torch.manual_seed(7)
    with pytest.raises(KeyboardInterrupt):
        train(quick, digits, compute, tmp_path / "broken", Listener(stop_after=80), plan)
    torch.set_rng_state(before)
    train(quick, digits, compute, tmp_path / "broken", Listener(), plan)
    assert torch.equal(torch.get_rng_state(), before)
    assert weights(tmp_path / "whole") == weights(tmp_path / "broken")


def test_averaged_weights_are_saved_and_differ_from_the_last_ones(
    plain: bytes, quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    train(quick.with_settings({"ema.decay": 0.8}), digits, compute, tmp_path, Listener())
    assert weights(tmp_path) != plain


def test_an_average_of_long_memory_predicts_about_as_the_last_weights_do(
    quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    """A memory of a thousand steps, and a training of forty."""
    images = images_from_bytes(torch.from_numpy(digits.images[HELD_OUT]))
    labels = torch.from_numpy(digits.known_labels()[HELD_OUT])
    right = []
    for decay in (0.0, 0.999):
        settings = {"ema.decay": decay, "schedule.epochs": 5, "optimizer.batch_size": 25}
        network = train(quick.with_settings(settings), digits, compute, tmp_path / str(decay), Listener()).eval()
        right.append(float((network(images).argmax(dim=1) == labels).float().mean()))
    assert right[0] > 0.8
    assert right[1] > right[0] - 0.05


def test_epochs_without_augmentation_are_the_last_ones(quick: Recipe, digits: ImageSet, compute: Compute) -> None:
    recipe = quick.with_settings({"augment.no_aug_epochs": 1})
    network = build_network("cnn-lean", digits.image_shape, 10, torch.Generator())
    trainer = Trainer(plan_of(recipe), TrainingData.on_device(digits, compute), compute, network)
    augmented = [all(transforms is not None for _, transforms in trainer.draw_batches(epoch)) for epoch in (1, 2, 3)]
    assert augmented == [True, True, False]


def test_epochs_can_be_validated_on_a_sample_which_changes_no_weight(
    plain: bytes, quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    listener = Listener()
    train(quick.with_settings({"schedule.validation_rows": 7}), digits, compute, tmp_path, listener)
    shares = [log.validation_accuracy for log in listener.logs]
    assert all(share is not None and (share * 7) % 1 < 1e-9 for share in shares)
    assert weights(tmp_path) == plain


def test_it_learns(digits: ImageSet, compute: Compute, quick: Recipe, tmp_path: Path) -> None:
    listener = Listener()
    train(quick.with_settings({"schedule.epochs": 12}), digits, compute, tmp_path, listener)
    assert listener.logs[-1].validation_accuracy > 0.8
    assert listener.logs[-1].train_loss < listener.logs[0].train_loss


def test_bfloat16_learns_too(digits: ImageSet, quick: Recipe, tmp_path: Path) -> None:
    listener = Listener()
    half = Compute(torch.device("cpu"), "bfloat16")
    train(quick.with_settings({"schedule.epochs": 4}), digits, half, tmp_path, listener)
    assert listener.logs[-1].train_loss < listener.logs[0].train_loss


def test_a_loss_that_is_not_a_number_ends_the_training(
    digits: ImageSet, compute: Compute, quick: Recipe, tmp_path: Path
) -> None:
    settings = {"optimizer.name": "adam", "optimizer.learning_rate": 1e30, "network.name": "cnn-medium"}
    with pytest.raises(DivergedError, match=r"epoch 1, batch \d+.*1e\+30"):
        train(quick.with_settings(settings), digits, compute, tmp_path, Listener())


@pytest.mark.parametrize("rows", [1, 2, 31, 32, 33, 64, 65, 95, 97])
def test_batches_cover_all_rows_and_none_has_a_single_row(rows: int) -> None:
    sizes = batch_sizes(rows, 32)
    assert sum(sizes) == rows
    assert max(sizes) <= 33
    assert 1 not in sizes or rows == 1


def test_a_single_row_is_trained_on_even_if_a_norm_sees_one_pixel(
    quick: Recipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    """As in 4×4 images after pooling; PyTorch refuses to compute the variance of one value."""
    small = replace(digits, images=digits.images[:, :, 12:16, 12:16].copy())
    recipe, listener = quick.with_settings({"schedule.epochs": 1}), Listener()
    train(recipe, small, compute, tmp_path, listener, MemberPlan(0, recipe, np.arange(33), np.arange(33, 40)))
    assert listener.images == 33


def test_the_same_arguments_draw_the_same() -> None:
    first, second = (torch.rand(5, generator=generator_for(1, 2, 3, "augment")) for _ in range(2))
    assert torch.equal(first, second)


def test_different_arguments_have_different_seeds() -> None:
    seeds = {
        seed_for(seed, member, epoch, purpose)
        for seed in range(3)
        for member in range(12)
        for epoch in range(12)
        for purpose in ("weights", "shuffle", "augment")
    }
    assert len(seeds) == 3 * 12 * 12 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    generator_for(1, 2, 3, "weights")
    assert torch.equal(torch.get_rng_state(), before)
