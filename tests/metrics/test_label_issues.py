"""Confident learning against cleanlab, on labels of which a known part is wrong."""

import numpy as np
import pytest
from cleanlab.filter import find_label_issues as cleanlab_issues
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.label_issues import confidence_thresholds, find_label_issues
from hitofude.metrics.label_noise import probabilities_of_error

CLASSES = 6


def noisy(seed: int, rows: int = 3_000, share: float = 0.05) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels, a share of them wrong, and probabilities that lean to the true ones, less so in some classes."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, CLASSES, rows)
    logits = (3 + true[:, None] / 2) * np.eye(CLASSES)[true] + generator.normal(0, 1.2, (rows, CLASSES))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = generator.random(rows) < share
    return np.where(wrong, (true + generator.integers(1, CLASSES, rows)) % CLASSES, true), probabilities.astype(
        np.float32
    )


@pytest.mark.parametrize("seed", range(5))
def test_set_and_ranking_are_cleanlabs_and_likely_errors_are_added(seed: int) -> None:
    labels, probabilities = noisy(seed)
    expected = cleanlab_issues(
        labels, probabilities, filter_by="confident_learning", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert len(expected) > 100
    found = find_label_issues(labels, probabilities)
    is_theirs = np.isin(found.rows, expected)
    by_score = np.argsort(found.scores[is_theirs], kind="stable")
    assert found.rows[is_theirs][by_score].tolist() == expected.tolist()
    likely = np.flatnonzero(probabilities_of_error(labels, probabilities) >= 0.4)
    assert set(found.rows[~is_theirs]) == set(likely) - set(expected)
    assert (np.diff(found.wrong < 0.5) >= 0).all()


def test_the_score_is_the_probability_of_the_label_and_the_suggestion_another_class() -> None:
    labels, probabilities = noisy(0)
    issues = find_label_issues(labels, probabilities)
    assert np.array_equal(issues.scores, probabilities[issues.rows, labels[issues.rows]])
    assert all((np.diff(issues.scores[group]) >= 0).all() for group in (issues.wrong >= 0.5, issues.wrong < 0.5))
    assert (issues.suggested != labels[issues.rows]).all()


def test_rows_that_every_member_saw_are_left_out() -> None:
    labels, probabilities = noisy(1)
    hidden = probabilities.copy()
    hidden[::2] = np.nan
    part = find_label_issues(labels[1::2], probabilities[1::2])
    found = find_label_issues(labels, hidden)
    assert found.rows.tolist() == (2 * part.rows + 1).tolist()
    assert np.array_equal(found.wrong, part.wrong)


def test_labels_that_agree_with_sure_probabilities_are_no_issues() -> None:
    labels = np.arange(30) % 3
    assert len(find_label_issues(labels, np.eye(3, dtype=np.float32)[labels])) == 0


def test_a_class_without_rows_is_never_suggested() -> None:
    labels = np.array([0, 0, 1, 1])
    probabilities = np.full((4, 3), 1 / 3, dtype=np.float32)
    assert confidence_thresholds(labels, probabilities)[2] == np.inf
    assert 2 not in find_label_issues(labels, probabilities).suggested


def with_exact_zeros(
    model: KNeighborsClassifier | RandomForestClassifier, wrong: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels of scikit-learn's digits, some of them wrong, and a model's probabilities, many of them zero."""
    pixels, true = load_digits(return_X_y=True)
    labels = np.where(wrong, (true + 1 + np.arange(len(true)) % 9) % 10, true)
    return labels, cross_val_predict(model, pixels, labels, cv=3, method="predict_proba").astype(np.float32)


def rounded(wrong: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and the probabilities of a CSV of two decimals."""
    generator = np.random.default_rng(1)
    true = generator.integers(0, CLASSES, len(wrong))
    logits = 4 * np.eye(CLASSES)[true] + generator.normal(0, 1.2, (len(wrong), CLASSES))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.where(wrong, (true + generator.integers(1, CLASSES, len(wrong))) % CLASSES, true)
    return labels, probabilities.round(2).astype(np.float32)


@pytest.mark.parametrize("kind", ["forest", "neighbours", "rounded"])
def test_probabilities_of_zero_serve_as_well_as_in_cleanlab(kind: str) -> None:
    """At the temperature, as the audit does it; cleanlab takes the probabilities as they are."""
    wrong = np.random.default_rng(0).random(1797) < 0.05
    models = {"forest": RandomForestClassifier(40, random_state=0), "neighbours": KNeighborsClassifier(5)}
    labels, probabilities = rounded(wrong) if kind == "rounded" else with_exact_zeros(models[kind], wrong)
    assert (probabilities == 0).mean() > 0.1
    theirs = cleanlab_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    temperature = fit_temperature(labels, probabilities)
    ours = np.isin(np.arange(1797), find_label_issues(labels, with_temperature(probabilities, temperature)).rows)
    assert f1_score(wrong, ours) >= f1_score(wrong, theirs) > 0.7
