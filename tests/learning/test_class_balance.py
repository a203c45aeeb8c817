"""Weights of classes and rows in the loss, and balanced epochs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.class_balance import check_class_names, draw_balanced, weigh_classes, weigh_rows
from hitofude.learning.compute import Compute
from hitofude.learning.networks import build_network
from hitofude.learning.training import MemberPlan, Trainer, TrainingData
from hitofude.recipe import Recipe

LABELS = np.repeat([0, 1, 2], [300, 60, 12])


def test_balanced_weights_are_scikit_learns() -> None:
    weights = weigh_classes("balanced", LABELS, ("a", "b", "c"))
    assert weights is not None
    assert weights[LABELS] == pytest.approx(compute_sample_weight("balanced", LABELS))


def test_weights_of_a_table_have_the_mean_1_over_the_rows() -> None:
    weights = weigh_classes({"c": 5.0}, LABELS, ("a", "b", "c"))
    assert weights is not None
    assert weights[LABELS].mean() == pytest.approx(1)
    assert weights[2] / weights[0] == pytest.approx(5)
    assert weights[0] == weights[1]


def test_without_weights_there_are_none() -> None:
    assert weigh_classes("none", LABELS, ("a", "b", "c")) is None


def test_a_weight_of_an_unknown_class_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"weight for 'eigth', which is not one of the classes.*'eight'"):
        check_class_names({"eigth": 2.0}, ("three", "eight"))


def test_a_balanced_epoch_has_equally_many_rows_of_each_class() -> None:
    order = draw_balanced(torch.from_numpy(LABELS), torch.Generator().manual_seed(0))
    assert np.bincount(LABELS[order.numpy()]).tolist() == [124, 124, 124]
    counts = np.bincount(order.numpy(), minlength=len(LABELS))
    assert set(counts[LABELS == 0].tolist()) == {0, 1}  # no row of the commonest class twice
    assert set(counts[LABELS == 2].tolist()) <= {10, 11}  # the rare rows take turns


def test_a_balanced_epoch_of_a_number_that_the_classes_do_not_divide() -> None:
    labels = np.repeat([0, 1, 2], [8, 2, 1])
    order = draw_balanced(torch.from_numpy(labels), torch.Generator().manual_seed(0))
    assert sorted(np.bincount(labels[order.numpy()]).tolist()) == [3, 4, 4]


def test_an_epochs_rows_are_a_function_of_seed_member_and_epoch() -> None:
    labels = torch.from_numpy(LABELS)
    first, again, other = (draw_balanced(labels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_weights_of_rows_multiply_those_of_classes_with_the_mean_1_over_the_rows_learned() -> None:
    weights, rows = np.array([1.0, 2.0, 3.0, 0.0]), np.array([0, 1, 2])
    of_rows = weigh_rows(weights, None, np.array([0, 0, 1, 1]), rows)
    assert of_rows == pytest.approx(np.array([0.5, 1.0, 1.5, 0.0]))
    of_both = weigh_rows(weights, np.array([0.5, 2.0], dtype=np.float32), np.array([0, 0, 1, 1]), rows)
    assert of_both == pytest.approx(np.array([0.5, 1.0, 6.0, 0.0]) * 3 / 7.5)


def test_images_to_predict_weigh_as_much_as_training_images_on_average() -> None:
    found = weigh_rows(np.array([10.0, 30.0]), None, np.zeros(4, dtype=np.int64), np.arange(4))
    assert found == pytest.approx(np.array([0.5, 1.5, 1.0, 1.0]))


def test_only_the_ratios_of_weights_count() -> None:
    weights, labels, rows = np.array([1.0, 2.0, 3.0]), np.zeros(3, dtype=np.int64), np.arange(3)
    found = weigh_rows(weights, None, labels, rows)
    assert found is not None
    assert found == pytest.approx(weigh_rows(1000 * weights, None, labels, rows))


def trainer(digits: ImageSet, compute: Compute, targets: NDArray[np.float32] | None = None, **settings: Any) -> Trainer:
    """A trainer of 30 images of 3 and then 3 of 8."""
    recipe = Recipe().with_settings({f"optimizer.{name}": value for name, value in settings.items()})
    network = build_network("cnn-lean", digits.image_shape, 10, torch.Generator().manual_seed(0))
    data = TrainingData.on_device(digits, compute)
    data = data if targets is None else data.with_targets(data.images, targets, "")
    return Trainer(MemberPlan(0, recipe, rows_of(digits), np.arange(0)), data, compute, network)


def rows_of(digits: ImageSet) -> NDArray[np.int64]:
    labels = digits.known_labels()
    return np.concatenate([np.flatnonzero(labels == 3), np.flatnonzero(labels == 8)[:3]])


def test_probabilities_as_targets_are_smoothed_and_weighed_by_their_likeliest_class(
    digits: ImageSet, compute: Compute
) -> None:
    logits = torch.randn(2, 10, generator=torch.Generator().manual_seed(0))
    answers, rows = np.zeros((300, 10), dtype=np.float32), torch.from_numpy(rows_of(digits)[[0, -1]])
    answers[digits.known_labels() == 3, 3], answers[digits.known_labels() == 3, 8] = 0.9, 0.1
    answers[digits.known_labels() == 8, 3], answers[digits.known_labels() == 8, 8] = 0.4, 0.6
    made = trainer(digits, compute, answers, class_weights="balanced", label_smoothing=0.2)
    targets = torch.from_numpy(answers)[rows]
    found = made._loss(logits, targets, rows)
    losses = -((0.8 * targets + 0.02) * logits.log_softmax(dim=1)).sum(dim=1)
    assert found.item() == pytest.approx((losses * torch.tensor([33 / 60, 33 / 6])).mean().item(), rel=1e-6)


def test_balanced_sampling_draws_the_rows_of_the_batches(digits: ImageSet, compute: Compute) -> None:
    balanced, natural = (
        torch.cat([rows for rows, _ in trainer(digits, compute, sampling=kind).draw_batches(1)])
        for kind in ("balanced", "natural")
    )
    labels = digits.known_labels()
    assert np.bincount(labels[natural.numpy()], minlength=10)[[3, 8]].tolist() == [30, 3]
    assert sorted(np.bincount(labels[balanced.numpy()], minlength=10)[[3, 8]].tolist()) == [16, 17]


def test_the_loss_of_a_batch_weighs_its_rows(digits: ImageSet, compute: Compute) -> None:
    logits, labels = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)), torch.tensor([3, 3, 3, 3, 8, 8])
    rows = torch.from_numpy(rows_of(digits)[[0, 1, 2, 3, -2, -1]])
    losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    weighted = trainer(digits, compute, class_weights="balanced")._loss(logits, labels, rows)
    expected = (losses * torch.tensor([33 / 60] * 4 + [33 / 6] * 2)).mean()
    assert weighted.item() == pytest.approx(expected.item(), rel=1e-5)
    assert trainer(digits, compute)._loss(logits, labels, rows).item() == pytest.approx(losses.mean().item())
    heavy = replace(digits, weights=np.where(digits.known_labels() == 8, 10.0, 1.0))
    by_class = trainer(digits, compute, class_weights={"8": 10.0})._loss(logits, labels, rows)
    assert trainer(heavy, compute)._loss(logits, labels, rows).item() == pytest.approx(by_class.item(), rel=1e-6)
