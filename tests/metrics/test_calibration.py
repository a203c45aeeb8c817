"""Temperature: found again where it is known, and of no consequence for the answer."""

import numpy as np
import pytest

from hitofude.metrics.calibration import fit_temperature, with_temperature


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
