"""Where the ink is in a picture: under uneven light, in any colour, darker or lighter than its ground."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

SMALL = 256
"""The ground is looked for in the picture reduced to this."""
THICKEST = 0.4
"""No stroke is thicker than this share of the picture's shorter side."""
DARKEST = 0.03
"""Added to the ground's brightness, 0..1, before dividing by it: black has noise but no light."""
FAINTEST = 0.06
"""The least contrast of ink, where 1 is black on white."""
NOISES = 6
"""How many standard deviations of the ground's noise the faintest ink is away from it."""
FADED = 0.5
"""Fainter parts of a stroke count from this share of the threshold."""

Plane = NDArray[np.float32]  # (H, W)


@dataclass(frozen=True, eq=False)
class Ink:
    """What was found in a picture."""

    contrast: Plane  # (H, W) from 0, the ground, up
    mask: NDArray[np.bool_]  # (H, W) where strokes are


def find_ink(pixels: NDArray[np.uint8]) -> Ink | None:
    """pixels: (H, W, 3). None where there is nothing but ground.

    The ground is what is left when everything thinner than a stroke can be is filled in (a morphological closing
    where ink is darker, an opening where it is lighter), which keeps the edges of shadows; the light on it is divided
    out. Each channel has a say as far as there is something in it. The threshold is Otsu's, of the neighbourhood of
    what may be ink, so that the size of the sheet does not matter; fainter strokes follow where they touch.
    """
    contrast = _contrast(pixels)
    low, quarter = np.quantile(contrast, [0.05, 0.25])
    noise = float(quarter - low)  # of a normal distribution they lie 0.97 deviations apart, however much ink there is
    contrast = (contrast - (quarter + 0.67 * noise)).clip(min=0)
    floor = max(NOISES * noise, FAINTEST)
    around = ndimage.binary_dilation(contrast > floor, iterations=2)
    if not (contrast > floor).any():
        return None
    threshold = max(_otsu(contrast[around]), floor)
    strong, weak = contrast > threshold, contrast > max(FADED * threshold, floor)
    mask = ndimage.binary_propagation(strong, mask=weak, structure=np.ones((3, 3)))
    return Ink(contrast, mask)


def _contrast(pixels: NDArray[np.uint8]) -> Plane:
    """(H, W) how far each pixel is from its ground, where the light falls as it does on most of the ground."""
    planes, energies = [], []
    is_grey = bool((pixels == pixels[..., :1]).all())
    for channel in np.moveaxis(pixels[..., :1] if is_grey else pixels, 2, 0):
        plane = channel.astype(np.float32) / 255
        ground, sign = _ground(plane)
        light = ground + DARKEST
        difference = sign * (plane - ground) * (np.median(light) / light)
        planes.append(difference)
        energies.append(float((difference.clip(min=0) ** 2).mean()) + 1e-12)
    weights = np.asarray(energies, dtype=np.float32) / np.float32(sum(energies))
    contrast: Plane = np.tensordot(weights, np.stack(planes), axes=1)
    return contrast


def _ground(plane: Plane) -> tuple[Plane, int]:
    """(H, W) the ground, and whether ink is darker (−1) or lighter (1) than it: of both grounds the more even one."""
    height, width = plane.shape
    step = -(-max(height, width) // SMALL)
    small = _reduced(plane, step)
    window = max(3, round(THICKEST * min(small.shape)) | 1)
    padded, inner = np.pad(small, window, mode="edge"), (slice(window, -window), slice(window, -window))
    closed, opened = ndimage.grey_closing(padded, window)[inner], ndimage.grey_opening(padded, window)[inner]
    found, sign = (closed, -1) if _unevenness(closed) <= _unevenness(opened) else (opened, 1)
    smooth = ndimage.gaussian_filter(found, window / 12)
    whole = Image.fromarray(smooth).resize((small.shape[1] * step, small.shape[0] * step), Image.Resampling.BILINEAR)
    ground: Plane = np.asarray(whole)[:height, :width]
    return ground, sign


def _unevenness(ground: Plane) -> float:
    """How much it changes from pixel to pixel: the wrong ground has edges where ink is, shadows are in both."""
    return float((np.diff(ground, axis=0) ** 2).sum() + (np.diff(ground, axis=1) ** 2).sum())


def _reduced(plane: Plane, step: int) -> Plane:
    """Resources of squares of step × step; what is missing at the edge goes on as the edge is."""
    if step == 1:
        return plane
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % step), (0, -width % step)), mode="edge")
    means: Plane = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).mean(axis=(1, 3))
    return means


def _otsu(values: Plane) -> float:
    """The threshold that parts values into two groups as far apart as can be (N. Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * middles)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(middles[np.nanargmax(apart)])
