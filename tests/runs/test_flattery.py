"""Related rows in the report: how many there are, and by how much a random split would flatter."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset
from hitofude.outputs.report import RelatedSummary
from hitofude.recipe import Recipe
from hitofude.runs.flattery import summarise_related
from hitofude.runs.plan import RunPlan


def summarise(train: ImageSet, recipe: Recipe, wrong: NDArray[np.int64]) -> RelatedSummary | None:
    """Summarise a run whose out-of-fold answers are right but for some rows."""
    answers = train.known_labels().copy()
    answers[wrong] = (answers[wrong] + 1) % len(train.classes)
    out_of_fold = np.eye(len(train.classes), dtype=np.float32)[answers]
    return summarise_related(RunPlan.prepare(recipe, Dataset("digits", train), ""), out_of_fold)


def repeated(digits: ImageSet, times: int) -> ImageSet:
    return replace(digits.take(np.tile(np.arange(300), times)), ids=np.arange(300 * times).astype(np.str_))


def test_without_related_rows_there_is_nothing_to_say(digits: ImageSet, quick: Recipe) -> None:
    assert summarise(digits, quick, np.arange(30)) is None


@pytest.mark.parametrize(("times", "known"), [(2, 2 / 3), (3, 8 / 9)])
def test_a_random_split_would_know_the_labels_of_most_copies(
    digits: ImageSet, quick: Recipe, times: int, known: float
) -> None:
    """With three folds, one copy of two is trained on in 2 of 3 cases, and one of two others in 8 of 9."""
    found = summarise(repeated(digits, times), quick, np.arange(300 * times)[::10])
    assert found is not None
    assert (found.groups, found.rows, found.largest, found.copies) == (300, 300 * times, times, 300 * times)
    assert found.flattery == pytest.approx(0.1 * known, abs=0.01)


def test_copies_with_other_labels_would_mislead(digits: ImageSet, quick: Recipe) -> None:
    labels = np.concatenate([digits.known_labels(), (digits.known_labels() + 1) % 10])
    found = summarise(replace(repeated(digits, 2), labels=labels), quick, np.empty(0, dtype=np.int64))
    assert found is not None
    assert found.flattery == pytest.approx(-2 / 3)


def test_unlike_rows_of_a_group_would_flatter_little(digits: ImageSet, quick: Recipe) -> None:
    """Groups drawn at random: a row's nearest neighbour is seldom in its group."""
    groups = np.random.default_rng(0).permutation(300) // 5
    found = summarise(replace(digits, groups=groups.astype(np.str_)), quick, np.arange(0, 300, 10))
    assert found is not None
    assert found.flattery is not None
    assert (found.given, found.copies) == (("groups",), 0)
    assert abs(found.flattery) < 0.02


def test_copies_that_given_folds_divide_are_counted(digits: ImageSet, quick: Recipe) -> None:
    """The first 300 rows are in the fold 0 and their copies in the fold 1, but for ten."""
    folds = np.repeat([0, 1], 300)
    folds[:10] = 1
    found = summarise(replace(repeated(digits, 2), folds=folds.astype(np.str_)), quick, np.arange(30))
    assert found is not None
    assert found.divided_copies == 580
