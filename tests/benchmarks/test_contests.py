"""hitofude beside other libraries."""

from pathlib import Path

from benchmarks.contests import reading


def test_reading_is_compared_with_pandas(files: Path) -> None:
    (row,) = reading(files / "train.csv")
    assert (row.than, row.unit) == ("pandas", "MB/s")
    assert row.ratio > 0
