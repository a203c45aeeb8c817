"""Rates are medians of rounds in turn, and the table shows their ratios."""

import time

import pytest
from benchmarks.timing import Note, Row, against, format_table, rates


def test_the_ratio_is_that_of_the_rates() -> None:
    found = rates({"ours": lambda: time.sleep(0.01), "theirs": lambda: time.sleep(0.03)}, amount=3, rounds=3)
    (row,) = against("sleeping", "naps/s", found)
    assert row.than == "theirs"
    assert row.ratio == pytest.approx(3, rel=0.3)


def test_the_ways_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    rates({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, amount=1, rounds=2)
    assert calls == ["a", "b"] * 3


def test_the_table_has_a_line_a_row_and_notes_below() -> None:
    table = format_table([Row("reading", "MB/s", 250, "pandas", 100), Note("prediction", "pip install onnx")])
    assert table.splitlines()[1].split() == ["reading", "250", "MB/s", "pandas", "100", "2.50"]
    assert table.splitlines()[-1] == "prediction: pip install onnx"
