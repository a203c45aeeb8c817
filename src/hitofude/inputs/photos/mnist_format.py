"""One digit becomes a small image, made the way MNIST was made.

It is scaled to fit a box of 20 of the 28 pixels, keeping its proportions, and placed with its centre of mass in the
middle (Y. LeCun et al. 1998, Gradient-based learning applied to document recognition). Thinner strokes than those of
MNIST's pens are made thicker first, which a network that has seen MNIST alone needs; thick ones are left as they are.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

BOX = 20 / 28
"""The share of an image's sides that a digit fills."""
STROKE = 2.5 / 20
"""The width of MNIST's strokes as a share of the box: half of them are thinner."""
FINE = 100
"""A digit's longer side while it is worked on, in pixels."""
FULL = 0.75
"""Ink is full where it is as dark as this quantile of it."""
EDGE = 0.4
"""The strokes end where ink is less than this share of full; below a half, for thin strokes never are full."""

Plane = NDArray[np.float32]  # (H, W)


def to_image(contrast: Plane, mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """contrast, mask: (h, w) of one digit, with nothing around it. (H, W) the image of that shape, ink 255 on 0."""
    strokes = np.pad(_strokes(contrast, mask), FINE // 4)
    distance = ndimage.distance_transform_edt(strokes) - ndimage.distance_transform_edt(~strokes)
    width = 4 * float(distance[strokes].mean()) - 2  # across a stroke the distances from its edges rise and fall evenly
    thicker = max(STROKE * FINE - width, 0) / (2 * (1 - STROKE))  # on either side; the digit grows by it too
    soft = np.clip(distance + thicker + 0.5, 0, 1).astype(np.float32)
    return _placed(_boxed(_cropped(soft), shape), shape)


def _strokes(contrast: Plane, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) the digit in black and white, at its working size."""
    own = ndimage.binary_dilation(np.pad(mask, 1), np.ones((3, 3)))
    ink = np.clip(np.pad(contrast, 1) / np.quantile(contrast[mask], FULL), 0, 1) * own
    scale = FINE / max(mask.shape)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    fine = np.asarray(Image.fromarray(ink.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    strokes: NDArray[np.bool_] = fine > EDGE
    return strokes


def _cropped(soft: Plane) -> Plane:
    rows, columns = (np.flatnonzero((soft > 0.5).any(axis=axis)) for axis in (1, 0))
    return soft[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _boxed(soft: Plane, shape: tuple[int, int]) -> Plane:
    """Reduced to fit the box, each pixel the mean of what it covers."""
    height, width = soft.shape
    scale = min(BOX * shape[0] / height, BOX * shape[1] / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(soft).resize(size, Image.Resampling.BOX))


def _placed(boxed: Plane, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """In the middle by its centre of mass, as far as it stays within the image."""
    image = np.zeros(shape, dtype=np.uint8)
    centre = ndimage.center_of_mass(boxed)
    top, left = (
        int(np.clip(round((whole - 1) / 2 - middle), 0, whole - size))
        for whole, middle, size in zip(shape, centre, boxed.shape, strict=True)
    )
    image[top : top + boxed.shape[0], left : left + boxed.shape[1]] = (boxed * 255).round()
    return image
