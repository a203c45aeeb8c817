"""Turn one digit into a small image the way MNIST was made, with the ground, ink and box of the training images.

It is scaled to fit the box, which is 20 of 28 pixels in MNIST, keeping its proportions, and placed with its centre of
mass in the middle (Y. LeCun et al. 1998, Gradient-based learning applied to document recognition). Strokes thinner than
MNIST's are thickened first, because a network trained only on MNIST needs it; thick ones stay as they are.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from hitofude.inputs.look import MNIST, Look

STROKE = 2.5 / 20  # the median width of MNIST's strokes as a share of the box
WORKING_SIDE = 100  # a digit's longer side at the working resolution, in pixels
FULL_QUANTILE = 0.75  # the quantile of the contrast that counts as full ink
EDGE = 0.4  # the share of full ink at a stroke's edge; below a half, because thin strokes are never full

Plane = NDArray[np.float32]  # (H, W)


def to_image(contrast: Plane, mask: NDArray[np.bool_], shape: tuple[int, int], look: Look = MNIST) -> NDArray[np.uint8]:
    """Return an image (H, W) of the shape and the look of one digit's contrast and mask (h, w), cropped to it."""
    strokes = np.pad(_strokes(contrast, mask), WORKING_SIDE // 4)
    distance = ndimage.distance_transform_edt(strokes) - ndimage.distance_transform_edt(~strokes)
    width = 4 * float(distance[strokes].mean()) - 2  # across a stroke the distances from its edges rise and fall evenly
    thicker = max(STROKE * WORKING_SIDE - width, 0) / (2 * (1 - STROKE))  # on either side; the digit grows by it too
    soft = np.clip(distance + thicker + 0.5, 0, 1).astype(np.float32)
    return look.paint(_placed(_reduced(_cropped(soft), shape, look.box), shape))


def _strokes(contrast: Plane, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The digit in black and white, at the working resolution."""
    own = ndimage.binary_dilation(np.pad(mask, 1), np.ones((3, 3)))
    ink = np.clip(np.pad(contrast, 1) / np.quantile(contrast[mask], FULL_QUANTILE), 0, 1) * own
    scale = WORKING_SIDE / max(mask.shape)
    size = (max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale)))
    fine = np.asarray(Image.fromarray(ink.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    strokes: NDArray[np.bool_] = fine > EDGE
    return strokes


def _cropped(soft: Plane) -> Plane:
    rows, columns = (np.flatnonzero((soft > 0.5).any(axis=axis)) for axis in (1, 0))
    return soft[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _reduced(soft: Plane, shape: tuple[int, int], box: float) -> Plane:
    """Reduce the digit to fit the box, a share of the shape, by the mean of the pixels covered."""
    height, width = soft.shape
    scale = min(box * shape[0] / height, box * shape[1] / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(soft).resize(size, Image.Resampling.BOX))


def _placed(reduced: Plane, shape: tuple[int, int]) -> Plane:
    """Place the centre of mass in the middle, as far as the digit stays within the image."""
    image = np.zeros(shape, dtype=np.float32)
    centre = ndimage.center_of_mass(reduced)
    top, left = (
        int(np.clip(round((whole - 1) / 2 - middle), 0, whole - size))
        for whole, middle, size in zip(shape, centre, reduced.shape, strict=True)
    )
    image[top : top + reduced.shape[0], left : left + reduced.shape[1]] = reduced
    return image
