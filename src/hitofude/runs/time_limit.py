"""The limit on the time of a whole run, counted from the start of the command."""

import re
import time
from dataclasses import dataclass, field

from hitofude.errors import RecipeError

FORMS = "90s, 10m, 1h30m or 2h"
UNITS = {"h": 3600, "m": 60, "s": 1}
LONGEST = 1000 * 3600.0


@dataclass(frozen=True)
class TimeLimit:
    """A number of seconds, and the moment from which they count."""

    seconds: float
    started: float = field(default_factory=time.monotonic)
    """By time.monotonic."""

    @classmethod
    def parse(cls, limit: "str | float | TimeLimit") -> "TimeLimit":
        """Read `90s`, `10m`, `1h30m`, or a number of seconds; the limit counts from now, unless it is one already.

        Raises RecipeError for other text, for a number as text, whose unit could be either, and out of range.
        """
        if isinstance(limit, TimeLimit):
            return limit
        seconds = _parse(limit) if isinstance(limit, str) else limit
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST:
            raise RecipeError(f"--time-limit {limit}: expected from 1s to 1000h, such as {FORMS}.")
        return cls(float(seconds))

    def __str__(self) -> str:
        """The shortest text of the limit: `10m`."""
        return duration(self.seconds).replace(" ", "")

    def spent(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started


def _parse(text: str) -> float:
    """'1h30m' → 5400"""
    if re.fullmatch(r"\d+", text):
        raise RecipeError(f"--time-limit {text} has no unit. Write {text}s for seconds, or {text}m for minutes.")
    found = re.fullmatch(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s)?", text)
    if not text or not found:
        raise RecipeError(f"--time-limit {text}: expected hours, minutes and seconds, such as {FORMS}.")
    return sum(int(number) * size for number, size in zip(found.groups(), UNITS.values(), strict=True) if number)


def duration(seconds: float) -> str:
    """Return hours, minutes and whole seconds without those that are 0: `1h 30m`, `8m 20s`."""
    left, parts = round(seconds), list[str]()
    for unit, size in UNITS.items():
        count, left = divmod(left, size)
        parts += [f"{count}{unit}"] if count else []
    return " ".join(parts) or "0s"


def about(seconds: float) -> str:
    """Return a duration as precisely as an estimate deserves: `45s`, `8m 20s`, `2h 10m`."""
    step = next(step for step, below in ((1, 60), (10, 1200), (60, 7200), (600, float("inf"))) if seconds < below)
    return duration(max(1, step * round(seconds / step)))
