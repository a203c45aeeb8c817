"""Every valid variant of the files that people have is read with its right content."""

from pathlib import Path

import pytest
from benchmarks.variants import VARIANTS, Digits, fault_of, small_digits


@pytest.fixture(scope="module")
def some_digits() -> Digits:
    return small_digits()


@pytest.mark.parametrize("name", VARIANTS)
def test_a_valid_variant_is_read_right(name: str, some_digits: Digits, tmp_path: Path) -> None:
    assert fault_of(VARIANTS[name](tmp_path, some_digits), "", 0) is None
