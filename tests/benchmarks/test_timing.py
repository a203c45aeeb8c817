"""Rates are medians of rounds in turn, and the table shows their ratios."""

from types import SimpleNamespace

import pytest
from benchmarks.timing import Note, Row, against, format_table, rates


def test_the_ratio_is_that_of_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def take(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr("benchmarks.timing.time", SimpleNamespace(perf_counter=lambda: now))
    found = rates({"ours": lambda: take(0.25), "theirs": lambda: take(0.75)}, amount=3, rounds=3)
    (row,) = against("sleeping", "naps/s", found)
    assert (row.than, row.ours, row.theirs, row.ratio) == ("theirs", 12, 4, 3)


def test_the_ways_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    rates({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, amount=1, rounds=2)
    assert calls == ["a", "b"] * 3


def test_the_table_has_a_line_a_row_and_notes_below() -> None:
    table = format_table([Row("reading", "MB/s", 250, "pandas", 100), Note("prediction", "pip install onnx")])
    assert table.splitlines()[1].split() == ["reading", "250", "MB/s", "pandas", "100", "2.50"]
    assert table.splitlines()[-1] == "prediction: pip install onnx"
