"""The rows of each member: every row is predicted by members that were not trained on it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import Compute
from hitofude.learning.ensemble import join_out_of_fold, plan_members, train_ensemble
from hitofude.learning.member import EnsembleTask, MemberProbabilities
from hitofude.learning.teaching import stages, taught_targets
from hitofude.learning.training import MemberPlan
from hitofude.metrics.metrics import mean_of_members
from hitofude.recipe import Recipe
from tests.learning.test_training import Listener

VARIANTS = ({}, {"network.name": "cnn-medium", "schedule.epochs": 7})


def test_folds_are_stratified_disjoint_and_cover_every_row(digits: ImageSet, quick: Recipe) -> None:
    plans = plan_members(quick.with_settings({"ensemble.folds": 5}), digits)
    assert sorted(np.concatenate([plan.validation_rows for plan in plans]).tolist()) == list(range(300))
    for plan in plans:
        assert not set(plan.train_rows) & set(plan.validation_rows)
        assert len(plan.train_rows) + len(plan.validation_rows) == 300
        counts = np.bincount(digits.known_labels()[plan.validation_rows], minlength=10)
        assert counts.max() - counts.min() <= 1


def test_folds_are_shuffled_by_the_seed(digits: ImageSet, quick: Recipe) -> None:
    first, second, other = (
        plan_members(quick.with_settings({"seed": seed}), digits)[0].validation_rows for seed in (1, 1, 2)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_holdout_is_the_tutorials_split(digits: ImageSet) -> None:
    (plan,) = plan_members(Recipe.preset("article-simple"), digits)
    assert (len(plan.train_rows), len(plan.validation_rows)) == (240, 60)
    assert not set(plan.train_rows) & set(plan.validation_rows)


def test_each_repeat_has_a_new_split_and_the_next_variant(digits: ImageSet, quick: Recipe) -> None:
    recipe = quick.with_settings({"ensemble.repeats": 3, "ensemble.variants": VARIANTS})
    plans = plan_members(recipe, digits)
    assert [plan.member for plan in plans] == list(range(9))
    assert [plan.network for plan in plans] == ["cnn-lean"] * 3 + ["cnn-medium"] * 3 + ["cnn-lean"] * 3
    assert [plan.epochs for plan in plans] == [3] * 3 + [7] * 3 + [3] * 3
    for repeat in (plans[:3], plans[3:6], plans[6:]):
        assert sorted(np.concatenate([plan.validation_rows for plan in repeat]).tolist()) == list(range(300))
    assert not np.array_equal(plans[0].validation_rows, plans[3].validation_rows)


def test_without_resplit_all_repeats_have_the_same_folds(digits: ImageSet, quick: Recipe) -> None:
    plans = plan_members(quick.with_settings({"ensemble.repeats": 2, "ensemble.resplit": False}), digits)
    for first, second in zip(plans[:3], plans[3:], strict=True):
        assert np.array_equal(first.train_rows, second.train_rows)
        assert np.array_equal(first.validation_rows, second.validation_rows)


def test_members_on_all_rows_come_last_and_hold_nothing_out(digits: ImageSet, quick: Recipe) -> None:
    recipe = quick.with_settings({"ensemble.full_data_members": 2, "ensemble.variants": VARIANTS})
    *folds, first, second = plan_members(recipe, digits)
    assert len(folds) == 3
    assert [first.network, second.network] == ["cnn-medium", "cnn-lean"]
    assert all(len(plan.train_rows) == 300 and not len(plan.validation_rows) for plan in (first, second))


PSEUDO = {"ensemble.pseudo_labels": "soft", "ensemble.repeats": 2, "ensemble.full_data_members": 1}


def test_members_of_later_repeats_are_taught_by_those_that_hold_out_the_same_rows(
    digits: ImageSet, quick: Recipe
) -> None:
    plans = plan_members(quick.with_settings(PSEUDO | {"ensemble.repeats": 3}), digits, unlabelled=50)
    assert [plan.teachers for plan in plans[:6]] == [(), (), (), (0,), (1,), (2,)]
    assert [plan.teachers for plan in plans[6:]] == [(0, 3), (1, 4), (2, 5), tuple(range(9))]
    for plan in plans[3:9]:
        assert all(np.array_equal(plan.validation_rows, plans[one].validation_rows) for one in plan.teachers)
        assert np.array_equal(plan.train_rows, [*plans[plan.teachers[0]].train_rows, *range(300, 350)])
    assert len(plans[9].train_rows) == 350


@pytest.mark.parametrize(("repeats", "unlabelled"), [(2, 0), (1, 50)])
def test_without_images_to_predict_or_with_one_repeat_pseudo_labels_change_nothing(
    repeats: int, unlabelled: int, digits: ImageSet, quick: Recipe
) -> None:
    plain, pseudo = (
        plan_members(quick.with_settings(PSEUDO | {"ensemble.repeats": repeats} | other), digits, None, unlabelled)
        for other in ({"ensemble.pseudo_labels": "none"}, {})
    )
    assert not any(plan.teachers for plan in pseudo)
    for ours, theirs in zip(plain, pseudo, strict=True):
        assert np.array_equal(ours.train_rows, theirs.train_rows)


def test_only_members_behind_the_teaching_repeats_are_taught(digits: ImageSet, quick: Recipe) -> None:
    settings = {"ensemble.soft_labels": True, "ensemble.repeats": 3, "ensemble.teaching_repeats": 2}
    plans = plan_members(quick.with_settings(settings), digits, unlabelled=50)
    assert [plan.teachers for plan in plans] == [()] * 6 + [(0, 3), (1, 4), (2, 5)]
    assert [plan.teaches for plan in plans] == [True] * 6 + [False] * 3
    for plan in plans[6:]:
        assert np.array_equal(plan.train_rows, plans[plan.teachers[0]].train_rows)


def test_a_teacher_of_images_to_predict_alone_is_not_asked_about_training_images(
    digits: ImageSet, quick: Recipe
) -> None:
    plans = plan_members(quick.with_settings(PSEUDO), digits, unlabelled=50)
    assert not any(plan.teaches for plan in plans)


@pytest.mark.parametrize(
    ("pseudo", "soft", "expected"),
    [
        ("hard", False, [1, 0, 0, 1]),
        ("soft", False, [[0, 1], [1, 0], [0.7, 0.3], [0.3, 0.7]]),
        ("none", True, [[0.2, 0.8], [0.9, 0.1]]),
        ("soft", True, [[0.2, 0.8], [0.9, 0.1], [0.7, 0.3], [0.3, 0.7]]),
        ("hard", True, [[0.2, 0.8], [0.9, 0.1], [1, 0], [0, 1]]),
    ],
)
def test_a_taught_member_learns_the_mean_answer_of_its_teachers(
    pseudo: str, soft: bool, expected: list[Any], quick: Recipe
) -> None:
    rows = np.arange(4)
    recipe = quick.with_settings({"ensemble.pseudo_labels": pseudo, "ensemble.soft_labels": soft})
    first = answers(test=[[0.8, 0.2], [0.4, 0.6]], train=[[0.1, 0.9], [1.0, 0.0]])
    second = answers(test=[[0.6, 0.4], [0.2, 0.8]], train=[[0.3, 0.7], [0.8, 0.2]])
    other = answers(test=[[0.0, 1.0], [0.0, 1.0]], train=[[1.0, 0.0], [0.0, 1.0]])
    plan = MemberPlan(5, recipe, rows, rows, teachers=(1, 3))
    targets = taught_targets(plan, np.array([1, 0]), {1: first, 2: other, 3: second})
    assert targets is not None
    assert targets.dtype == (np.float32 if soft or pseudo == "soft" else np.int64)
    assert np.allclose(targets, expected)


def answers(test: list[list[float]], train: list[list[float]]) -> MemberProbabilities:
    none = np.empty((0, 2), dtype=np.float32)
    return MemberProbabilities(none, np.array(test, dtype=np.float32), np.array(train, dtype=np.float32))


def test_a_stage_begins_when_its_teachers_are_made(digits: ImageSet, quick: Recipe) -> None:
    plans = plan_members(quick.with_settings(PSEUDO), digits, unlabelled=50)
    assert [[plan.member for plan in stage] for stage in stages(plans)] == [[0, 1, 2], [3, 4, 5], [6]]
    with pytest.raises(ValueError, match=r"teachers \[0, 1, 2, 3, 4, 5\]"):
        list(stages(plans[6:]))


def test_a_member_on_all_rows_predicts_the_test_set_but_no_training_row(
    dataset: Dataset, quick: Recipe, compute: Compute, tmp_path: Path
) -> None:
    plans = tuple(plan_members(quick.with_settings({"ensemble.full_data_members": 1}), dataset.train)[-1:])
    listener = Listener()
    found = train_ensemble(EnsembleTask(compute, plans, dataset.train, dataset.test, tmp_path), 1, listener)
    assert np.isnan(found.out_of_fold).all()
    assert found.test is not None
    assert found.test.shape == (1, 50, 10)
    assert {log.validation_accuracy for log in listener.logs} == {None}


def test_out_of_fold_is_the_mean_over_the_members_that_held_the_row_out(quick: Recipe) -> None:
    rows = np.arange(4)
    plans = [MemberPlan(0, quick, rows[2:], rows[:2]), MemberPlan(1, quick, rows[:1], rows[1:3])]
    held_out = [np.array([[1, 0], [1, 0]], dtype=np.float32), np.array([[0, 1], [0, 1]], dtype=np.float32)]
    joined, disagreement = join_out_of_fold(plans, held_out, count=4, classes=2)
    assert joined[:3].tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    assert np.isnan(joined[3]).all()
    assert disagreement.tolist() == [0, 0.5, 0, 0]


def test_the_mean_is_over_probabilities() -> None:
    members = np.array([[[0.9, 0.1]], [[0.2, 0.8]]], dtype=np.float32)
    assert mean_of_members(members) == pytest.approx(np.array([[0.55, 0.45]]))


@pytest.mark.parametrize("settings", [{}, PSEUDO | {"ensemble.soft_labels": True, "schedule.epochs": 1}])
def test_the_labels_of_held_out_rows_do_not_leak(
    settings: dict[str, object], dataset: Dataset, quick: Recipe, compute: Compute, tmp_path: Path
) -> None:
    """A fold's out-of-fold predictions stay the same when the labels of its own rows are changed."""
    assert dataset.test is not None
    plans = plan_members(quick.with_settings(settings), dataset.train, unlabelled=len(dataset.test))
    own = plans[0].validation_rows
    labels = dataset.train.known_labels().copy()
    labels[own] = (labels[own] + 1) % 10
    found = []
    for name, train in (("a", dataset.train), ("b", replace(dataset.train, labels=labels))):
        of_fold = tuple(plan for plan in plans if np.array_equal(plan.validation_rows, own))
        job = EnsembleTask(compute, of_fold, train, dataset.test, tmp_path / name)
        probabilities = train_ensemble(job, 1, Listener())
        found.append(probabilities.out_of_fold[own])
    assert np.array_equal(found[0], found[1])
