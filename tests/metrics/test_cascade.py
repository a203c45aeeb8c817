"""Members asked one after another until an image is clear, by rules chosen by rows that they were not trained on."""

from copy import copy
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.calibration import Cascade, Stage, join_members
from hitofude.metrics.cascade import LOOKS_AGAIN, HeldOut, choose_cascade

ROWS, CLASSES = 20_000, 3
EVERY, EVEN, ODD = np.arange(ROWS), np.arange(0, ROWS, 2), np.arange(1, ROWS, 2)


def answers(
    labels: NDArray[np.int64], confidence: NDArray[np.float64], wrong: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(N, classes), right with these confidences but in some rows."""
    predicted = labels.copy()
    predicted[wrong] = (labels[wrong] + 1) % CLASSES
    probabilities = np.repeat((1 - confidence)[:, None] / (CLASSES - 1), CLASSES, axis=1)
    probabilities[np.arange(len(labels)), predicted] = confidence
    return probabilities.astype(np.float32)


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, CLASSES, ROWS)


@pytest.fixture(scope="module")
def confidence() -> NDArray[np.float64]:
    """Rising with the row, 0.5 to 1."""
    return np.linspace(0.5, 0.999, ROWS)


def choose(
    labels: NDArray[np.int64],
    rows: list[NDArray[np.int64]],
    probabilities: list[NDArray[np.float32]],
    kinds: str,
    costs: list[float],
    most_changed: float = 1e-4,
) -> Cascade | None:
    """probabilities: of each member, of all rows; it held out some of them."""
    held_out = [one[own] for one, own in zip(probabilities, rows, strict=True)]
    return choose_cascade(HeldOut(labels, rows, held_out, kinds, costs), most_changed)


def test_one_answers_clear_images_and_all_the_others() -> None:
    members = np.array([[[0.9, 0.1], [0.6, 0.4]], [[0.2, 0.8], [0.2, 0.8]]], dtype=np.float32)
    joined = join_members(members, None, Cascade((Stage(0, 0.7, 0.5),), 0.0))
    assert joined == pytest.approx(np.array([[0.9, 0.1], [0.4, 0.6]]))


def test_each_image_has_the_mean_of_the_members_asked_until_it_was_clear() -> None:
    generator = np.random.default_rng(0)
    members = generator.dirichlet(np.ones(4), size=(5, 200)).astype(np.float32)
    cascade = Cascade((Stage(3, 0.8, 0.2), Stage(0, 0.6, 0.2), Stage(4, 0.55, 0.2)), 0.0)
    joined, asked = cascade.join(members), cascade.count_asked(members)
    for image in range(200):
        numbers = list[int]()
        for stage in cascade.stages:
            numbers.append(stage.member)
            if members[numbers, image].mean(axis=0).max() >= stage.threshold:
                break
        else:
            numbers = [0, 1, 2, 3, 4]
        assert asked[image] == len(numbers)
        assert joined[image] == pytest.approx(members[numbers, image].mean(axis=0), abs=1e-6)
    assert set(asked) == {1, 2, 3, 5}


def test_members_that_are_not_asked_change_nothing() -> None:
    """So an array in which they have the mean of those that are joins to the same."""
    members = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 100)).astype(np.float32)
    cascade = Cascade((Stage(1, 0.7, 0.3), Stage(2, 0.5, 0.3)), 0.0)
    asked, filled = cascade.count_asked(members), members.copy()
    filled[[0, 2]] = np.where((asked == 1)[:, None], members[1], filled[[0, 2]])
    filled[0] = np.where((asked == 2)[:, None], members[1:].mean(axis=0), filled[0])
    assert np.array_equal(join_members(filled, 0.8, cascade), join_members(members, 0.8, cascade))
    assert np.array_equal(cascade.count_asked(filled), asked)


def test_a_cascade_of_an_earlier_version_is_read_as_one_of_a_single_stage() -> None:
    content = {"first": 3, "threshold": 0.75, "alone": 0.92, "changed": 0.0001}
    expected = Cascade((Stage(3, 0.75, 0.92),), 0.0001)
    assert Cascade.upgraded(content) == {
        "stages": [{"member": 3, "threshold": 0.75, "answered": 0.92}], "changed": 0.0001,
    }  # fmt: skip
    pickled = Cascade.__new__(Cascade)
    pickled.__setstate__(content)
    assert pickled == expected
    assert copy(expected) == expected


def test_two_halves_answer_from_the_confidence_on_that_allows_one_wrong_row(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    """Three of the rows may change; one is always added, and half of the other two are used up."""
    probabilities = answers(labels, confidence, np.array([100, 5_000, 9_000]))
    found = choose(labels, [EVEN, ODD], [probabilities] * 2, "aa", [1, 1], most_changed=3 / ROWS)
    assert found is not None
    (stage,) = found.stages
    assert confidence[5_000] < stage.threshold <= confidence[5_001]
    assert stage.answered == pytest.approx(1 - 5_001 / ROWS)
    assert found.changed <= 1e-4


def test_members_that_held_the_same_rows_out_need_no_labels(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    """Both are wrong alike in many rows, where all members together would be wrong too."""
    shared = np.arange(0, ROWS, 100)
    first = answers(labels, confidence, shared)
    second = answers(labels, np.full(ROWS, 0.999), np.append(shared, 7_001))
    second[8_001] = np.roll(second[8_001], 1)
    found = choose(labels, [EVERY, EVERY], [first, second], "ab", [1, 2], most_changed=3 / ROWS)
    assert found is not None
    (stage,) = found.stages
    assert stage.member == 0
    assert confidence[7_001] < stage.threshold <= confidence[7_002]


def brute_force(
    confidences: list[NDArray[np.float32]], changed: list[NDArray[np.bool_]], allowed: int, costs: list[int]
) -> tuple[float, int]:
    """Return the least cost of two stages and the rest, and the changes: every pair of thresholds of the two is tried.

    costs: of the first, of the second, of all others.
    """
    found = []
    for limits in product(range(allowed + 1), repeat=2):
        if sum(limits) > allowed:
            continue
        left, cost, total = np.arange(ROWS), 0.0, 0
        for stage, limit in enumerate(limits):
            cost += costs[stage] * len(left)
            own = confidences[stage][left]
            harmful = np.sort(own[changed[stage][left]])[::-1]
            clear = own > (harmful[limit] if limit < len(harmful) else 0)
            total += int(changed[stage][left][clear].sum())
            left = left[~clear]
        found.append((cost + costs[2] * len(left), total))
    return min(found)


def test_two_stages_use_up_the_changes_so_that_least_operations_are_left(labels: NDArray[np.int64]) -> None:
    """Three members hold every row out; the oracle tries all ways to divide the changes between two stages."""
    generator = np.random.default_rng(1)
    members = []
    for _ in range(3):
        confidence = generator.beta(8, 1, ROWS).clip(0.4, 0.999)
        members.append(
            answers(labels, confidence, np.flatnonzero(generator.random(ROWS) < 0.3 * (1 - confidence) ** 2))
        )
    found = choose(labels, [EVERY] * 3, members, "abc", [1, 3, 10], most_changed=7 / ROWS)
    assert found is not None
    assert [stage.member for stage in found.stages] == [0, 1]
    together = np.mean(members, axis=0).argmax(axis=1)
    means = [members[0], np.mean(members[:2], axis=0)]
    changed = [mean.argmax(axis=1) != together for mean in means]
    least, most = brute_force([mean.max(axis=1) for mean in means], changed, 3, [1, 3, 10])
    asked = found.count_asked(np.stack(members))
    cost = (np.array([1, 4, 14])[asked - 1]).sum()
    assert cost <= 1.02 * least
    differs = found.join(np.stack(members)).argmax(axis=1) != together
    assert differs.sum() <= most <= 3
    assert found.changed == pytest.approx((differs.sum() + 1) / (ROWS + 1))
    assert [stage.answered for stage in found.stages] == pytest.approx([(asked == count).mean() for count in (1, 2)])


def test_the_next_member_is_one_that_holds_out_the_rows_of_the_first(labels: NDArray[np.int64]) -> None:
    """Two repeats of two folds: a row is held out by the same fold of both."""
    generator = np.random.default_rng(2)
    each = [answers(labels, generator.beta(9, 1, ROWS).clip(0.4, 0.999), generator.choice(ROWS, 60)) for _ in range(2)]
    probabilities = [each[0], each[0], each[1], each[1]]
    found = choose(labels, [EVEN, ODD, EVEN, ODD], probabilities, "aaaa", [1, 1, 1, 1], most_changed=3e-4)
    assert found is not None
    assert [stage.member for stage in found.stages] == [0, 2]


def test_the_cheaper_kind_is_asked_first_by_a_member_trained_on_all_rows(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    probabilities, none = answers(labels, confidence, np.arange(0)), np.arange(0)
    found = choose(labels, [EVERY, EVERY, none, none], [probabilities] * 4, "abab", [5, 2, 5, 2])
    assert found is not None
    assert found.stages[0].member == 3


def test_an_image_that_is_unclear_to_members_takes_more_looks(
    labels: NDArray[np.int64], confidence: NDArray[np.float64]
) -> None:
    probabilities, rows = answers(labels, confidence, np.arange(0)), [EVEN, ODD]
    held_out = HeldOut(labels, rows, [probabilities[own] for own in rows], "ab", [1, 1], seen_again_below=0.75)
    assert held_out.looks[[0, -1]].tolist() == [1 + LOOKS_AGAIN, 1]
    assert held_out.looks.mean() == pytest.approx(1 + LOOKS_AGAIN / 2, abs=0.01)


@pytest.mark.parametrize("most_changed", [0.0, 0.9 / ROWS])
def test_all_are_asked_if_nothing_may_change_or_the_rows_are_too_few(
    labels: NDArray[np.int64], confidence: NDArray[np.float64], most_changed: float
) -> None:
    probabilities = answers(labels, confidence, np.arange(0))
    assert choose(labels, [EVERY, EVERY], [probabilities] * 2, "aa", [1, 1], most_changed) is None


def test_all_are_asked_if_few_rows_are_clear(labels: NDArray[np.int64], confidence: NDArray[np.float64]) -> None:
    probabilities = answers(labels, confidence, np.arange(0, ROWS, 20))
    assert choose(labels, [EVEN, ODD], [probabilities] * 2, "aa", [1, 1]) is None
