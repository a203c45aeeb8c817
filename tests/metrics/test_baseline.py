"""Networks that are no better than always answering the commonest class are called so."""

import pytest

from hitofude.metrics.baseline import no_better_than_commonest
from hitofude.metrics.scores import Score
from hitofude.recipe import Metric


@pytest.mark.parametrize(
    ("confusion", "is_guess"),
    [
        ([[50, 0], [0, 50]], False),
        ([[300, 0], [10, 2]], True),  # 0.9679 against 0.9615: two rows more are no proof
        ([[295, 5], [2, 10]], True),
        ([[300, 0], [2, 10]], False),
        ([[0, 50], [50, 0]], True),
        ([[40, 10], [0, 0]], True),
    ],
)
def test_it_takes_more_than_chance_to_be_better(confusion: list[list[int]], is_guess: bool) -> None:
    message = no_better_than_commonest("accuracy", {}, confusion, ("three", "eight"))
    assert (message is not None) == is_guess
    if message:
        assert "always answering 'three'" in message


@pytest.mark.parametrize(
    ("metric", "score", "is_guess"),
    [
        ("balanced-accuracy", Score(0.58, 0.49, 0.67, 0.5), True),
        ("balanced-accuracy", Score(0.9, 0.85, 0.94, 0.5), False),
        ("log-loss", Score(0.3, 0.2, 0.5, 0.4), True),
        ("log-loss", Score(0.3, 0.2, 0.35, 0.4), False),
    ],
)
def test_by_another_metric_the_baseline_must_be_outside_of_the_interval(
    metric: Metric, score: Score, is_guess: bool
) -> None:
    message = no_better_than_commonest(metric, {metric: score}, [[300, 0], [10, 2]], ("three", "eight"))
    assert (message is not None) == is_guess
