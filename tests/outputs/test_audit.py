from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.inputs.image_set import ImageSet
from hitofude.outputs.audit import rank_hardness, write_hardest

LABELS = np.array([0, 1, 1, 0])
OUT_OF_FOLD = np.array([[0.9, 0.1], [0.8, 0.2], [np.nan, np.nan], [0.6, 0.4]], dtype=np.float32)


def test_the_hardest_come_first_and_rows_without_prediction_not_at_all() -> None:
    ranked = rank_hardness(LABELS, OUT_OF_FOLD)
    assert ranked.rows.tolist() == [1, 3, 0]
    assert ranked.predicted.tolist() == [0, 0, 0]
    assert ranked.losses == pytest.approx(-np.log([0.2, 0.6, 0.9]), rel=1e-5)


def test_the_csv_names_the_image_and_both_labels(tmp_path: Path) -> None:
    images = ImageSet(np.zeros((4, 1, 2, 2), np.uint8), LABELS, np.array(["a", "b", "c", "d"]), ("no", "yes"))
    write_hardest(tmp_path / "hardest.csv", images, rank_hardness(LABELS, OUT_OF_FOLD))
    frame = pd.read_csv(tmp_path / "hardest.csv")
    assert frame.iloc[0].tolist() == ["b", "yes", "no", 1.6094, 0.2, 0.8]
    assert len(frame) == 3
