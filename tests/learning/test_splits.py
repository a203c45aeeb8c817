"""Splits: related rows are never on both sides, and every row held out is of a class that was trained on."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset
from hitofude.learning.ensemble import plan_members
from hitofude.learning.splits import settle_folds
from hitofude.learning.training import MemberPlan
from hitofude.recipe import Recipe
from hitofude.runs.plan import RunPlan

WRITERS = np.arange(300) % 20


def with_few(digits: ImageSet, count: int) -> ImageSet:
    """The digits with only some images of the class 7."""
    is_seven = digits.known_labels() == 7
    return digits.take(np.sort(np.concatenate([np.flatnonzero(~is_seven), np.flatnonzero(is_seven)[:count]])))


def held_out(plans: list[MemberPlan]) -> list[int]:
    return sorted(np.concatenate([plan.validation_rows for plan in plans]).tolist())


def texts(values: NDArray[np.int64]) -> NDArray[np.str_]:
    return values.astype(np.str_)


def test_without_related_rows_the_folds_are_scikit_learns_stratified_ones(digits: ImageSet, quick: Recipe) -> None:
    expected = StratifiedKFold(3, shuffle=True, random_state=0).split(np.zeros(300), digits.known_labels())
    for plan, (train, validation) in zip(plan_members(quick, digits), expected, strict=True):
        assert np.array_equal(plan.train_rows, train)
        assert np.array_equal(plan.validation_rows, validation)


def test_groups_are_never_on_both_sides_and_every_row_is_held_out_once(digits: ImageSet, quick: Recipe) -> None:
    plans = plan_members(quick, digits, WRITERS)
    expected = StratifiedGroupKFold(3, shuffle=True, random_state=0).split(
        np.zeros(300), digits.known_labels(), WRITERS
    )
    assert [plan.validation_rows.tolist() for plan in plans] == [rows.tolist() for _, rows in expected]
    assert held_out(plans) == list(range(300))
    assert not any(set(WRITERS[plan.train_rows]) & set(WRITERS[plan.validation_rows]) for plan in plans)


def test_copies_are_held_out_together(digits: ImageSet, quick: Recipe) -> None:
    """Each digit is there three times, once darker; without grouping, copies are on both sides."""
    rows = np.tile(np.arange(300), 3)
    images = digits.images[rows]
    images[600:] = (images[600:] * 0.9).astype(np.uint8)
    tripled = replace(digits.take(rows), images=images, ids=np.arange(900).astype(np.str_))
    for setting, is_divided in ((True, False), (False, True)):
        recipe = quick.with_settings({"ensemble.group_copies": setting})
        plans = RunPlan.prepare(recipe, Dataset("tripled", tripled), "").members
        assert held_out(plans) == list(range(900))
        sides = [set(rows[plan.train_rows]) & set(rows[plan.validation_rows]) for plan in plans]
        assert all(map(bool, sides)) == any(map(bool, sides)) == is_divided


def test_a_sample_of_the_rows_keeps_their_groups(digits: ImageSet, quick: Recipe) -> None:
    data = Dataset("digits", replace(digits, groups=texts(WRITERS)))
    plan = RunPlan.prepare(quick.with_settings({"rows": 120}), data, "")
    assert plan.train.groups is not None
    for member in plan.members:
        assert not set(plan.train.groups[member.train_rows]) & set(plan.train.groups[member.validation_rows])


def test_a_holdout_keeps_groups_together(digits: ImageSet) -> None:
    (plan,) = plan_members(Recipe.preset("article-simple"), digits, WRITERS)
    assert not set(WRITERS[plan.train_rows]) & set(WRITERS[plan.validation_rows])
    assert len(set(WRITERS[plan.validation_rows])) == 4


def test_given_folds_are_used_in_the_order_of_their_numbers(digits: ImageSet, quick: Recipe) -> None:
    folds = np.array(["10", "2", "1"])[np.arange(300) % 3]
    plans = plan_members(quick.with_settings({"ensemble.folds": 5}), replace(digits, folds=folds))
    assert [set(folds[plan.validation_rows]) for plan in plans] == [{"1"}, {"2"}, {"10"}]
    assert settle_folds(quick, replace(digits, folds=folds), None).ensemble.folds == 3


@pytest.mark.parametrize("count", [2, 4])
def test_each_of_a_few_images_of_a_class_is_held_out_by_a_member_that_saw_the_others(
    digits: ImageSet, quick: Recipe, count: int
) -> None:
    few = with_few(digits, count)
    plans = plan_members(quick.with_settings({"ensemble.folds": 5}), few)
    assert held_out(plans) == list(range(len(few)))
    for plan in plans:
        assert set(few.known_labels()[plan.validation_rows]) <= set(few.known_labels()[plan.train_rows])


@pytest.mark.parametrize("groups", [None, WRITERS])
def test_a_class_with_a_single_image_is_never_held_out(
    digits: ImageSet, quick: Recipe, groups: NDArray[np.int64] | None
) -> None:
    few = with_few(digits, 1)
    (row,) = np.flatnonzero(few.known_labels() == 7)
    plans = plan_members(quick, few, None if groups is None else groups[: len(few)])
    assert held_out(plans) == [other for other in range(len(few)) if other != row]
    assert sum(row in plan.train_rows for plan in plans) == (3 if groups is None else 2)


def test_folds_are_at_most_as_many_as_the_largest_class_has_images(digits: ImageSet, quick: Recipe) -> None:
    few = digits.take(np.concatenate([np.flatnonzero(digits.known_labels() == label)[:3] for label in range(10)]))
    recipe = settle_folds(quick.with_settings({"ensemble.folds": 5}), few, None)
    assert recipe.ensemble.folds == 3
    assert held_out(plan_members(recipe, few)) == list(range(30))


@pytest.mark.parametrize(
    ("groups", "folds", "message"),
    [
        (np.arange(300) % 2, None, r"There are 2 groups of related rows, fewer than the 3 parts.*ensemble\.folds=2"),
        (np.zeros(300, dtype=np.int64), None, "All rows are related to each other"),
        (None, np.zeros(300, dtype=np.int64), "All rows are in the fold '0'"),
        (np.arange(300) % 30, np.arange(300) % 4, "The group '0' has rows in the folds '0' and '2'"),
    ],
)
def test_groups_and_folds_that_cannot_be_split_are_refused(
    digits: ImageSet,
    quick: Recipe,
    groups: NDArray[np.int64] | None,
    folds: NDArray[np.int64] | None,
    message: str,
) -> None:
    given, drawn = (None if values is None else texts(values) for values in (groups, folds))
    with pytest.raises(InputError, match=message):
        plan_members(quick, replace(digits, groups=given, folds=drawn), groups)


def test_a_given_fold_that_holds_all_images_of_a_class_is_refused(digits: ImageSet, quick: Recipe) -> None:
    folds = texts(np.where(digits.known_labels() == 7, 0, np.arange(300) % 2))
    with pytest.raises(InputError, match="All 30 images of the class '7' are in the fold '0'"):
        plan_members(quick, replace(digits, folds=folds))


def test_given_folds_contradict_a_holdout(digits: ImageSet) -> None:
    with pytest.raises(InputError, match=r"--set ensemble\.split=folds"):
        plan_members(Recipe.preset("article-simple"), replace(digits, folds=texts(np.arange(300) % 2)))


def test_one_class_alone_is_refused(digits: ImageSet, quick: Recipe) -> None:
    ones = replace(digits, labels=np.zeros(300, dtype=np.int64), classes=("1",))
    with pytest.raises(InputError, match="All images have the label '1'"):
        plan_members(quick, ones)


def test_single_images_of_each_class_are_refused(digits: ImageSet, quick: Recipe) -> None:
    with pytest.raises(InputError, match="Each class has a single image"):
        plan_members(quick, digits.take(np.unique(digits.known_labels(), return_index=True)[1]))


def test_a_row_of_weight_0_is_held_out_like_any_other_but_never_learned_from(digits: ImageSet, quick: Recipe) -> None:
    recipe = quick.with_settings({"ensemble.full_data_members": 1})
    weights = np.where(np.arange(300) % 4 == 0, 0.0, 1.0)
    for plain, plan in zip(
        plan_members(recipe, digits), plan_members(recipe, replace(digits, weights=weights)), strict=True
    ):
        assert np.array_equal(plan.validation_rows, plain.validation_rows)
        assert np.array_equal(plan.train_rows, plain.train_rows[weights[plain.train_rows] > 0])


def test_a_class_of_which_one_row_alone_has_a_weight_is_learned_by_every_member(
    digits: ImageSet, quick: Recipe
) -> None:
    sevens = np.flatnonzero(digits.known_labels() == 7)
    weights = np.where(digits.known_labels() == 7, 0.0, 1.0)
    weights[sevens[0]] = 2.0
    plans = plan_members(quick, replace(digits, weights=weights))
    assert all(sevens[0] in plan.train_rows for plan in plans)
    assert not any(set(sevens[1:]) & set(plan.train_rows) for plan in plans)


def test_a_class_without_any_weight_is_refused(digits: ImageSet, quick: Recipe) -> None:
    weights = np.where(digits.known_labels() == 7, 0.0, 1.0)
    with pytest.raises(InputError, match="All rows of the class '7' have the weight 0"):
        plan_members(quick, replace(digits, weights=weights))
