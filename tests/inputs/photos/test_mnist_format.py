"""A digit is scaled to the box and placed by its centre of mass; thin strokes become as thick as MNIST's."""

import numpy as np
import pytest
from scipy import ndimage

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.photos.mnist_format import to_image


def bar(height: int, width: int) -> np.ndarray:
    return np.ones((height, width), dtype=bool)


def ring(side: int, stroke: int) -> np.ndarray:
    mask = np.ones((side, side), dtype=bool)
    mask[stroke:-stroke, stroke:-stroke] = False
    return mask


def made(mask: np.ndarray, shape: tuple[int, int] = (28, 28)) -> np.ndarray:
    return to_image(mask.astype(np.float32), mask, shape)


@pytest.mark.parametrize("mask", [bar(80, 30), bar(30, 80), ring(60, 8), np.tri(70, 50, dtype=bool)])
def test_the_longer_side_fills_the_box_and_proportions_stay(mask: np.ndarray) -> None:
    image = made(mask)
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert max(height, width) == 20
    assert height / width == pytest.approx(mask.shape[0] / mask.shape[1], rel=0.08)


def test_the_centre_of_mass_is_in_the_middle() -> None:
    image = made(np.tri(70, 50, dtype=bool))
    assert ndimage.center_of_mass(image) == pytest.approx((13.5, 13.5), abs=0.51)


def test_mnists_own_digits_are_reproduced(digits: ImageSet) -> None:
    likeness = []
    for image in digits.images[:40, 0]:
        large = ndimage.zoom(image.astype(np.float32) / 255, 6, order=1)
        rows, columns = np.nonzero(large > 0.5)
        cut = large[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        again = to_image(cut, cut > 0.2, (28, 28))
        moved = [np.roll(again, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        likeness.append(max(np.corrcoef(view.ravel(), image.ravel())[0, 1] for view in moved))
    assert np.median(likeness) > 0.9
    assert min(likeness) > 0.7


def test_thin_strokes_become_as_thick_as_mnists_and_thick_ones_stay() -> None:
    thin, usual, thick = (made(ring(200, stroke)).sum() / 255 for stroke in (4, 25, 50))
    assert thin == pytest.approx(usual, rel=0.15)
    assert thick > 1.5 * usual


def test_faint_ink_becomes_white() -> None:
    mask = ring(60, 8)
    assert np.array_equal(to_image(0.2 * mask.astype(np.float32), mask, (28, 28)), made(mask))


@pytest.mark.parametrize("shape", [(40, 40), (64, 32), (14, 14)])
def test_other_image_sizes_have_the_same_proportions(shape: tuple[int, int]) -> None:
    image = made(ring(60, 8), shape)
    assert image.shape == shape
    extent = np.ptp(np.flatnonzero(image.any(axis=1))) + 1
    assert extent == pytest.approx(20 / 28 * min(shape), abs=1)
