"""Find copies of images, identical or nearly so, and refuse a test set that repeats the training images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet

NEAR, NEAR_EDGES = 0.1, 0.2
"""The greatest distances of near copies, as vectors of length one: of their pixels less the mean of each channel, or of
the differences of neighbouring pixels. Different images of benchmarks/duplicates.py are 0.11 and 0.22 apart or more."""
MOST_DIFFERENCE = 64.0  # grey levels, root mean square: copies are brighter or darker by a little
CANDIDATES = 0.1  # the greatest distance of candidates in the first principal components, where noise hardly shows
COMPONENTS = 16
PAIRS_AT_ONCE = 4096
FEWEST_PIXELS = 64  # smaller images nearly agree by chance
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


@dataclass(frozen=True, eq=False)
class Copies:
    """The pairs of images that are copies of each other, identical or nearly so."""

    rows: NDArray[np.int64]  # (P,) the later image of each pair
    earlier: NDArray[np.int64]  # (P,) the earlier one
    differences: NDArray[np.float64]  # (P,) the root mean squares of the differences of pixels, 0..255
    uniform: NDArray[np.bool_]  # (P,) whether both are of one colour
    training: int
    """The number of training images; the test images come after them."""

    def duplicates(self) -> list[Duplicate]:
        """Return each image that has an earlier copy, with the most similar of these."""
        order = np.lexsort((self.earlier, self.differences, self.rows))
        _, first = np.unique(self.rows[order], return_index=True)
        return [self._duplicate(pair) for pair in order[first]]

    def links(self, *, near: bool = True) -> NDArray[np.int64]:
        """Return (2, pairs) the pairs of training rows that are copies; uniform images link nothing.

        near: include those that are not identical.
        """
        linked = (self.rows < self.training) & ~self.uniform & (near | (self.differences == 0))
        return np.stack([self.rows[linked], self.earlier[linked]])

    def _duplicate(self, pair: int) -> Duplicate:
        (split, row), (earlier_split, earlier_row) = (
            ("train", number) if number < self.training else ("test", number - self.training)
            for number in (int(self.rows[pair]), int(self.earlier[pair]))
        )
        return Duplicate(split, row, earlier_split, earlier_row, float(self.differences[pair]))  # type: ignore[arg-type]


def find_copies(train: ImageSet, test: ImageSet | None = None) -> Copies:
    """Search all images for copies; uniform images have identical copies alone.

    Two images are near copies if their pixels differ by at most MOST_DIFFERENCE, and if they nearly agree but for
    brightness and contrast: in their pixels less the mean of each channel or, as smooth images resemble each other, in
    the differences of neighbouring pixels. They are searched among one image of each set of identical ones: candidates
    are the nearest in the first principal components, which never exceed the true distances.
    """
    images = train.images if test is None else np.concatenate([train.images, test.images])
    pixels = images.reshape(len(images), -1)
    same, first = _identical(pixels)
    is_varied = np.ptp(images, axis=(2, 3)).any(axis=1)
    later, earlier, differences = _near(images, np.flatnonzero((first == np.arange(len(images))) & is_varied))
    return Copies(
        np.concatenate([same, later]),
        np.concatenate([first[same], earlier]),
        np.concatenate([np.zeros(len(same)), differences]),
        np.concatenate([~is_varied[same], np.zeros(len(later), dtype=np.bool_)]),
        len(train),
    )


def find_duplicates(train: ImageSet, test: ImageSet | None = None) -> list[Duplicate]:
    """Return each image with an earlier copy, and its most similar one; training images come before test images."""
    return find_copies(train, test).duplicates()


def _identical(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that repeat an earlier one, and for every row the first identical row."""
    bytes_of_rows = np.ascontiguousarray(pixels).view(np.dtype((np.void, pixels.shape[1])))[:, 0]
    _, first, of_row = np.unique(bytes_of_rows, return_index=True, return_inverse=True)
    earliest = first[of_row]
    return np.flatnonzero(earliest != np.arange(len(pixels))), earliest


def _near(
    images: NDArray[np.uint8], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the later and the earlier image of each pair of near copies among the rows, and their difference.

    images: (N, C, H, W); rows: of images that differ and are not uniform.
    """
    from scipy.spatial import cKDTree

    if len(rows) < 2 or images[0].size < FEWEST_PIXELS:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    components = _principal_components(_directions(_centered(images[rows])))
    nearest = range(1, 1 + min(NEIGHBOURS, len(rows)))
    _, found = cKDTree(components).query(components, k=list(nearest), distance_upper_bound=CANDIDATES, workers=-1)
    place, column = np.nonzero(found < len(rows))  # the others have fewer neighbours
    ends = np.sort(np.stack([place, found[place, column]]), axis=0)
    earlier, later = np.unique(ends[:, ends[0] < ends[1]], axis=1)
    pairs = rows[later], rows[earlier]
    starts = range(0, len(later), PAIRS_AT_ONCE)
    differences = [_differences(*(images[end[start : start + PAIRS_AT_ONCE]] for end in pairs)) for start in starts]
    joined = np.concatenate([np.empty(0), *differences])
    is_near = np.isfinite(joined)
    return pairs[0][is_near], pairs[1][is_near], joined[is_near]


def _differences(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (P,) the differences of P pairs of images (P, C, H, W); infinite if they are not near copies."""
    raw = first.astype(np.float64) - second
    difference = np.sqrt(np.mean(raw**2, axis=(1, 2, 3)))
    is_alike = _distances(_centered(first), _centered(second)) <= NEAR
    is_alike |= _distances(_edges(first), _edges(second)) <= NEAR_EDGES
    return np.where(is_alike & (difference <= MOST_DIFFERENCE), difference, np.inf)


def _centered(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, C, H, W) → (N, pixels) less the mean of each channel."""
    values = images.astype(np.float32)
    values -= values.mean(axis=(2, 3), keepdims=True)
    return values.reshape(len(values), -1)


def _edges(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, C, H, W) → (N, differences of neighbouring pixels), down and across."""
    values = images.astype(np.float32)
    steps = np.diff(values, axis=2), np.diff(values, axis=3)
    return np.concatenate([step.reshape(len(values), -1) for step in steps], axis=1)


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) vectors at length one; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return directions


def _distances(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.floating]:
    """(N,) how far the vectors of two (N, D) are apart at length one."""
    distances: NDArray[np.floating] = np.linalg.norm(_directions(first) - _directions(second), axis=1)
    return distances


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
