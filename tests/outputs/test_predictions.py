from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.errors import InputError
from hitofude.outputs import predictions
from hitofude.outputs.predictions import write_predictions, writing_predictions

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


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("block", [1, 40, 1000])
def test_written_block_by_block_it_holds_the_same(
    ending: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "ROW_GROUP_BYTES", 100 * 3 * 4)
    ids = np.arange(250).astype(str)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), len(ids)).astype(np.float32)
    whole, streamed = tmp_path / f"whole{ending}", tmp_path / f"streamed{ending}"
    write_predictions(whole, ids, probabilities, ("猫", "dog", "a,b"))
    with writing_predictions(streamed, ("猫", "dog", "a,b")) as write_block:
        for start in range(0, len(ids), block):
            write_block(ids[start : start + block], probabilities[start : start + block])
    read = pd.read_csv if ending == ".csv" else pd.read_parquet
    pd.testing.assert_frame_equal(read(streamed), read(whole), check_exact=True)
    assert ending == ".parquet" or streamed.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_where_a_block_fails_nothing_is_left(ending: str, tmp_path: Path) -> None:
    def write() -> None:
        with writing_predictions(tmp_path / f"p{ending}", ("cat", "dog")) as write_block:
            write_block(IDS, PROBABILITIES)
            write_block(IDS, PROBABILITIES[:1])

    with pytest.raises(ValueError, match=r"shorter|length"):
        write()
    assert not list(tmp_path.iterdir())
