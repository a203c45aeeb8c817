"""Temperatures, found again if they are known, and sensible at the edges; confidence beside accuracy."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from hitofude.inputs.image_set import ImageSet
from hitofude.metrics.calibration import fill_zeros, fit_temperature, reliability, with_temperature
from hitofude.metrics.metrics import cross_entropy


def test_predictions_as_accurate_as_confident_are_calibrated() -> None:
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, 40_000)
    labels = (generator.random(40_000) > sure).astype(np.int64)
    probabilities = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    assert reliability(labels, probabilities).expected_calibration_error < 0.01
    assert reliability(1 - labels, probabilities).expected_calibration_error > 0.4


def test_groups_hold_every_row_with_its_confidence_and_accuracy() -> None:
    probabilities = np.array([[1.0, 0.0], [0.95, 0.05], [0.55, 0.45]], dtype=np.float32)
    found = reliability(np.array([0, 1, 0]), probabilities)
    assert found.rows == (0, 0, 0, 0, 0, 1, 0, 0, 0, 2)
    assert found.confidence[9] == pytest.approx(0.975)
    assert (found.accuracy[5], found.accuracy[9]) == (1.0, 0.5)


def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, and labels drawn by them."""
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet([0.5] * 4, count).astype(np.float32).clip(1e-6)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > generator.random((count, 1))).argmax(axis=1)
    return labels, probabilities


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    labels, calibrated = drawn(20_000)
    spoiled = with_temperature(calibrated, 1 / temperature)
    assert fit_temperature(labels, spoiled) == pytest.approx(temperature, rel=0.05)


def test_a_temperature_changes_no_answer_and_rows_sum_to_one() -> None:
    _, probabilities = drawn(100)
    cooler = with_temperature(probabilities, 0.5)
    assert np.array_equal(cooler.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(cooler.sum(axis=1), 1, rtol=1e-5)
    assert (cooler.max(axis=1) >= probabilities.max(axis=1) - 1e-6).all()


def test_a_probability_of_zero_is_no_trouble() -> None:
    assert with_temperature(np.array([[1, 0]], dtype=np.float32), 2.0) == pytest.approx(np.array([[1, 0]]))


def test_right_answers_alone_give_a_finite_temperature_and_leave_a_doubt() -> None:
    labels = np.arange(200) % 4
    probabilities = np.full((200, 4), 0.1, dtype=np.float32)
    probabilities[np.arange(200), labels] = 0.7
    calibrated = with_temperature(probabilities, fit_temperature(labels, probabilities))
    assert calibrated.max(axis=1).mean() == pytest.approx(200 / 201, abs=0.002)


def test_no_rows_leave_probabilities_as_they_are() -> None:
    assert fit_temperature(np.zeros(0, dtype=np.int64), np.zeros((0, 3), dtype=np.float32)) == 1


def test_zeros_become_half_the_smallest_other_probability() -> None:
    filled = fill_zeros(np.array([[1, 0, 0], [0.8, 0.2, 0]], dtype=np.float32))
    assert filled == pytest.approx(np.array([[1, 0.1, 0.1], [0.8, 0.2, 0.1]]) / [[1.2], [1.1]])


@pytest.mark.parametrize("model", [KNeighborsClassifier(5), RandomForestClassifier(30, random_state=0)])
def test_forests_and_neighbours_with_exact_zeros_get_a_sensible_temperature(
    model: KNeighborsClassifier | RandomForestClassifier, digits: ImageSet
) -> None:
    pixels, labels = digits.images.reshape(len(digits), -1), digits.known_labels()
    probabilities = cross_val_predict(model, pixels, labels, cv=3, method="predict_proba").astype(np.float32)
    assert (probabilities == 0).any()
    temperature = fit_temperature(labels, probabilities)
    confidence = with_temperature(fill_zeros(probabilities), temperature).max(axis=1).mean()
    accuracy = (probabilities.argmax(axis=1) == labels).mean()
    assert 0.2 < temperature < 3
    assert abs(confidence - accuracy) < 0.1


def test_rounding_changes_a_temperature_little() -> None:
    labels, calibrated = drawn(5_000)
    rounded = with_temperature(calibrated, 0.5).round(3)
    assert (rounded == 0).any()
    assert fit_temperature(labels, rounded) == pytest.approx(2, rel=0.1)


def test_a_fitted_temperature_is_the_best_for_the_log_loss() -> None:
    labels, calibrated = drawn(5_000)
    temperature = fit_temperature(labels, calibrated)
    losses = [
        cross_entropy(labels, with_temperature(calibrated, temperature * factor)).mean() for factor in (0.95, 1, 1.05)
    ]
    assert losses[1] == min(losses)


def test_a_likeliest_class_stays_the_likeliest_where_rounding_makes_two_equal() -> None:
    first = np.float32(0.4)
    second = np.nextafter(first, np.float32(1))
    probabilities = np.array([[first, second, 1 - first - second], [second, first, 1 - first - second]])
    hot = with_temperature(probabilities.astype(np.float32), 15.0)
    assert hot.argmax(axis=1).tolist() == [1, 0]


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 333).astype(np.float32)
    whole = with_temperature(probabilities, 0.4)
    assert np.array_equal(np.concatenate([with_temperature(row[None], 0.4) for row in probabilities]), whole)
