"""Ink is found under uneven light, in any colour, darker or lighter than the background, and not on an empty sheet."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from hitofude.inputs.photos.ink import find_ink

STROKES = np.zeros((120, 160), dtype=bool)
STROKES[30:90, 40:48] = STROKES[30:38, 40:80] = STROKES[50:58, 100:130] = True
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def painted(ink: tuple[int, ...], background: tuple[int, ...], light: np.ndarray | float = 1.0) -> np.ndarray:
    """Draw the strokes in a colour on a background, under a light: (120, 160, 3)."""
    colours = np.where(STROKES[..., None], ink, background) * np.asarray(light)[..., None]
    return colours.round().astype(np.uint8)


@pytest.mark.parametrize(
    ("ink", "background"),
    [
        (BLACK, WHITE), (WHITE, BLACK), ((30, 40, 140), (240, 235, 220)), ((220, 220, 210), (40, 70, 50)),
        ((255, 255, 0), WHITE), ((200, 60, 60), (60, 150, 60)), ((150, 150, 150), (200, 200, 200)),
    ],
)  # fmt: skip
def test_strokes_are_found_in_any_colour(ink: tuple[int, ...], background: tuple[int, ...]) -> None:
    found = find_ink(painted(ink, background))
    assert found is not None
    assert np.array_equal(found.mask, STROKES)


@pytest.mark.parametrize(("ink", "background"), [((40, 40, 45), (230, 225, 215)), ((225, 222, 212), (40, 60, 50))])
def test_uneven_light_and_the_edge_of_a_shadow_change_nothing(
    ink: tuple[int, ...], background: tuple[int, ...]
) -> None:
    rows, columns = np.mgrid[0:1:120j, 0:1:160j]
    slope = 0.4 + 0.6 * (rows + columns) / 2
    shadow = ndimage.gaussian_filter(np.where(columns + 0.3 * rows > 0.7, 0.45, 1.0), 2)
    for light in (slope, shadow):
        found = find_ink(painted(ink, background, light))
        assert found is not None
        assert (found.mask != STROKES).mean() < 0.002


def test_noise_is_not_ink() -> None:
    noisy = painted((60, 60, 60), (210, 210, 210)) + np.random.default_rng(0).normal(0, 8, (120, 160, 3))
    found = find_ink(noisy.clip(0, 255).astype(np.uint8))
    assert found is not None
    assert (found.mask != STROKES).mean() < 0.005


@pytest.mark.parametrize("digit", list("0123456789"))
def test_a_bold_digit_that_fills_its_picture_is_ink(digit: str) -> None:
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf")
    canvas = Image.new("L", (200, 200))
    ImageDraw.Draw(canvas).text((50, 50), digit, fill=255, font=ImageFont.truetype(path, 100))
    left, top, right, bottom = canvas.getbbox() or (0, 0, 0, 0)
    mask = np.asarray(canvas.crop((left - 3, top - 3, right + 3, bottom + 3)))
    for picture in (mask, 255 - mask):
        found = find_ink(picture[..., None].repeat(3, axis=2))
        assert found is not None
        assert (found.mask == (mask > 127)).mean() > 0.9


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_there_is_no_ink_on_an_empty_sheet(grey: int) -> None:
    assert find_ink(np.full((120, 160, 3), grey, dtype=np.uint8)) is None


def test_faint_pixels_are_ink_only_if_connected_to_a_stroke() -> None:
    pixels = painted((40, 40, 40), (240, 240, 240))
    pixels[90:100, 40:48] = 130
    pixels[110, :] = 200
    found = find_ink(pixels)
    assert found is not None
    assert found.mask[90:100, 40:48].all()
    assert not found.mask[110].any()
