from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.inputs.duplicates import Duplicate
from hitofude.metrics.label_issues import find_label_issues
from hitofude.outputs.audit import LabelledRows, rank_hardness, write_duplicates, write_hardest, write_label_issues

LABELS = np.array([0, 1, 1, 0])
OUT_OF_FOLD = np.array([[0.9, 0.1], [0.8, 0.2], [np.nan, np.nan], [0.6, 0.4]], dtype=np.float32)
TRAIN = LabelledRows(np.array(["a", "b", "c", "d"]), LABELS, ("no", "yes"))


def test_the_hardest_come_first_and_rows_without_prediction_not_at_all() -> None:
    ranked = rank_hardness(LABELS, OUT_OF_FOLD)
    assert ranked.rows.tolist() == [1, 3, 0]
    assert ranked.predicted.tolist() == [0, 0, 0]
    assert ranked.losses == pytest.approx(-np.log([0.2, 0.6, 0.9]), rel=1e-5)


def test_the_hardest_have_label_answer_loss_disagreement_and_every_probability(tmp_path: Path) -> None:
    disagreement = np.array([0, 0.5, 0, 0], dtype=np.float32)
    write_hardest(tmp_path / "hardest.csv", TRAIN, rank_hardness(LABELS, OUT_OF_FOLD), disagreement)
    frame = pd.read_csv(tmp_path / "hardest.csv")
    assert frame.columns.tolist()[-2:] == ["probability_no", "probability_yes"]
    assert frame.iloc[0].tolist() == ["b", "yes", "no", 1.6094, 0.5, 0.8, 0.2]
    assert len(frame) == 3


def test_a_label_issue_names_both_labels_and_their_probabilities(tmp_path: Path) -> None:
    probabilities = np.array([[0.9, 0.1], [0.95, 0.05], [0.1, 0.9], [0.8, 0.2]], dtype=np.float32)
    issues = find_label_issues(LABELS, probabilities)
    write_label_issues(tmp_path / "issues.csv", TRAIN, issues, probabilities)
    assert pd.read_csv(tmp_path / "issues.csv").to_numpy().tolist() == [["b", "yes", "no", 0.05, 0.95, 0.0]]


def test_a_duplicate_names_both_images_and_a_test_image_has_no_label(tmp_path: Path) -> None:
    found = [Duplicate("train", 3, "train", 1, 0.0), Duplicate("test", 0, "train", 2, 1.25)]
    write_duplicates(tmp_path / "duplicates.csv", TRAIN, np.array(["t1"]), found)
    frame = pd.read_csv(tmp_path / "duplicates.csv", keep_default_na=False)
    assert frame.to_numpy().tolist() == [
        ["train", "d", "no", "train", "b", "yes", 0.0],
        ["test", "t1", "", "train", "c", "yes", 1.25],
    ]
