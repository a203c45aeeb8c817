"""Draw images of the 26 capital letters from a seed: Matplotlib's fonts, slanted, turned, moved, blurred and noisy."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from benchmarks.written_digits import FONTS
from hitofude.inputs.image_set import ImageSet, row_numbers

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
SIDE, DRAWN = 28, 56


def draw_letters(count: int, seed: int) -> ImageSet:
    """Draw `count` letters, light on black, (count, 1, 28, 28) uint8, as even over the letters as possible."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(count) % len(LETTERS))
    images = np.stack([_draw(LETTERS[label], generator) for label in labels])[:, None]
    return ImageSet(images, labels.astype(np.int64), row_numbers(count), LETTERS)


def _draw(letter: str, generator: np.random.Generator) -> NDArray[np.uint8]:
    drawn = _glyph(letter, str(generator.choice(FONTS)))
    turn, slant = np.deg2rad(generator.normal(0, 12)), generator.normal(0, 0.25)
    scale = np.diag(DRAWN / SIDE / generator.uniform(0.7, 1.2, 2))
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0], [slant, 1]] @ scale
    moved = DRAWN / 2 - turned @ (np.full(2, SIDE / 2) + generator.normal(0, 2, 2))
    image = ndimage.affine_transform(drawn, turned, moved, (SIDE, SIDE), order=1)
    image = ndimage.gaussian_filter(image, generator.uniform(0.3, 1.3))
    noise = generator.normal(0, generator.uniform(5, 60), image.shape)
    pixels: NDArray[np.uint8] = (image * generator.uniform(0.5, 1) + noise).clip(0, 255).round().astype(np.uint8)
    return pixels


@cache
def _glyph(letter: str, font: str) -> NDArray[np.float64]:
    """(56, 56) the letter, upright and centred, 0..255."""
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf")
    canvas = Image.new("L", (DRAWN, DRAWN))
    drawing, face = ImageDraw.Draw(canvas), ImageFont.truetype(str(path), 44)
    drawing.text((DRAWN / 2, DRAWN / 2), letter, 255, font=face, anchor="mm")
    return np.asarray(canvas, dtype=np.float64)
