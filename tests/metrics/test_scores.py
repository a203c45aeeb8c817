"""The metrics against scikit-learn's, their baseline against its DummyClassifier, their intervals by simulation."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn import metrics as sklearn_metrics
from sklearn.dummy import DummyClassifier

from hitofude.metrics.scores import METRICS, Answers, all_scores, paired_difference, score, value_of
from hitofude.recipe import Metric

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def sklearn_auc(labels: Labels, probabilities: Probabilities) -> float:
    """Its mean over the classes that have rows."""
    if probabilities.shape[1] == 2:
        return float(sklearn_metrics.roc_auc_score(labels, probabilities[:, 1]))
    present = np.unique(labels)
    return float(np.mean([sklearn_metrics.roc_auc_score(labels == one, probabilities[:, one]) for one in present]))


def sklearn_log_loss(labels: Labels, probabilities: Probabilities) -> float:
    return float(sklearn_metrics.log_loss(labels, probabilities, labels=range(probabilities.shape[1])))


def of_answers(function: Callable[..., float], **options: object) -> Callable[[Labels, Probabilities], float]:
    return lambda labels, probabilities: float(function(labels, probabilities.argmax(axis=1), **options))


ORACLES: dict[Metric, Callable[[Labels, Probabilities], float]] = {
    "accuracy": of_answers(sklearn_metrics.accuracy_score),
    "balanced-accuracy": of_answers(sklearn_metrics.balanced_accuracy_score),
    "macro-f1": of_answers(sklearn_metrics.f1_score, average="macro"),
    "log-loss": sklearn_log_loss,
    "auc": sklearn_auc,
    "quadratic-kappa": of_answers(sklearn_metrics.cohen_kappa_score, weights="quadratic"),
}


def draw(rows: int, classes: int, seed: int, strength: float = 1.0) -> tuple[Labels, Probabilities]:
    """Uneven labels, and probabilities rounded to two places, so that many are tied and some are 0."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(classes, rows, p=generator.dirichlet(np.full(classes, 2)))
    logits = generator.normal(size=(rows, classes))
    logits[np.arange(rows), labels] += strength
    powers = np.exp(logits)
    rounded = np.round(powers / powers.sum(axis=1, keepdims=True), 2) + 1e-12
    return labels, rounded / rounded.sum(axis=1, keepdims=True)


def names(classes: int) -> tuple[str, ...]:
    return tuple(map(str, range(classes)))


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=25)
@given(classes=st.integers(2, 6), rows=st.integers(40, 120), seed=st.integers(0, 10**6))
def test_every_metric_is_scikit_learns(metric: Metric, classes: int, rows: int, seed: int) -> None:
    labels, probabilities = draw(rows, classes, seed)
    if len(np.unique(labels)) < classes or len(np.unique(probabilities.argmax(axis=1))) < classes:
        return  # below
    found = value_of(metric, Answers.of(labels, probabilities, names(classes)))
    assert found == pytest.approx(ORACLES[metric](labels, probabilities), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_without_rows_is_left_out_of_the_means(metric: Metric) -> None:
    labels, probabilities = draw(200, 5, seed=3)
    kept = labels != 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's, of answers that are not among the labels
        expected = ORACLES[metric](labels[kept], probabilities[kept])
    answers = Answers.of(labels[kept], probabilities[kept], names(5))
    assert value_of(metric, answers) == pytest.approx(expected, abs=1e-9)


def test_a_certain_wrong_answer_costs_as_much_as_in_scikit_learn() -> None:
    labels, probabilities = np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])
    found = value_of("log-loss", Answers.of(labels, probabilities, names(2)))
    assert found == pytest.approx(sklearn_log_loss(labels, probabilities), abs=1e-9)


def test_a_metric_that_is_not_defined_is_left_out() -> None:
    one_label = Answers.of(np.zeros(5, np.int64), np.tile([0.7, 0.3], (5, 1)), ("cat", "dog"))
    assert set(all_scores(one_label)) == {"accuracy", "balanced-accuracy", "macro-f1", "log-loss"}
    labels_alone = Answers(np.array([0, 1]), np.array([0, 1]), None, ("1", "2"))
    assert set(all_scores(labels_alone)) == {"accuracy", "balanced-accuracy", "macro-f1", "quadratic-kappa"}


