"""The text of a time limit, durations, and the time until several workers are done."""

import time

import pytest

from hitofude.errors import RecipeError
from hitofude.runs.time_limit import TimeLimit, about, duration


@pytest.mark.parametrize(
    ("limit", "seconds", "text"),
    [("90s", 90, "1m30s"), ("10m", 600, "10m"), ("1h30m", 5400, "1h30m"), ("2h", 7200, "2h"), (600, 600, "10m")],
)
def test_hours_minutes_and_seconds_are_read(limit: str | float, seconds: float, text: str) -> None:
    found = TimeLimit.parse(limit)
    assert (found.seconds, str(found)) == (seconds, text)


@pytest.mark.parametrize("limit", ["", "10 m", "m", "ten", "1.5h", "30m1h", "-5m", "0s", 0, -1, float("nan"), "9999h"])
def test_anything_else_is_refused_with_the_forms(limit: str | float) -> None:
    with pytest.raises(RecipeError, match="such as 90s, 10m, 1h30m or 2h"):
        TimeLimit.parse(limit)


def test_a_number_without_a_unit_is_refused_with_both() -> None:
    with pytest.raises(RecipeError, match=r"Write 10s for seconds, or 10m for minutes"):
        TimeLimit.parse("10")


def test_a_limit_counts_from_when_it_was_first_read() -> None:
    first = TimeLimit(60, started=time.monotonic() - 5)
    assert 5 <= TimeLimit.parse(first).spent() < 60


@pytest.mark.parametrize(
    ("seconds", "exactly", "roughly"),
    [(0.4, "0s", "1s"), (44.6, "45s", "45s"), (497, "8m 17s", "8m 20s"), (7800, "2h 10m", "2h 10m")],
)
def test_durations_are_text(seconds: float, exactly: str, roughly: str) -> None:
    assert (duration(seconds), about(seconds)) == (exactly, roughly)
