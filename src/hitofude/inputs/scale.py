"""The scale of pixels: which numbers are black and white."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import RecipeError


@dataclass(frozen=True)
class PixelScale:
    """A linear map of numbers to bytes, `low` to 0 and `high` to 255; values outside are clipped."""

    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> "PixelScale":
        """Fit a scale: the identity for integers from 0 to 255 that reach 128, else from the minimum to the maximum.

        values: any shape, numbers or booleans, finite; 0.0 … 255.0 of any type count as integers.
        """
        low, high = float(values.min()), float(values.max())
        if low >= 0 and 128 <= high <= 255 and bool((values == np.rint(values)).all()):
            return cls(0, 255)
        return cls(low, high)

    def to_bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Numbers of any shape → uint8 of the same shape; 0 if `low` equals `high`."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        halves = np.clip(values.astype(np.float64), self.low, self.high) / 2  # high - low may overflow
        spread = self.high / 2 - self.low / 2
        shares = (halves - self.low / 2) / spread if spread > 0 else np.zeros_like(halves)
        return np.rint(shares * 255).astype(np.uint8)


BYTES = PixelScale(0, 255)
"""The scale of whole numbers from 0 to 255."""


def parse_scale(text: str | None) -> tuple[float, float] | None:
    """'0..16' → (0, 16), '-1..1' → (-1, 1). Raise RecipeError for anything else."""
    if text is None:
        return None
    number = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
    match = re.fullmatch(rf"({number})\.\.({number})", text, re.IGNORECASE)
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    if low >= high:
        raise RecipeError(f"--scale {text}: expected LOW..HIGH, the numbers of black and white, such as 0..1 or 0..16.")
    return low, high
