"""The probability that a label is wrong: strong and weak simulated models, right and wrong labels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.label_issues import LabelIssues, describe_issues, find_label_issues
from hitofude.metrics.label_noise import probabilities_of_error

CLASSES = 10
Labels = NDArray[np.int64]


def predict(true: Labels, sureness: float, seed: int) -> NDArray[np.float32]:
    """(N, classes) calibrated probabilities of a model that errs on hard images; sureness: 12 for 0.98, 5 for 0.9."""
    generator = np.random.default_rng(seed)
    ease = sureness * generator.beta(2, 1, len(true))
    logits = ease[:, None] * np.eye(CLASSES)[true] + generator.normal(0, 1, (len(true), CLASSES))
    powers = np.exp(logits)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def audit(labels: Labels, probabilities: NDArray[np.float32]) -> LabelIssues:
    return find_label_issues(labels, with_temperature(probabilities, fit_temperature(labels, probabilities)))


@pytest.mark.parametrize("seed", range(3))
def test_of_a_weak_model_with_right_labels_none_is_probably_wrong(seed: int) -> None:
    true = np.random.default_rng(seed).integers(0, CLASSES, 1000)
    probabilities = predict(true, 5, seed)
    assert 0.8 < (probabilities.argmax(axis=1) == true).mean() < 0.95
    found = audit(true, probabilities)
    assert len(found) > 10
    assert (found.probable, round(found.expected)) == (0, 0)


@pytest.mark.parametrize(("sureness", "least_found"), [(12, 0.75), (5, 0.25)])
def test_of_wrong_labels_anywhere_those_called_so_are_wrong(sureness: float, least_found: float) -> None:
    generator = np.random.default_rng(7)
    true = generator.integers(0, CLASSES, 3000)
    is_wrong = generator.random(3000) < 0.03
    labels = np.where(is_wrong, (true + generator.integers(1, CLASSES, 3000)) % CLASSES, true)
    found = audit(labels, predict(true, sureness, 8))
    called = is_wrong[found.rows[found.wrong >= 0.5]]
    assert called.mean() > 0.8
    assert called.sum() > least_found * is_wrong.sum()
    assert found.expected == pytest.approx(is_wrong[found.rows].sum(), rel=0.35)


def test_labels_of_one_class_that_are_wrong_in_one_way_are_found() -> None:
    """A third of the 4s is called 9, and the model half believes it."""
    generator = np.random.default_rng(3)
    true = generator.integers(0, CLASSES, 4000)
    is_wrong = (true == 4) & (generator.random(4000) < 0.3)
    probabilities = predict(true, 12, 4)
    moved = np.where(true == 4, 0.3 * probabilities[:, 4], 0).astype(np.float32)
    probabilities[:, 4] -= moved
    probabilities[:, 9] += moved
    found = audit(np.where(is_wrong, 9, true), probabilities)
    called = is_wrong[found.rows[found.wrong >= 0.5]]
    assert called.mean() > 0.9
    assert called.sum() > 0.6 * is_wrong.sum()


def test_a_label_that_the_model_predicts_is_not_wrong() -> None:
    labels = np.arange(30) % 3
    assert not probabilities_of_error(labels, np.eye(3, dtype=np.float32)[labels]).any()


@pytest.mark.parametrize("classes", [2, 3])
def test_few_rows_and_two_classes_have_probabilities_too(classes: int) -> None:
    labels = np.arange(6) % classes
    probabilities = np.full((6, classes), 1 / classes, dtype=np.float32)
    found = probabilities_of_error(labels, probabilities)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_numbers_are_put_into_words() -> None:
    assert describe_issues(0, 0, 0) == "no label suspected"
    assert describe_issues(25, 0, 0.1).startswith("25 suspected, but these rows do not tell")
    assert describe_issues(9, 1, 3.4) == "1 label probably wrong; 9 suspected, of which about 3 are wrong"
