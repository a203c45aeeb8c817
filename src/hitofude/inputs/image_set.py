"""Images with their labels and ids, the form that every source is brought into."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.spelling import Spellings, number_of, without_zero_decimals
from hitofude.language.translation import note


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size with their ids and, if known, their labels."""

    images: NDArray[np.uint8]  # (N, C, H, W), 0..255
    labels: NDArray[np.int64] | None  # (N,), each an index into classes
    ids: NDArray[np.str_]  # (N,)
    classes: tuple[str, ...]  # the distinct labels as the files spell them, in order
    groups: NDArray[np.str_] | None = None  # (N,) rows of the same group belong together, such as those of a writer
    folds: NDArray[np.str_] | None = None  # (N,) the fold that holds a row out, if the user gives the folds
    weights: NDArray[np.float64] | None = None  # (N,) the weight of each row in the loss, from 0 up; None if all alike

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the images, their shape, labels and classes."""
        digest = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    @cached_property
    def weights_fingerprint(self) -> str | None:
        """SHA-256 of the weights; None if there are none."""
        return None if self.weights is None else hashlib.sha256(self.weights.tobytes()).hexdigest()

    def take(self, rows: NDArray[np.int64]) -> "ImageSet":
        """Select rows, in the order given; the classes stay."""
        labels = None if self.labels is None else self.labels[rows]
        groups, folds = (None if texts is None else texts[rows] for texts in (self.groups, self.folds))
        weights = None if self.weights is None else self.weights[rows]
        return ImageSet(self.images[rows], labels, self.ids[rows], self.classes, groups, folds, weights)

    def known_labels(self) -> NDArray[np.int64]:
        """(N,) the labels. Raise InputError if there are none."""
        if self.labels is None:
            raise InputError("These images have no labels, and training needs them.")
        return self.labels


def classes_of(labels: NDArray[np.str_]) -> tuple[str, ...]:
    """The distinct labels, sorted by number if all are numbers, else by text.

    7.0 is called 7 if 7 is a label too, or if all are whole numbers, as pandas writes a column that had a gap.
    """
    distinct = {str(label) for label in np.unique(labels)}
    whole = {label: without_zero_decimals(label) for label in distinct}
    are_whole = all(name.removeprefix("-").isdecimal() for name in whole.values())
    names = sorted({name if are_whole or name in distinct else label for label, name in whole.items()})
    numbers = {name: number for name in names if (number := number_of(name)) is not None}
    return tuple(sorted(names, key=numbers.__getitem__) if len(numbers) == len(names) else names)


def encode_labels(labels: NDArray[np.str_], classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) text → (N,) index into classes, -1 if it is none of them, not even as a number in another spelling."""
    spellings, number = Spellings(classes), {name: i for i, name in enumerate(classes)}
    distinct, inverse = np.unique(labels, return_inverse=True)
    found = [spellings.find(text) for text in distinct.tolist()]
    numbers = np.array([-1 if name is None else number[name] for name in found], dtype=np.int64)
    return numbers[inverse]


def weights_of_texts(texts: NDArray[np.str_], location: Callable[[int], str]) -> NDArray[np.float64]:
    """(N,) text → (N,) weights. Raise InputError for anything but a number from 0 up.

    location: of a row, for messages.
    """
    try:
        weights = texts.astype(np.float64)
    except ValueError:
        weights = np.array([_number_or_nan(text) for text in texts.tolist()])
    is_wrong = ~((weights >= 0) & np.isfinite(weights))
    if is_wrong.any():
        row = int(is_wrong.argmax())
        raise InputError(f"{location(row)}: the weight '{texts[row]}' is not a number from 0 up.")
    return weights


def describe_weights(weights: NDArray[np.float64]) -> str:
    """Describe the weights of training rows, (N,), in a note: `from 0.5 to 3`."""
    unused = int((weights == 0).sum())
    low, high = weights.min(), weights.max()
    if unused == 1:
        return note("from {low:g} to {high:g}; 1 row of weight 0 is not learned from", low=low, high=high)
    if unused:
        return note(
            "from {low:g} to {high:g}; {rows:,} rows of weight 0 are not learned from", low=low, high=high, rows=unused
        )
    return note("from {low:g} to {high:g}", low=low, high=high)


def _number_or_nan(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def shuffled_evenly(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(N,) all rows, shuffled so that the first K rows, for any K, have the classes as balanced as possible."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    order = np.lexsort((generator.random(len(labels)), _rank_within_class(labels[shuffled])))
    return shuffled[order]


def row_numbers(count: int, first: int = 1) -> NDArray[np.str_]:
    """'1' … 'N', the ids of images without ids."""
    return np.arange(first, first + count).astype(f"U{len(str(first + count))}")


def _rank_within_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the number of earlier rows with the same label."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - starts
    return ranks
