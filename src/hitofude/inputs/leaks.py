"""Images to predict that are learned from as well: where there are many, a score on them would be a lie.

Looked for in the images, since files have any name: MNIST's are the same whether they come as IDX, CSV or pictures. A
few that are there twice are no reason to refuse; the audit lists them.
"""

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet

FEWEST, SMALLEST_SHARE = 10, 0.01
"""Of the images to predict; fewer are chance."""
NATURAL = 2
"""So many times as often as training images repeat each other, images to predict may repeat them: very small images, or
a program's drawings, are there twice in any set."""
WHY_NOT_MNIST = (
    "Kaggle's Digit Recognizer is made of MNIST's images: who trains on MNIST, trains on the labels that are to be "
    "predicted. Train on the competition's own train.csv."
)


def check_no_leak(train: ImageSet, test: ImageSet | None) -> None:
    """Raises InputError where images to predict are training images, far more often than these repeat each other.

    The same to the last bit; images of one brightness do not count.
    """
    if test is None or train.image_shape != test.image_shape:
        return
    learned, predicted = _contents(train), _contents(test)
    known = set(learned)
    repeated = sum(content in known for content in predicted)
    natural = 1 - len(known) / max(len(learned), 1)
    if repeated < max(FEWEST, len(predicted) * max(SMALLEST_SHARE, NATURAL * natural)):
        return
    digits = train.classes == tuple("0123456789") and train.image_shape == (1, 28, 28)
    raise InputError(
        f"{repeated:,} of the {len(test):,} images to predict are training images, the same to the last pixel: a score "
        f"on them says nothing. {WHY_NOT_MNIST + ' If these are others, take' if digits else 'Take'} them out of the "
        "training file; `hitofude audit` lists them."
    )


def _contents(images: ImageSet) -> list[bytes]:
    """Of each image that is not of one brightness."""
    pixels: NDArray[np.uint8] = images.images.reshape(len(images), -1)
    shown = pixels.min(axis=1) < pixels.max(axis=1)
    return [row.tobytes() for row in pixels[shown]]