def test_the_distance_of_classes_in_the_kappa_is_that_of_their_numbers() -> None:
    values, (labels, probabilities) = np.array([10, 12, 20]), draw(200, 3, seed=0)
    answers = probabilities.argmax(axis=1)
    expected = sklearn_metrics.cohen_kappa_score(
        values[labels], values[answers], labels=range(10, 21), weights="quadratic"
    )
    found = value_of("quadratic-kappa", Answers.of(labels, probabilities, ("10", "12", "20")))
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_the_baseline_is_scikit_learns_classifier_that_looks_at_no_image(metric: Metric) -> None:
    labels, probabilities = draw(200, 4, seed=1)
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((200, 1)), labels)
    found = score(metric, Answers.of(labels, probabilities, names(4)))
    assert found is not None
    assert found.baseline == pytest.approx(ORACLES[metric](labels, dummy.predict_proba(np.zeros((200, 1)))), abs=1e-9)


def test_the_interval_of_accuracy_is_wilsons() -> None:
    answers = Answers(np.zeros(10, np.int64), np.array([0] * 8 + [1] * 2), None, names(2))
    found = score("accuracy", answers)
    assert found is not None
    assert found.interval == pytest.approx((0.4902, 0.9433), abs=1e-4)


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "accuracy"])
def test_the_interval_holds_the_truth_in_nineteen_of_twenty_draws(metric: Metric) -> None:
    truth = value_of(metric, Answers.of(*population(40_000, seed=99), names(3)))
    assert truth is not None
    held = 0
    for seed in range(25):
        found = score(metric, Answers.of(*population(250, seed), names(3)))
        assert found is not None
        held += found.low <= truth <= found.high
    assert held >= 21  # 24 are expected


def population(rows: int, seed: int) -> tuple[Labels, Probabilities]:
    """Three classes, one of them rare."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, rows, p=[0.7, 0.25, 0.05])
    logits = generator.normal(size=(rows, 3))
    logits[np.arange(rows), labels] += 2
    powers = np.exp(logits)
    return labels, powers / powers.sum(axis=1, keepdims=True)


def test_an_interval_has_a_width_even_if_a_few_rows_are_all_right() -> None:
    labels = np.repeat([0, 1], [300, 12])
    found = all_scores(Answers.of(labels, np.eye(2)[labels], names(2)))
    assert {metric: one.value for metric, one in found.items() if metric != "log-loss"} == dict.fromkeys(
        ("accuracy", "balanced-accuracy", "macro-f1", "auc", "quadratic-kappa"), 1.0
    )
    lowest_recall = beta.ppf(0.025, 12.5, 0.5)  # H. Jeffreys's interval of 12 of 12; that of 300 of 300 is near 1
    assert found["balanced-accuracy"].low == pytest.approx((1 + lowest_recall) / 2, abs=0.01)
    assert found["auc"].low == pytest.approx(lowest_recall, abs=0.02)
    assert found["macro-f1"].low < 0.97
    assert found["quadratic-kappa"].low < 0.97


@pytest.mark.parametrize("metric", ["macro-f1", "log-loss", "auc"])
def test_rows_that_are_copies_do_not_narrow_the_interval_if_they_form_a_group(metric: Metric) -> None:
    labels, probabilities = draw(120, 3, seed=5)
    once = score(metric, Answers.of(labels, probabilities, names(3)))
    copies = Answers.of(labels.repeat(9), probabilities.repeat(9, axis=0), names(3))
    as_groups, as_rows = score(metric, copies, groups=np.arange(120).repeat(9)), score(metric, copies)
    assert once is not None
    assert as_groups is not None
    assert as_rows is not None
    assert as_groups.high - as_groups.low == pytest.approx(once.high - once.low, rel=0.15)
    assert as_rows.high - as_rows.low == pytest.approx((once.high - once.low) / 3, rel=0.2)


def test_the_same_call_gives_the_same_interval() -> None:
    answers = Answers.of(*draw(100, 3, seed=0), names(3))
    assert all_scores(answers) == all_scores(answers)


@pytest.mark.parametrize("metric", METRICS)
def test_a_paired_comparison_sees_differences_that_the_intervals_hide(metric: Metric) -> None:
    labels, better = draw(1500, 3, seed=8, strength=2)
    worse = better.copy()
    spoiled = np.flatnonzero(better.argmax(axis=1) == labels)[::50]
    worse[spoiled] = worse[spoiled][:, [1, 2, 0]]
    first, second = (Answers.of(labels, one, names(3)) for one in (better, worse))
    found = paired_difference(metric, [first], [second])
    one, other = score(metric, first), score(metric, second)
    assert found is not None
    assert one is not None
    assert other is not None
    assert found.value == pytest.approx(one.value - other.value)
    assert found.probability < 0.01
    assert not found.low <= 0 <= found.high
    assert one.low < other.high
    assert other.low < one.high


def test_equal_answers_do_not_differ() -> None:
    answers = Answers.of(*draw(100, 3, seed=0), names(3))
    found = paired_difference("macro-f1", [answers, answers], [answers])
    assert found is not None
    assert (found.value, found.low, found.high, found.probability) == (0, 0, 0, 1)
