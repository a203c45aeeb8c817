"""The ranking of recipes, checked by counting and by simulation."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.grouped import grouped_accuracy
from hitofude.metrics.metrics import Accuracy, mcnemar, wilson_interval
from hitofude.metrics.scores import Answers, score
from hitofude.recipe import Recipe
from hitofude.runs.result import RunResult, load_result
from hitofude.storage import read_npz, write_npz
from hitofude.sweep.ranking import Candidate, PairedComparison, Ranking
from hitofude.sweep.trial import Failure, Run, Trial
from tests.conftest import copy_of

NAN = np.nan


def trial(number: int, seed: int, right: NDArray[np.float32]) -> Trial:
    run = Run(number, seed, {}, Recipe())
    return Trial(run, Path(run.name), Accuracy(int(np.nansum(right)), int((~np.isnan(right)).sum())), None, 1, right)


def candidate(number: int, *right: list[float]) -> Candidate:
    """right: of each seed."""
    return Candidate(tuple(trial(number, seed, np.float32(values)) for seed, values in enumerate(right)))


def compared(first: Candidate, second: Candidate) -> PairedComparison:
    comparison = PairedComparison.of(first, second)
    assert comparison is not None
    return comparison


def random_candidate(number: int, generator: np.random.Generator, share: float, images: int = 400) -> Candidate:
    return candidate(number, (generator.random(images) < share).astype(float).tolist())


def test_with_one_seed_the_comparison_is_mcnemars() -> None:
    generator = np.random.default_rng(0)
    first, second = (random_candidate(number, generator, 0.9) for number in (1, 2))
    found = compared(first, second)
    right, other = first.right[0] > 0, second.right[0] > 0
    assert (found.better, found.worse) == ((right & ~other).sum(), (other & ~right).sum())
    assert found.probability == mcnemar(found.better, found.worse)
    assert found.difference == pytest.approx(first.accuracy - second.accuracy)


def test_an_image_counts_once_however_many_seeds_answer_it() -> None:
    first = candidate(1, [1, 1, 0, 0], [1, 1, 1, 0])
    second = candidate(2, [0, 1, 0, 1], [0, 1, 0, 1])
    found = compared(first, second)
    assert (found.better, found.worse) == (2, 1)
    assert found.difference == pytest.approx(np.mean([1, 0, 0.5, -1]))
    assert found.standard_error == pytest.approx(np.std([1, 0, 0.5, -1]) / 2)


def test_the_same_seed_twice_counts_once() -> None:
    once = compared(candidate(1, [1, 1, 0]), candidate(2, [0, 1, 0]))
    twice = compared(candidate(1, [1, 1, 0], [1, 1, 0]), candidate(2, [0, 1, 0], [0, 1, 0]))
    assert once == twice


def test_only_images_that_both_answered_with_the_same_seed_are_compared() -> None:
    first = candidate(1, [1, NAN, 1, NAN], [NAN, 1, 1, NAN])
    second = candidate(2, [0, 1, NAN, NAN], [1, NAN, 0, NAN])
    found = compared(first, second)
    assert (found.better, found.worse, found.difference) == (2, 0, 1.0)


def test_recipes_without_an_image_in_common_are_not_compared() -> None:
    found = [trial(1, 0, np.float32([1, NAN])), trial(2, 0, np.float32([NAN, 1]))]
    assert Ranking.of(found).comparisons == []


def test_the_interval_is_that_of_the_images() -> None:
    found = candidate(1, [1, 1, 1, 0, NAN], [1, 1, 0, 0, NAN])
    assert found.accuracy == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert found.interval == wilson_interval(0.625 * 4, 4)


def test_the_best_is_first_and_of_equals_the_one_tried_first() -> None:
    found = [trial(number, 0, np.float32(right)) for number, right in ((1, [0, 1]), (2, [1, 1]), (3, [1, 1]))]
    assert [one.number for one in Ranking.of(found).candidates] == [2, 3, 1]


def test_a_recipe_that_failed_with_one_seed_is_not_ranked() -> None:
    found = [
        trial(1, 0, np.float32([1, 1])),
        Failure(Run(1, 1, {}, Recipe()), "diverged"),
        trial(2, 0, np.float32([0, 1])),
    ]
    ranking = Ranking.of(found)
    assert [one.number for one in ranking.candidates] == [2]
    assert ranking.selection_bias is None


def test_a_clear_winner_has_no_selection_bias() -> None:
    found = [random_candidate(number, np.random.default_rng(number), share) for number, share in ((1, 0.9), (2, 0.3))]
    assert Ranking(tuple(found), ()).selection_bias == 0


def test_the_selection_bias_of_the_best_of_many_equals_is_about_right() -> None:
    generator = np.random.default_rng(0)
    found, estimated = [], []
    for _ in range(10):
        candidates = [random_candidate(number, generator, 0.9) for number in range(20)]
        ranking = Ranking.of([one.trials[0] for one in candidates])
        found.append(ranking.best.accuracy - 0.9)
        estimated.append(ranking.selection_bias)
    assert np.mean(found) > 0.02
    assert np.mean(estimated) == pytest.approx(np.mean(found), rel=0.3)


@pytest.fixture
def by_log_loss(finished: RunResult, tmp_path: Path) -> list[Candidate]:
    """A run with too little confidence, but the same answers, and the run itself."""
    worse = copy_of(finished, tmp_path)
    arrays = read_npz(worse.out_of_fold)
    arrays["probabilities"] = 0.5 * arrays["probabilities"] + 0.05
    write_npz(worse.out_of_fold, **arrays)
    return [of_folder(number, load_result(path)) for number, path in enumerate((worse.path, finished.folder.path), 1)]


def of_folder(number: int, result: RunResult) -> Candidate:
    answers = Answers.of(result.labels, result.out_of_fold_probabilities, result.classes)
    right = np.float32(answers.answers == answers.labels)
    run, found = Run(number, 0, {}, Recipe(metric="log-loss")), score("log-loss", answers)
    return Candidate((Trial(run, result.folder.path, result.accuracy, None, 1, right, "log-loss", found),))


def test_the_best_by_log_loss_has_the_lowest(by_log_loss: list[Candidate]) -> None:
    ranking = Ranking.of([trial for one in by_log_loss for trial in one.trials])
    assert [one.number for one in ranking.candidates] == [2, 1]
    assert ranking.best.value < by_log_loss[0].value
    assert ranking.best.interval[0] < ranking.best.value < ranking.best.interval[1]
    assert ranking.selection_bias == 0  # the best is the best in every sample


def test_recipes_are_compared_by_the_metric(by_log_loss: list[Candidate]) -> None:
    found = compared(by_log_loss[1], by_log_loss[0])
    assert (found.better, found.worse) == (0, 0)  # the answers are the same
    assert found.difference == pytest.approx(by_log_loss[1].value - by_log_loss[0].value)
    assert found.probability < 0.01


def test_images_that_belong_together_count_by_group(finished: RunResult, tmp_path: Path) -> None:
    """All images of a group say the same, so they count as one."""
    worse = copy_of(finished, tmp_path)
    arrays = read_npz(worse.out_of_fold)
    groups = np.arange(len(arrays["groups"])) // 50
    arrays["probabilities"][:100] = np.roll(arrays["probabilities"][:100], 1, axis=1)
    write_npz(worse.out_of_fold, **(arrays | {"groups": groups}))
    found = []
    for number, path in enumerate((worse.path, finished.folder.path), 1):
        result = load_result(path)
        right = result.out_of_fold_probabilities.argmax(axis=1) == result.labels
        accuracy = grouped_accuracy(result.labels, result.out_of_fold_probabilities.argmax(axis=1), groups)
        found.append(Candidate((Trial(Run(number, 0, {}, Recipe()), path, accuracy, None, 1, np.float32(right)),)))
    comparison = compared(*found)
    assert comparison.better < comparison.worse
    assert comparison.probability > 1000 * mcnemar(comparison.better, comparison.worse)
