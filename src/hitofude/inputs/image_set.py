"""What every source is turned into: images, labels, ids."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one size, with their ids and, where known, their labels."""

    images: NDArray[np.uint8]  # (N, C, H, W), 0..255, the ground is 0
    labels: NDArray[np.int64] | None  # (N,), each an index into classes
    ids: NDArray[np.str_]  # (N,)
    classes: tuple[str, ...]  # the labels as they stand in the files, in order

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over images, their shape, labels and classes."""
        digest = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def take(self, rows: NDArray[np.int64]) -> "ImageSet":
        """The rows named, in that order; the classes stay."""
        labels = None if self.labels is None else self.labels[rows]
        return ImageSet(self.images[rows], labels, self.ids[rows], self.classes)

    def known_labels(self) -> NDArray[np.int64]:
        """(N,) the labels. Raises InputError when there are none."""
        if self.labels is None:
            raise InputError("These images have no labels, and training needs them.")
        return self.labels


def classes_of(labels: NDArray[np.str_]) -> tuple[str, ...]:
    """The distinct labels: by number when all are integers, else by text."""
    distinct = [str(label) for label in np.unique(labels)]
    if all(_is_integer(label) for label in distinct):
        return tuple(sorted(distinct, key=int))
    return tuple(distinct)


def encode_labels(labels: NDArray[np.str_], classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) text → (N,) index into classes. Raises InputError for a label that is none of them."""
    order = np.argsort(np.asarray(classes))
    sorted_classes = np.asarray(classes)[order]
    found = np.searchsorted(sorted_classes, labels).clip(max=len(classes) - 1)
    unknown = np.flatnonzero(sorted_classes[found] != labels)
    if len(unknown):
        raise InputError(f"Label '{labels[unknown[0]]}' (image {unknown[0] + 1}) is not among the training labels.")
    encoded: NDArray[np.int64] = order[found].astype(np.int64)
    return encoded


def shuffled_evenly(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """(N,) all rows, shuffled, such that any first part of them has the classes as even as they allow."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(labels))
    order = np.lexsort((generator.random(len(labels)), _rank_within_class(labels[shuffled])))
    return shuffled[order]


def row_numbers(count: int) -> NDArray[np.str_]:
    """'1' … 'N', the ids of images that have none."""
    return np.arange(1, count + 1).astype(np.str_)


def _rank_within_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) how many earlier rows have the same label."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], labels[order])
    ranks = np.empty(len(labels), dtype=np.int64)
    ranks[order] = np.arange(len(labels)) - starts
    return ranks


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
