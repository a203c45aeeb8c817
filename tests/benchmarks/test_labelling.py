"""The benchmark of labelling: rounds that continue, and the labels needed between two of them."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks import labelling
from benchmarks.labelling import START, Rounds, at_random, by_margin, labels_needed


class Known(Rounds):
    """Rounds whose accuracies are known."""

    def __init__(self, accuracies: dict[int, float]) -> None:
        self._accuracies = accuracies

    def accuracy(self, way: str, seed: int, labels: int) -> float:
        return self._accuracies[labels] + (0.01 if seed else -0.01)


def test_the_labels_needed_lie_between_the_last_two_rounds() -> None:
    rounds = Known({50: 0.90, 100: 0.96, 150: 0.98, 200: 0.5})
    assert labels_needed(rounds, "next", 2, 50, 0.97) == pytest.approx(125)
    assert labels_needed(rounds, "next", 2, 50, 0.90) == 50


def test_a_target_out_of_reach_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling, "MOST", 100)
    with pytest.raises(SystemExit, match=r"next: 0\.99 was not reached"):
        labels_needed(Known({50: 0.90, 100: 0.96}), "next", 2, 50, 0.99)


def test_a_training_is_kept_and_its_images_are_labelled_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    class Guess:
        def __init__(self, *_: object, **__: object) -> None: ...

        def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
            trained.append(len(images))

        def predict_proba(self, images: np.ndarray) -> np.ndarray:
            return np.full((len(images), 10), 0.1, dtype=np.float32)

        def predict(self, images: np.ndarray) -> np.ndarray:
            return np.zeros(len(images), dtype=np.int64)

    monkeypatch.setattr("hitofude.HitofudeClassifier", Guess)
    state = tmp_path / "state.json"
    rounds = Rounds(state, 50)
    for labels in (START, START + 50):
        assert rounds.accuracy("random", 0, labels) == pytest.approx(0.1)
    assert Rounds(state, 50).accuracy("random", 0, START + 50) == pytest.approx(0.1)
    assert trained == [50, 100]
    rows = rounds._labelled("random", 0, START + 50)
    assert len(set(rows.tolist())) == 100


def test_ways_ask_for_as_many_as_they_should_each_once() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 300).astype(np.float32)
    assert len(set(at_random(probabilities, 50, 1).tolist())) == 50
    first = by_margin(probabilities, 1, 0)[0]
    two = np.sort(probabilities, axis=1)[:, -2:]
    assert first == (two[:, 1] - two[:, 0]).argmin()
