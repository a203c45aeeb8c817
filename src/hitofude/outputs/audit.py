"""Which training images are hard, by models that never saw them."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.metrics import cross_entropy
from hitofude.storage import write_text


@dataclass(frozen=True, eq=False)
class Hardness:
    """The training rows from the hardest to the easiest; rows that every member saw are left out."""

    rows: NDArray[np.int64]  # (M,) row numbers, from 0
    predicted: NDArray[np.int64]  # (M,) class index
    losses: NDArray[np.float32]  # (M,) nats
    probabilities: NDArray[np.float32]  # (M, classes) out of fold


def rank_hardness(labels: NDArray[np.int64], out_of_fold: NDArray[np.float32]) -> Hardness:
    """Rank by out-of-fold cross-entropy. labels: (N,); out_of_fold: (N, classes), NaN where unknown."""
    known = np.flatnonzero(~np.isnan(out_of_fold[:, 0]))
    losses = cross_entropy(labels[known], out_of_fold[known])
    order = np.argsort(-losses, kind="stable")
    rows = known[order]
    return Hardness(rows, out_of_fold[rows].argmax(axis=1), losses[order], out_of_fold[rows])


def write_hardest(path: Path, image_set: ImageSet, hardness: Hardness) -> None:
    """A CSV line for each ranked image, the hardest first."""
    labels, classes = image_set.known_labels(), image_set.classes
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", "label", "predicted", "loss", "probability_of_label", "probability_of_predicted"])
    for row, predicted, loss, probabilities in zip(
        hardness.rows, hardness.predicted, hardness.losses, hardness.probabilities, strict=True
    ):
        label = labels[row]
        shares = f"{probabilities[label]:.6f}", f"{probabilities[predicted]:.6f}"
        writer.writerow([image_set.ids[row], classes[label], classes[predicted], f"{loss:.4f}", *shares])
    write_text(path, text.getvalue())
