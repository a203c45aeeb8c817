"""Well-known data sets, rebuilt small in the layout in which they are downloaded, read by the commands of the docs."""

import re
import shlex
from pathlib import Path

import pytest
from benchmarks.variants import parts
from benchmarks.variants.variant import Digits, fault_of, small_digits

from tests.conftest import Call

DOCS = Path(__file__).parents[1] / "docs" / "data-sets.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split(" | ")]
    for line in DOCS.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \S.*`hitofude run ", line)
]
WORDS = ["images      ", "look        ", "scale       ", "training    ", "to predict  "]
"""Size, ground, scale, classes and split."""


@pytest.fixture(scope="module")
def digits() -> Digits:
    return small_digits()


def test_the_table_has_at_least_25_data_sets_each_once() -> None:
    names = [row[0] for row in ROWS]
    assert len(names) == len(set(names)) >= 25
    assert set(names) <= parts.VARIANTS.keys()


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_command_of_a_data_set_reads_it_right_and_says_how(
    row: list[str], digits: Digits, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, _, command, says = (*row, "")[:4]
    variant = parts.VARIANTS[name](tmp_path, digits)
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command.strip("`"))[2:]
    code, out, err = call("data", "check", *arguments)
    assert (code, err) == (0, "")
    assert all(word in out for word in WORDS)
    for phrase in re.findall(r"`(.+?)`", says):
        assert phrase in out
    assert fault_of(variant, out, code) is None


@pytest.mark.parametrize("name", sorted(parts.VARIANTS.keys() - {row[0] for row in ROWS}))
def test_layouts_of_the_same_kinds_are_read_right(name: str, digits: Digits, tmp_path: Path) -> None:
    assert fault_of(parts.VARIANTS[name](tmp_path, digits), "", 0) is None


def test_nothing_that_is_not_read_goes_unnamed(digits: Digits, tmp_path: Path, call: Call) -> None:
    variant = parts.kannada(tmp_path, digits)
    _, out, _ = call("data", "check", variant.source)
    assert [line for line in out.splitlines() if line.startswith("left aside")] == ["left aside  Dig-MNIST.csv"]
