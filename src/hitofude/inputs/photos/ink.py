"""Find the ink in a picture: under uneven light, in any colour, darker or lighter than the background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

REDUCED_SIDE = 256  # the longer side, in pixels, of the picture that the background is estimated in
MAX_STROKE = 0.4  # the thickest stroke, as a share of the picture's shorter side
MIN_LIGHT = 0.03  # added to the background's brightness, 0..1, before dividing by it: black has noise but no light
MIN_CONTRAST = 0.06  # of ink; black on white has 1
MIN_DEVIATIONS = 6  # the least contrast of ink in standard deviations of the background's noise
WEAK_SHARE = 0.5  # pixels connected to a stroke are ink from this share of the threshold

Plane = NDArray[np.float32]  # (H, W)


@dataclass(frozen=True, eq=False)
class Ink:
    """The ink of a picture."""

    contrast: Plane  # (H, W), 0 is the background
    mask: NDArray[np.bool_]  # (H, W), True for strokes


def find_ink(pixels: NDArray[np.uint8]) -> Ink | None:
    """Find the ink in pixels (H, W, 3), None if there is only background.

    The background is a morphological closing (dark ink) or opening (light ink) wider than any stroke, which keeps the
    edges of shadows; its light is divided out. Each channel is weighted by its contrast. The threshold is Otsu's of the
    neighbourhood of possible ink, so the size of the sheet does not matter; fainter pixels that touch ink are added.
    """
    contrast = _contrast(pixels)
    low, quarter = np.quantile(contrast, [0.05, 0.25])
    noise = float(quarter - low)  # 0.97 standard deviations of a normal distribution, whatever the amount of ink
    contrast = (contrast - (quarter + 0.67 * noise)).clip(min=0)
    floor = max(MIN_DEVIATIONS * noise, MIN_CONTRAST)
    around = ndimage.binary_dilation(contrast > floor, iterations=2)
    if not (contrast > floor).any():
        return None
    threshold = max(_otsu(contrast[around]), floor)
    strong, weak = contrast > threshold, contrast > max(WEAK_SHARE * threshold, floor)
    mask = ndimage.binary_propagation(strong, mask=weak, structure=np.ones((3, 3)))
    return Ink(contrast, mask)


def _contrast(pixels: NDArray[np.uint8]) -> Plane:
    """(H, W) the difference of each pixel from its background, scaled to the median light."""
    planes, energies = [], []
    is_grey = bool((pixels == pixels[..., :1]).all())
    for channel in np.moveaxis(pixels[..., :1] if is_grey else pixels, 2, 0):
        plane = channel.astype(np.float32) / 255
        background, sign = _background(plane)
        light = background + MIN_LIGHT
        difference = sign * (plane - background) * (np.median(light) / light)
        planes.append(difference)
        energies.append(float((difference.clip(min=0) ** 2).mean()) + 1e-12)
    weights = np.asarray(energies, dtype=np.float32) / np.float32(sum(energies))
    contrast: Plane = np.tensordot(weights, np.stack(planes), axes=1)
    return contrast


def _background(plane: Plane) -> tuple[Plane, int]:
    """Return the background (H, W), and −1 for darker ink or 1 for lighter; the more even of both is chosen."""
    height, width = plane.shape
    step = -(-max(height, width) // REDUCED_SIDE)
    small = _reduced(plane, step)
    window = max(3, round(MAX_STROKE * min(small.shape)) | 1)
    padded, inner = np.pad(small, window, mode="edge"), (slice(window, -window), slice(window, -window))
    closed, opened = ndimage.grey_closing(padded, window)[inner], ndimage.grey_opening(padded, window)[inner]
    found, sign = (closed, -1) if _unevenness(closed) <= _unevenness(opened) else (opened, 1)
    smooth = ndimage.gaussian_filter(found, window / 12)
    whole = Image.fromarray(smooth).resize((small.shape[1] * step, small.shape[0] * step), Image.Resampling.BILINEAR)
    background: Plane = np.asarray(whole)[:height, :width]
    return background, sign


def _unevenness(background: Plane) -> float:
    """The sum of squared differences of neighbouring pixels: the wrong background has edges at the ink."""
    return float((np.diff(background, axis=0) ** 2).sum() + (np.diff(background, axis=1) ** 2).sum())


def _reduced(plane: Plane, step: int) -> Plane:
    """The means of squares of step × step pixels, the edge repeated to fill the last ones."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % step), (0, -width % step)), mode="edge")
    means: Plane = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).mean(axis=(1, 3))
    return means


def _otsu(values: Plane) -> float:
    """The threshold with the greatest variance between the two groups (N. Otsu 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(centres[np.nanargmax(variance)])
