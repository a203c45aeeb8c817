"""The numbers that are black and white, found from all training images."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler

from hitofude.errors import RecipeError
from hitofude.inputs import scale as module
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.scale import BYTES, PixelScale, parse_scale

BYTE_VALUES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 7, 128], "0..255"),
        ([0.0, 7.0, 255.0], "0..255"),
        ([0, 0, 0], "0..255"),
        ([False, True], "0..1"),
        ([0, 1, 1], "0..1"),
        ([0, 3, 16], "0..16"),
        ([0, 100], "0..100"),
        ([0, 127], "0..127"),
        ([0, 256], "0..256"),
        ([0, 1000], "0..1023"),
        ([5, 3000], "0..4095"),
        ([0, 1300], "0..1300"),
        ([0, 40_000], "0..65535"),
        ([0, 70_000], "0..70000"),
        ([-128, 100], "-128..127"),
        ([-3, 200], "-3..200"),
        ([0.0, 0.25, 0.9], "0..1"),
        ([0.0, 0.25, 1.0001], "0..1"),
        ([0.0, 0.25], "0..0.25"),
        ([-0.9, 0.25, 1.0], "-1..1"),
        ([-0.5, 0.25, 0.5], "-0.5..0.5"),
        ([0.5, 200.0], "0..255"),
        ([-0.4242, 2.8215], "-0.4242..2.821"),
    ],
)
def test_the_scale_of_numbers(values: list[Any], expected: str) -> None:
    assert str(PixelScale.of(np.array(values))) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: pixels / 255,
        lambda pixels: (pixels - 127.5) / 127.5,
        lambda pixels: (pixels / 255 - 0.1307) / 0.3081,
        lambda pixels: (pixels / 255).astype(np.float16),
        lambda pixels: pixels.astype(np.int16) - 128,
        lambda pixels: pixels.astype(np.uint16) * 257,
    ],
)
def test_usual_scalings_of_bytes_are_undone(change: Any) -> None:
    changed = change(BYTE_VALUES)
    assert np.array_equal(PixelScale.of(changed).to_bytes(changed), BYTE_VALUES)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_the_bits_of_a_camera_are_a_scale(bits: int) -> None:
    values = np.arange(2**bits, dtype=np.uint16)
    expected = np.rint(values / (2**bits - 1) * 255)
    assert np.array_equal(PixelScale.of(values).to_bytes(values), expected)


def test_outliers_do_not_squeeze_all_others(digits: ImageSet) -> None:
    """Behind StandardScaler, a pixel that is black in nearly all images is far beyond all others in one."""
    standardised = StandardScaler().fit_transform(digits.images.reshape(len(digits), -1))
    scale = PixelScale.of(standardised)
    assert scale.clips
    assert scale.high < standardised.max() / 2
    assert (
        scale.to_bytes(standardised).std()
        > 2 * PixelScale(standardised.min(), standardised.max()).to_bytes(standardised).std()
    )


def test_one_outlier_among_fractions_leaves_their_scale_as_it_is() -> None:
    values = np.append(np.linspace(0, 1, 5000), 255.0)
    assert PixelScale.of(values) == PixelScale(0, 1, clips=True)


def test_scikit_learns_digits_are_from_0_to_16() -> None:
    assert str(PixelScale.of(load_digits().images)) == "0..16"


def test_bytes_are_not_copied() -> None:
    assert BYTES.to_bytes(BYTE_VALUES) is BYTE_VALUES


def test_many_numbers_are_converted_a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((7, 1, 5, 5)) * 300 - 20
    scale = PixelScale.of(values)
    at_once = scale.to_bytes(values)
    monkeypatch.setattr(module, "AT_ONCE", 9)
    assert np.array_equal(scale.to_bytes(values), at_once)
    assert PixelScale.of(np.rint(values)) == PixelScale(np.rint(values.min()), np.rint(values.max()))


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_order_is_kept_and_no_number_is_too_large(values: np.ndarray) -> None:
    found = PixelScale.of(values).to_bytes(values)
    assert (np.diff(found[np.argsort(values)].astype(int)) >= 0).all()


def test_numbers_beyond_the_scale_are_clipped() -> None:
    assert PixelScale(0, 1).to_bytes(np.array([-3.0, 0.5, 9.0])).tolist() == [0, 128, 255]
    assert PixelScale(0, 255).to_bytes(np.array([-3.0, 0.4, 300.0])).tolist() == [0, 0, 255]


def test_equal_numbers_become_black() -> None:
    assert not PixelScale.of(np.full(5, 0.3)).to_bytes(np.full(5, 0.3)).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("0..1", (0, 1)),
        ("-1..1", (-1, 1)),
        ("255..0", (255, 0)),
        ("0..1e3", (0, 1e3)),
        (".5..1.", (0.5, 1)),
    ],
)
def test_a_scale_is_typed_as_low_and_high(text: str | None, expected: tuple[float, float] | None) -> None:
    assert parse_scale(text) == expected


def test_a_scale_that_falls_inverts() -> None:
    assert np.array_equal(PixelScale(255, 0).to_bytes(BYTE_VALUES), 255 - BYTE_VALUES)


@pytest.mark.parametrize("text", ["", "1", "0-255", "0..0", "0..x", "0..inf"])
def test_any_other_scale_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"expected LOW\.\.HIGH"):
        parse_scale(text)
