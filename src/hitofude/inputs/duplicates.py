"""Find duplicate images, identical or nearly so, and refuse a test set that repeats the training images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet

NEAR = 0.08  # the greatest distance of two near duplicates as vectors of length one: about 4.6 degrees
COMPONENTS = 16
MAX_EXACT_PIXELS = 1024  # larger images get a randomized decomposition: the exact one takes the cube of the pixels
NEIGHBOURS = 8
MIN_LEAKS, MIN_LEAKED_SHARE = 10, 0.01  # fewer test images, or a smaller share of them, are chance
NATURAL_FACTOR = 2
"""Test images may repeat training images this many times as often as training images repeat each other: very small
images, and drawings by a program, have duplicates in any set."""
WHY_NOT_MNIST = (
    "Kaggle's Digit Recognizer is made of MNIST's images, so MNIST contains the labels to be predicted. Train on the "
    "competition's own train.csv."
)


@dataclass(frozen=True)
class Duplicate:
    """An image and an earlier duplicate of it. Rows count from 0."""

    split: Literal["train", "test"]
    row: int
    earlier_split: Literal["train", "test"]
    earlier_row: int
    difference: float
    """The root mean square of the differences of pixels, 0..255."""

    @property
    def is_leak(self) -> bool:
        """Whether one is a test image and the other a training image."""
        return self.split != self.earlier_split


def find_duplicates(train: ImageSet, test: ImageSet | None = None) -> list[Duplicate]:
    """Return each image with an earlier duplicate, and its most similar one; training images come before test images.

    Near duplicates have nearly the same direction as vectors of pixels, so one may be brighter than the other. They are
    searched among one image of each set of identical ones: candidates are the nearest in the first principal
    components, which never exceed the true distances.
    """
    images = train.images if test is None else np.concatenate([train.images, test.images])
    pixels = images.reshape(len(images), -1)
    same, first = _identical(pixels)
    near, similar = _near(pixels, np.unique(first))
    found = sorted(zip([*same.tolist(), *near.tolist()], [*first[same].tolist(), *similar.tolist()], strict=True))
    return [_duplicate(pixels, row, earlier, len(train)) for row, earlier in found]


def _identical(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that repeat an earlier one, and for every row the first identical row."""
    bytes_of_rows = np.ascontiguousarray(pixels).view(np.dtype((np.void, pixels.shape[1])))[:, 0]
    _, first, of_row = np.unique(bytes_of_rows, return_index=True, return_inverse=True)
    earliest = first[of_row]
    return np.flatnonzero(earliest != np.arange(len(pixels))), earliest


def _near(pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return those of the rows with an earlier near duplicate, and the most similar row of each."""
    from scipy.spatial import cKDTree

    directions = pixels[rows].astype(np.float32)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= np.where(lengths > 0, lengths, 1)
    components = _principal_components(directions)
    nearest = range(1, 1 + min(NEIGHBOURS, len(rows)))
    _, found = cKDTree(components).query(components, k=list(nearest), distance_upper_bound=NEAR, workers=-1)
    place, candidate = np.nonzero(found < np.arange(len(rows))[:, None])
    earlier = found[place, candidate]
    distance = np.linalg.norm(directions[place] - directions[earlier], axis=1)
    order = np.lexsort((distance, place))
    order = order[distance[order] <= NEAR]
    places, closest = np.unique(place[order], return_index=True)
    return rows[places], rows[earlier[order][closest]]


def _principal_components(directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the coordinates (N, up to COMPONENTS) along the axes of the greatest variance."""
    centered = directions - directions.mean(axis=0)
    if centered.shape[1] > MAX_EXACT_PIXELS:
        from sklearn.utils.extmath import randomized_svd

        axes = randomized_svd(centered, COMPONENTS, random_state=0)[2].T
    else:
        axes = np.linalg.eigh(centered.T @ centered)[1][:, -COMPONENTS:]
    components: NDArray[np.float32] = centered @ axes
    return components


def _duplicate(pixels: NDArray[np.uint8], row: int, earlier: int, training: int) -> Duplicate:
    difference = np.sqrt(np.mean((pixels[row].astype(np.float64) - pixels[earlier]) ** 2))
    (split, place), (earlier_split, earlier_place) = (
        ("train", number) if number < training else ("test", number - training) for number in (row, earlier)
    )
    return Duplicate(split, place, earlier_split, earlier_place, float(difference))  # type: ignore[arg-type]


def check_no_leak(train: ImageSet, test: ImageSet | None) -> None:
    """Raise InputError if test images are training images, far more often than these repeat each other.

    The images are compared, since files have any name: MNIST's are the same as IDX, CSV or pictures. They must be
    identical; uniform ones do not count. A few duplicates are accepted; the audit lists them.
    """
    if test is None or train.image_shape != test.image_shape:
        return
    train_contents, test_contents = _contents(train), _contents(test)
    known = set(train_contents)
    repeated = sum(content in known for content in test_contents)
    natural = 1 - len(known) / max(len(train_contents), 1)
    if repeated < max(MIN_LEAKS, len(test_contents) * max(MIN_LEAKED_SHARE, NATURAL_FACTOR * natural)):
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
