"""Images that are there twice: the same to the last bit, or nearly."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sklearn.utils.extmath import randomized_svd

from hitofude.inputs.image_set import ImageSet

NEAR = 0.08
"""How far the directions of two images may lie apart, as vectors of length one: about 4.6 degrees."""
COMPONENTS = 16
MOST_PIXELS_FOR_ALL_AXES = 1024
"""Beyond that only the first axes are sought, as finding all takes the cube of the pixels."""
CANDIDATES = 8


@dataclass(frozen=True)
class Duplicate:
    """An image, and an earlier one like it. Rows count from 0."""

    part: Literal["train", "test"]
    row: int
    earlier_part: Literal["train", "test"]
    earlier_row: int
    difference: float
    """0 of the same image; else the root mean square of the differences of pixels, 0..255."""

    @property
    def is_leak(self) -> bool:
        """Whether an image to predict is among those that are learned from."""
        return self.part != self.earlier_part


def find_duplicates(train: ImageSet, test: ImageSet | None = None) -> list[Duplicate]:
    """Each image that an earlier one is like, with the one most like it; the training images come first.

    Near are images that point nearly the same way as vectors of pixels, so that one may be brighter than the other.
    The same ones are found first; of each of those one goes on. Candidates for near ones are the nearest in their
    first principal components, where no two are farther apart than in truth.
    """
    images = train.images if test is None else np.concatenate([train.images, test.images])
    pixels = images.reshape(len(images), -1)
    same, first = _same(pixels)
    near, like = _near(pixels, np.unique(first))
    found = sorted(zip([*same.tolist(), *near.tolist()], [*first[same].tolist(), *like.tolist()], strict=True))
    return [_duplicate(pixels, row, earlier, len(train)) for row, earlier in found]


def _same(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows that repeat an earlier one, and of every row the first that is the same."""
    bytes_of_rows = np.ascontiguousarray(pixels).view(np.dtype((np.void, pixels.shape[1])))[:, 0]
    _, first, of_row = np.unique(bytes_of_rows, return_index=True, return_inverse=True)
    earliest = first[of_row]
    return np.flatnonzero(earliest != np.arange(len(pixels))), earliest


def _near(pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Among these rows, those nearly like an earlier one, and the one each is most like."""
    directions = pixels[rows].astype(np.float32)
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= np.where(lengths > 0, lengths, 1)
    components = _principal_components(directions)
    nearest = range(1, 1 + min(CANDIDATES, len(rows)))
    _, found = cKDTree(components).query(components, k=list(nearest), distance_upper_bound=NEAR, workers=-1)
    place, candidate = np.nonzero(found < np.arange(len(rows))[:, None])
    earlier = found[place, candidate]
    distance = np.linalg.norm(directions[place] - directions[earlier], axis=1)
    order = np.lexsort((distance, place))
    order = order[distance[order] <= NEAR]
    places, closest = np.unique(place[order], return_index=True)
    return rows[places], rows[earlier[order][closest]]


def _principal_components(directions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, at most COMPONENTS) the coordinates along the axes of the greatest variance."""
    centered = directions - directions.mean(axis=0)
    if centered.shape[1] > MOST_PIXELS_FOR_ALL_AXES:
        axes = randomized_svd(centered, COMPONENTS, random_state=0)[2].T
    else:
        axes = np.linalg.eigh(centered.T @ centered)[1][:, -COMPONENTS:]
    components: NDArray[np.float32] = centered @ axes
    return components


def _duplicate(pixels: NDArray[np.uint8], row: int, earlier: int, training: int) -> Duplicate:
    difference = np.sqrt(np.mean((pixels[row].astype(np.float64) - pixels[earlier]) ** 2))
    (part, place), (earlier_part, earlier_place) = (
        ("train", number) if number < training else ("test", number - training) for number in (row, earlier)
    )
    return Duplicate(part, place, earlier_part, earlier_place, float(difference))  # type: ignore[arg-type]
