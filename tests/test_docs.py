"""The documents speak of what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED_TESTS = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))


def test_the_table_of_cases_names_tests() -> None:
    assert len(NAMED_TESTS) > 50


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED_TESTS}))
def test_each_test_that_the_table_of_cases_names_is_there(file: str) -> None:
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")
    named = {name for other, name in NAMED_TESTS if other == file}
    assert named <= set(re.findall(r"^def (test_\w+)\(", text, re.MULTILINE))
