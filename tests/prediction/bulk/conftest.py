"""Shards of several kinds, one of them longer than a block."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.inputs.image_set import ImageSet
from tests.inputs.test_blocks import frame_of

LONG = 4_200


@pytest.fixture(scope="session")
def shards(digits: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shards; tests change only copies."""
    folder = tmp_path_factory.mktemp("shards 一筆")
    rows = np.random.default_rng(0).integers(0, len(digits), LONG)
    frame_of(digits.take(rows)).to_parquet(folder / "long.parquet")
    frame_of(digits.take(rows[:200]), np.arange(200).astype(str)).to_csv(folder / "named.csv", index=False)
    frame_of(digits.take(rows[200:300])).assign(label="7").to_csv(folder / "packed.csv.gz", index=False)
    np.savez(folder / "arrays.npz", images=digits.images[:150])
    return folder


def read_predictions(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"id": str, "label": str}) if path.suffix == ".csv" else pd.read_parquet(path)


def inodes(folder: Path) -> dict[str, tuple[int, int]]:
    """Return a value for each file of predictions that changes when it is written again."""
    found = {path.name: path.stat() for path in folder.glob("[!._]*")}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}
