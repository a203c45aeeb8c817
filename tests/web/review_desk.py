"""A review of six small images with three classes, and its server."""

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.judgements import Judgements
from hitofude.runs.review_queue import Doubt
from hitofude.web.review_app import ReviewSubject, create_review_app
from hitofude.web.settings import Settings
from tests.web.conftest import SHORT

CLASSES = ("3", "cat & dog", "<b>")
DOUBTS = [
    Doubt(4, ("suspect", "answer"), 1, 0.97, ()),
    Doubt(0, ("copy",), 2, None, (2,)),
    Doubt(2, ("copy",), 0, None, (0,)),
]


def images(labels: NDArray[np.int64] | None) -> ImageSet:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 5), dtype=np.uint8)
    return ImageSet(pixels, labels, np.array([f"id {row}" for row in range(6)]), CLASSES)


class Desk:
    """A running server, its file, and whether it said that the review is finished."""

    def __init__(self, path: Path, *, labelled: bool = True, token: str | None = None) -> None:
        shown = images(np.array([0, 1, 2, 0, 0, 1]) if labelled else None)
        probabilities = np.full((6, 3), [0.1, 0.7, 0.2], dtype=np.float32)
        probabilities[2] = np.nan
        labels = shown.known_labels().tolist() if labelled else [None] * 6
        given = {
            str(id): None if label is None else CLASSES[label] for id, label in zip(shown.ids, labels, strict=True)
        }
        self.images, self.path, self.finished = shown, path, threading.Event()
        self.judgements = Judgements(path, CLASSES, given)
        subject = ReviewSubject("run", shown, probabilities, DOUBTS, None, lambda found: f"hitofude run {len(found)}")
        self.settings = Settings(token=token, limits=SHORT)
        self.app = create_review_app(subject, self.judgements, self.settings, self.finished.set)
