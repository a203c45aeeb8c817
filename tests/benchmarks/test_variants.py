"""Valid variants of tables and pictures are read with their right content; those of data sets: test_data_sets.py."""

from pathlib import Path

import pytest
from benchmarks.variants import VARIANTS, Digits, fault_of, parts, small_digits


@pytest.fixture(scope="module")
def some_digits() -> Digits:
    return small_digits()


@pytest.mark.parametrize("name", [name for name in VARIANTS if name not in parts.VARIANTS])
def test_a_valid_variant_is_read_right(name: str, some_digits: Digits, tmp_path: Path) -> None:
    assert fault_of(VARIANTS[name](tmp_path, some_digits), "", 0) is None
