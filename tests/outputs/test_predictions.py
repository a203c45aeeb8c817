from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.errors import InputError
from hitofude.outputs.predictions import write_predictions

IDS = np.array(["x", "y"])
PROBABILITIES = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)


def test_csv_holds_id_label_and_a_probability_a_class(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", IDS, PROBABILITIES, ("cat", "dog"))
    frame = pd.read_csv(tmp_path / "p.csv")
    assert frame.columns.tolist() == ["id", "label", "probability_cat", "probability_dog"]
    assert frame["label"].tolist() == ["dog", "cat"]
    assert frame.iloc[:, 2:].to_numpy() == pytest.approx(PROBABILITIES)


def test_npz_holds_ids_labels_probabilities_and_classes(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.npz", IDS, PROBABILITIES, ("cat", "dog"))
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == ["x", "y"]
        assert arrays["labels"].tolist() == ["dog", "cat"]
        assert np.array_equal(arrays["probabilities"], PROBABILITIES)
        assert arrays["classes"].tolist() == ["cat", "dog"]


def test_parquet_holds_the_columns_of_the_csv(tmp_path: Path) -> None:
    for name in ("p.csv", "p.parquet"):
        write_predictions(tmp_path / name, IDS, PROBABILITIES, ("cat", "dog"))
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "p.parquet"), pd.read_csv(tmp_path / "p.csv"), check_dtype=False, check_exact=False
    )


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.csv, \.npz, \.parquet"):
        write_predictions(tmp_path / "p.xlsx", IDS, PROBABILITIES, ("cat", "dog"))
