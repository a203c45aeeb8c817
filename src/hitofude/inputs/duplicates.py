"""Find copies of images, identical or nearly so, and refuse a test set that repeats the training images."""

from collections.abc import Callable
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
ALONE, ALONE_IN_ALL, ALONE_FARTHEST = 0.2, 0.7, 0.6
"""Near copies that noise or JPEG took farther apart: as shares of the distance of the nearest other image, in the
principal components and in all pixels, and their greatest distance. Of different images of benchmarks/duplicates.py
none is nearer than 0.23, in the components, of the next one's distance."""
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
    the differences of neighbouring pixels; or if they are far nearer to each other than to any other image. They are
    searched among one image of each set of identical ones: candidates are the nearest in the first principal
    components, which never exceed the true distances.
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
    if len(rows) < 2 or images[0].size < FEWEST_PIXELS:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)
    places, neighbours, distances = _neighbours(_principal_components(_directions(_centered(images[rows]))))
    near = distances <= CANDIDATES
    candidates = _joined(places, neighbours, near)
    differences = _measured(_differences, images, rows[candidates])
    alone = _joined(places, neighbours, near & _are_alone(images, rows, places, neighbours, distances))
    differences_of_alone = _measured(_root_mean_squares, images, rows[alone])
    pairs = np.concatenate([candidates, alone], axis=1)
    both = np.concatenate([differences, differences_of_alone])
    kept = both <= MOST_DIFFERENCE
    (earlier, later), first = np.unique(pairs[:, kept], axis=1, return_index=True)
    missing = _without_earlier(earlier, later, len(rows))
    linked = np.concatenate([np.stack([rows[later], rows[earlier]]), rows[missing[::-1]]], axis=1)
    return linked[0], linked[1], np.append(both[kept][first], _measured(_root_mean_squares, images, rows[missing]))


def _without_earlier(earlier: NDArray[np.int64], later: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return (2, pairs) the first image of a group of copies, and each that no pair links to an earlier one.

    They are linked to later images alone, as only the nearest are compared.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(later), dtype=np.bool_), (earlier, later)), shape=(count, count))
    group = connected_components(graph, directed=False)[1]
    first = np.unique(group, return_index=True)[1][group]
    lacking = np.setdiff1d(np.flatnonzero(first != np.arange(count)), later)
    return np.stack([first[lacking], lacking]).astype(np.int64)


def _neighbours(
    components: NDArray[np.float32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return (R,) the places of images with a candidate, and (R, K) their nearest others and the distances, rising."""
    from scipy.spatial import cKDTree

    tree = cKDTree(components)
    nearest = tree.query(components, k=[2], distance_upper_bound=CANDIDATES, workers=-1)[0]
    places = np.flatnonzero(np.isfinite(nearest[:, 0]))
    count = list(range(1, 2 + min(NEIGHBOURS, len(components) - 1)))
    distances, found = tree.query(components[places], k=count, workers=-1)
    itself = found == places[:, None]
    itself[~itself.any(axis=1), -1] = True  # if as many are at no distance
    others = len(places), len(count) - 1
    return places, found[~itself].reshape(others), distances[~itself].reshape(others)


def _are_alone(
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    distances: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(R, K) whether each of an image's neighbours is far nearer to it than all that are not."""
    following = np.append(distances[:, 1:], np.zeros((len(distances), 1)), axis=1)
    is_gap = distances <= ALONE * following
    alone = np.flip(np.maximum.accumulate(np.flip(is_gap, axis=1), axis=1), axis=1)  # all up to the last gap
    for number in np.flatnonzero(alone.any(axis=1)):
        own, others = (_centered(images[rows[at]]) for at in (places[number : number + 1], neighbours[number]))
        in_all = _distances(own, others)
        farthest = min(ALONE_FARTHEST, ALONE_IN_ALL * in_all[~alone[number]].min())
        alone[number] &= in_all <= farthest
    return alone


def _joined(places: NDArray[np.int64], neighbours: NDArray[np.int64], chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return (2, pairs) the chosen pairs of an image (R,) and a neighbour (R, K), the earlier first, each once."""
    number, column = np.nonzero(chosen)
    ends = np.sort(np.stack([places[number], neighbours[number, column]]), axis=0)
    return np.unique(ends, axis=1)


def _measured(
    measure: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float64]],
    images: NDArray[np.uint8],
    pairs: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(P,) the measure of each pair of images; pairs: (2, P), rows of images."""
    starts = range(0, pairs.shape[1], PAIRS_AT_ONCE)
    found = [measure(*(images[end] for end in pairs[:, start : start + PAIRS_AT_ONCE])) for start in starts]
    return np.concatenate([np.empty(0), *found])


def _root_mean_squares(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(P,) the root mean squares of the differences of P pairs of images (P, C, H, W)."""
    roots: NDArray[np.float64] = np.sqrt(np.mean((first.astype(np.float64) - second) ** 2, axis=(1, 2, 3)))
    return roots


def _differences(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (P,) the differences of P pairs of images (P, C, H, W); infinite if they are not near copies."""
    is_alike = _distances(_centered(first), _centered(second)) <= NEAR
    is_alike |= _distances(_edges(first), _edges(second)) <= NEAR_EDGES
    return np.where(is_alike, _root_mean_squares(first, second), np.inf)


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
