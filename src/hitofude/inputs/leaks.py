"""Refuse test images that are also training images: a score on them would be meaningless.

The images are compared, since files have any name: MNIST's are the same as IDX, CSV or pictures. A few duplicates are
accepted; the audit lists them.
"""

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet

MIN_COUNT, MIN_SHARE = 10, 0.01  # fewer test images, or a smaller share of them, are chance
NATURAL_FACTOR = 2
"""Test images may repeat training images this many times as often as training images repeat each other: very small
images, and drawings by a program, have duplicates in any set."""
WHY_NOT_MNIST = (
    "Kaggle's Digit Recognizer is made of MNIST's images, so MNIST contains the labels to be predicted. Train on the "
    "competition's own train.csv."
)


def check_no_leak(train: ImageSet, test: ImageSet | None) -> None:
    """Raise InputError if test images are training images, far more often than these repeat each other.

    Images must be identical; uniform ones do not count.
    """
    if test is None or train.image_shape != test.image_shape:
        return
    train_contents, test_contents = _contents(train), _contents(test)
    known = set(train_contents)
    repeated = sum(content in known for content in test_contents)
    natural = 1 - len(known) / max(len(train_contents), 1)
    if repeated < max(MIN_COUNT, len(test_contents) * max(MIN_SHARE, NATURAL_FACTOR * natural)):
        return
    digits = train.classes == tuple("0123456789") and train.image_shape == (1, 28, 28)
    raise InputError(
        f"{repeated:,} of the {len(test):,} images to predict are also training images, bit for bit: a score on them "
        f"is meaningless. {WHY_NOT_MNIST + ' If these are other images, remove' if digits else 'Remove'} them from the "
        "training file; `hitofude audit` lists them."
    )


def _contents(images: ImageSet) -> list[bytes]:
    """Return the bytes of each image that is not uniform."""
    pixels: NDArray[np.uint8] = images.images.reshape(len(images), -1)
    varied = pixels.min(axis=1) < pixels.max(axis=1)
    return [row.tobytes() for row in pixels[varied]]
