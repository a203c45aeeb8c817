"""Auditing another program's predictions: labels and probabilities from files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset
from hitofude.outputs.predictions import write_predictions
from hitofude.runs.audit import audit_images, audit_labels, predictions_of_files

CLASSES = ("cat", "dog", "owl")
IDS = np.arange(1, 201).astype(np.str_)
TRUE = np.arange(200) % 3


def probabilities() -> NDArray[np.float32]:
    logits = 8 * np.eye(3)[TRUE] + np.random.default_rng(0).normal(0, 1, (200, 3))
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Labels in another order than the probabilities; the labels of the ids 1 to 5 are wrong."""
    labels = np.where(np.arange(200) < 5, (TRUE + 1) % 3, TRUE)
    lines = [f"{id},{CLASSES[label]}" for id, label in zip(IDS, labels, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["id,label", *reversed(lines)]) + "\n")
    write_predictions(tmp_path / "probabilities.csv", IDS, probabilities(), CLASSES)
    return tmp_path / "labels.csv", tmp_path / "probabilities.csv"


def test_wrong_labels_of_anybodys_probabilities_are_found(files: tuple[Path, Path], tmp_path: Path) -> None:
    text = audit_labels(predictions_of_files(*files), tmp_path)
    found = pd.read_csv(tmp_path / "label_issues.csv")
    assert len(set(found["id"]) & set(range(1, 6))) >= 4
    assert len(found) <= 6
    assert "of 200 labels: " in text
    assert f"{len(found)} suspected" in text
    assert len(pd.read_csv(tmp_path / "hardest.csv")) == 200


def test_an_npz_says_the_same_as_a_csv(files: tuple[Path, Path], tmp_path: Path) -> None:
    write_predictions(tmp_path / "same.npz", IDS, probabilities(), CLASSES)
    from_csv, from_npz = predictions_of_files(*files), predictions_of_files(files[0], tmp_path / "same.npz")
    assert from_csv.probabilities == pytest.approx(from_npz.probabilities, abs=1e-6)
    assert from_csv.rows.ids.tolist() == from_npz.rows.ids.tolist()


def test_ids_and_labels_are_compared_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("id,label\n0007,1.0\n8.0,00\n")
    (tmp_path / "p.csv").write_text("id,probability_0,probability_1\n8,0.75,0.25\n7,0.5,0.5\n")
    found = predictions_of_files(tmp_path / "labels.csv", tmp_path / "p.csv")
    assert found.rows.labels.tolist() == [1, 0]
    assert found.probabilities.tolist() == [[0.5, 0.5], [0.75, 0.25]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": np.array([{}], dtype=object)}, r"not an \.npz of plain arrays"),
        ({"ids": IDS}, "there is no array 'classes' in it"),
        (
            {"ids": IDS, "classes": CLASSES, "probabilities": np.ones((3, 2))},
            r"a class a column: \(200, 3\); found float64",
        ),
        ({"ids": IDS[:1], "classes": ["a", "b"], "probabilities": [[2.0, 0.0]]}, "probabilities from 0 to 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, object], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        predictions_of_files(tmp_path / "labels.csv", tmp_path / "p.npz")


@pytest.mark.parametrize(
    ("labels", "predicted", "message"),
    [
        ("id,label\n7,cat\n", "id,probability_cat,probability_dog\n8,0.5,0.5\n", "line 2: .* for the id '7'"),
        ("id,label\n7,owl\n", "id,probability_cat,probability_dog\n7,0.5,0.5\n", "line 2: .* of the label 'owl'"),
        ("id,label\n7,cat\n", "id,probability_cat,probability_dog\n7,0.5,1.5\n", "line 2: expected probabilities"),
        ("id,label\n7,cat\n", "id,probability_cat,probability_dog\n7,0.5,x\n", "line 2: expected probabilities"),
        ("id,label\n7,cat\n", "id,cat,dog\n7,0.5,0.5\n", "line 1: expected a column probability_CLASS"),
        ("id,label\n", "id,probability_cat,probability_dog\n7,0.5,0.5\n", "expected a row below the header"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_line(
    labels: str, predicted: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_text(labels)
    (tmp_path / "p.csv").write_text(predicted)
    with pytest.raises(InputError, match=message):
        predictions_of_files(tmp_path / "labels.csv", tmp_path / "p.csv")


def test_images_alone_are_compared_with_each_other(dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.test is not None
    leaking = replace(dataset, test=replace(dataset.test, images=dataset.train.images[:50]))
    text = audit_images(leaking, tmp_path)
    assert "50 to predict resemble a training image" in text
    assert len(pd.read_csv(tmp_path / "duplicates.csv")) == 50
