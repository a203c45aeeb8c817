"""A whole ensemble, simulated so that its true probabilities are known: temperature and sets without its labels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import RecipeError
from hitofude.metrics.calibration import fit_temperature, join_members, with_temperature
from hitofude.metrics.whole_ensemble import (
    USUAL_RATIO,
    Temperatures,
    fit_ensemble_temperature,
    member_groups,
    prediction_sets,
    set_threshold,
)

MEMBERS, CLASSES = 5, 6


def draw(count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels, and raw probabilities of members with errors of their own: (count,) and (members, count, classes)."""
    generator = np.random.default_rng(seed)
    signal = 3 * generator.normal(size=(count, CLASSES))
    noise = generator.normal(size=(MEMBERS, count, CLASSES))
    labels = (signal + generator.gumbel(size=signal.shape)).argmax(axis=1)
    powers = np.exp(0.5 * (signal + noise))
    return labels, (powers / powers.sum(axis=2, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def folds() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]:
    """Labels, out-of-fold probabilities, and which member held a row out."""
    labels, members = draw(5_000, 0)
    fold = np.arange(5_000) % MEMBERS
    return labels, members[fold, np.arange(5_000)], fold[:, None] == np.arange(MEMBERS)


def test_the_temperature_of_the_whole_is_found_without_its_labels(
    folds: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    labels, out_of_fold, held_out = folds
    hidden, members = draw(5_000, 1)
    of_groups = fit_temperature(labels, out_of_fold)
    best = fit_temperature(hidden, join_members(members, None))
    found = fit_ensemble_temperature(members, member_groups(held_out), of_groups)
    assert best < 0.9 * of_groups
    assert found == pytest.approx(best, rel=0.07)


def test_few_images_are_weighed_against_the_usual_ratio(
    folds: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]],
) -> None:
    groups, (_, members) = member_groups(folds[2]), draw(100, 2)
    assert fit_ensemble_temperature(None, groups, 0.8) == pytest.approx(0.8 * USUAL_RATIO)
    assert fit_ensemble_temperature(members[:, :0], groups, 0.8) == pytest.approx(0.8 * USUAL_RATIO)
    one, all_of_them = (fit_ensemble_temperature(members[:, :count], groups, 0.8) for count in (1, 100))
    assert abs(np.log(one / (0.8 * USUAL_RATIO))) < abs(np.log(all_of_them / (0.8 * USUAL_RATIO)))


def test_a_single_member_keeps_its_temperature() -> None:
    groups = member_groups(np.array([[True], [False], [True]]))
    assert fit_ensemble_temperature(None, groups, 0.8) == 0.8
    assert fit_ensemble_temperature(draw(10, 0)[1][:1], groups, 0.8) == 0.8


def test_groups_are_the_members_that_held_the_same_rows_out() -> None:
    held_out = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.bool_)
    assert [(group.members.tolist(), group.share) for group in member_groups(held_out)] == [
        ([0], pytest.approx(2 / 3)), ([1], pytest.approx(1 / 3)),
    ]  # fmt: skip


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_sets_hold_the_label_as_often_as_asked(
    level: float, folds: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.bool_]]
) -> None:
    labels, out_of_fold, held_out = folds
    hidden, members = draw(20_000, 3)
    of_groups = fit_temperature(labels, out_of_fold)
    groups, rows = member_groups(held_out), np.arange(len(hidden))
    temperatures = Temperatures(of_groups, fit_ensemble_temperature(members, groups, of_groups))
    of_labels = with_temperature(out_of_fold, of_groups)[np.arange(len(labels)), labels]
    whole = join_members(members, temperatures.ensemble)
    sets = prediction_sets(whole, set_threshold(level, of_labels, members, groups, temperatures))
    assert sets[rows, hidden].mean() == pytest.approx(level, abs=0.01)


def test_too_few_rows_for_a_level_give_sets_of_all_classes() -> None:
    assert set_threshold(0.99, np.full(98, 0.9, dtype=np.float32), None, [], (1, 1)) == 0
    assert set_threshold(0.99, np.full(99, 0.9, dtype=np.float32), None, [], (1, 1)) == pytest.approx(0.9)


def test_no_set_is_empty() -> None:
    probabilities = np.array([[0.4, 0.35, 0.25], [0.1, 0.1, 0.8]], dtype=np.float32)
    assert prediction_sets(probabilities, 0.9).tolist() == [[True, False, False], [False, False, True]]


@pytest.mark.parametrize("level", [0, 1, 95, -0.1])
def test_a_level_is_a_share(level: float) -> None:
    with pytest.raises(RecipeError, match="expected a share between 0 and 1"):
        set_threshold(level, np.ones(100, dtype=np.float32), None, [], (1, 1))
