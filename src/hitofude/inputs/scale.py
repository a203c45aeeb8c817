"""The scale of pixels: the numbers that are black and white, found from the whole training part.

numbers of the training part            black..white
whole, 0 to 255, the greatest above 127  0..255, the bytes unchanged
whole, 0 to at most 127                  0..the greatest: 0..1, 0..16 (scikit-learn), 0..100, 0..127
whole, 0 to more than 255                0..1023, 0..4095, 0..16383 or 0..65535 if more than half of it is reached
whole, -128 to 127                       -128..127 if more than half of it is reached on both sides
from 0 to 1, 0.5 exceeded                0..1
from -1 to 1, half exceeded both ways    -1..1
from 0 to 255, 127.5 exceeded            0..255
any others                               the least..the greatest

A few outliers, as behind scikit-learn's StandardScaler, would squeeze all others into a few levels of grey. So if the
0.1 % and 99.9 % quantiles of numbers other than bytes are within half of their range, the quantiles take the place of
the least and the greatest, and the numbers beyond are clipped. Bytes among which a few numbers are no bytes have wrong
values, which are refused; see hitofude.inputs.rescaling.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import RecipeError
from hitofude.language.translation import note

BITS = (10, 12, 14, 16)
"""The depths of cameras and scanners, besides 8."""
OUTLIERS = 0.001
"""The share of numbers that may be outliers, on each side."""
MOST_SAMPLED = 2_000_000
"""The numbers that quantiles are taken of, if there are more."""
AT_ONCE = 1 << 22
"""The numbers that are converted at once, so that there is no copy of all in 64 bits."""
ROUNDING = 1e-3
"""The share of a nominal range by which other programs' arithmetic may exceed it."""


@dataclass(frozen=True)
class PixelScale:
    """A linear map of numbers to bytes, `low` to 0 and `high` to 255; values outside are clipped.

    If `low` is greater than `high`, the images are inverted.
    """

    low: float
    high: float
    clips: bool = False
    """Whether a few of the numbers that it was found from lie beyond."""

    @classmethod
    def of(cls, values: NDArray[Any]) -> "PixelScale":
        """Find the scale of a whole training part, by the table above.

        values: any shape, numbers or booleans, finite; 0.0 … 255.0 of any type count as whole numbers.
        """
        return BYTES if values.size == 0 else _scale_of(_summarise(values), values)

    def to_bytes(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Numbers of any shape → uint8 of the same shape; 0 if `low` equals `high`."""
        if values.dtype == np.uint8 and self.is_bytes:
            return values
        found = np.empty(values.shape, dtype=np.uint8)
        written = found.reshape(-1)
        for start, chunk in _chunks(values):
            written[start : start + len(chunk)] = np.rint(255 * self.shares(chunk).clip(0, 1))
        return found

    def shares(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Numbers → 0 for black, 1 for white, less or more beyond; all 0 if `low` equals `high`."""
        halves = values.astype(np.float64) / 2  # high - low may overflow
        spread = self.high / 2 - self.low / 2
        return (halves - self.low / 2) / spread if spread else np.zeros_like(halves)

    @property
    def is_bytes(self) -> bool:
        return (self.low, self.high) == (0, 255)

    @property
    def is_standardised(self) -> bool:
        """Whether the numbers look like StandardScaler's: each pixel has its own scale, and some are far beyond."""
        return self.clips and self.low < 0

    def __str__(self) -> str:
        return f"{_short(self.low)}..{_short(self.high)}"

    def describe(self) -> str:
        """0..16; -2.1..7.4, numbers beyond are clipped"""
        return note("{scale}, numbers beyond are clipped", scale=self) if self.clips else str(self)


BYTES = PixelScale(0, 255)
"""The scale of whole numbers from 0 to 255."""


@dataclass(frozen=True)
class _Summary:
    least: float
    greatest: float
    are_whole: bool


def nominal_scale(dtype: np.dtype[Any]) -> PixelScale:
    """The scale that a picture's format means: 8 bits, 16 bits, or floats from 0 to 1."""
    if dtype == np.uint8:
        return BYTES
    return PixelScale(0, 1) if dtype.kind == "f" else PixelScale(0, 65535)


def parse_scale(text: str | None) -> tuple[float, float] | None:
    """'0..16' → (0, 16), '-1..1' → (-1, 1), '255..0' → (255, 0), which inverts. Raise RecipeError for anything else."""
    if text is None:
        return None
    number = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?"
    match = re.fullmatch(rf"({number})\.\.({number})", text, re.IGNORECASE)
    low, high = map(float, match.groups()) if match else (0.0, 0.0)
    if low == high:
        raise RecipeError(f"--scale {text}: expected LOW..HIGH, the numbers of black and white, such as 0..1 or 0..16.")
    return low, high


def describe_range(values: NDArray[Any]) -> str:
    """Say the least and the greatest number: `from 0 to 16`."""
    return f"from {_short(values.min())} to {_short(values.max())}"


def _short(number: float) -> str:
    return f"{float(number):.10g}" if float(number).is_integer() else f"{float(number):.4g}"


def _chunks(values: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    """The values in one dimension, some at once, each with its place."""
    flat = values.reshape(-1)
    for start in range(0, len(flat), AT_ONCE):
        yield start, flat[start : start + AT_ONCE]


def _summarise(values: NDArray[Any]) -> _Summary:
    are_whole = values.dtype.kind in "biu" or all(bool((chunk == np.rint(chunk)).all()) for _, chunk in _chunks(values))
    return _Summary(float(values.min()), float(values.max()), are_whole)


def _scale_of(found: _Summary, values: NDArray[Any]) -> PixelScale:
    low, high = found.least, found.greatest
    if found.are_whole and low >= 0 and high <= 255:
        return BYTES if high > 127 or high == 0 else PixelScale(0, high)
    inner_low, inner_high = _quantiles(values)
    clips = 0 < inner_high / 2 - inner_low / 2 < (high / 2 - low / 2) / 2
    if clips:
        low, high = inner_low, inner_high
    scale = _nominal_of_whole(low, high) if found.are_whole else _nominal_of_real(low, high)
    scale = scale or PixelScale(low, high)
    return PixelScale(scale.low, scale.high, clips)


def _nominal_of_whole(low: float, high: float) -> PixelScale | None:
    if -128 <= low < -64 and 63 < high <= 127:
        return PixelScale(-128, 127)
    if low < 0:
        return None
    return next((PixelScale(0, 2**k - 1) for k in BITS if 2 ** (k - 1) <= high < 2**k), PixelScale(0, high))


def _nominal_of_real(low: float, high: float) -> PixelScale | None:
    for bottom, top in ((0, 1), (-1, 1), (0, 255)):
        margin = ROUNDING * (top - bottom)
        reaches_below = low < bottom / 2 if bottom else low >= -margin
        if low >= bottom - margin and reaches_below and top / 2 < high <= top + margin:
            return PixelScale(bottom, top)
    return None


def _quantiles(values: NDArray[Any]) -> tuple[float, float]:
    """The 0.1 % and 99.9 % quantiles, of a sample if there are many numbers."""
    flat = values.reshape(-1)
    if len(flat) > MOST_SAMPLED:
        flat = flat[np.random.default_rng(0).integers(0, len(flat), MOST_SAMPLED)]
    low, high = np.quantile(flat.astype(np.float64) / 2, [OUTLIERS, 1 - OUTLIERS]) * 2
    return float(low), float(high)
