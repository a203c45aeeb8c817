"""Lists of training images to review, as CSV: hard images, probable label errors, duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.inputs.duplicates import Duplicate
from hitofude.inputs.image_set import ImageSet
from hitofude.metrics.label_issues import LabelIssues
from hitofude.metrics.metrics import answered, cross_entropy
from hitofude.storage import write_rows


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """The ids and labels of the training rows, without the images."""

    ids: NDArray[np.str_]  # (N,)
    labels: NDArray[np.int64]  # (N,) each an index into classes
    classes: tuple[str, ...]

    @classmethod
    def of(cls, images: ImageSet) -> "LabelledRows":
        return cls(images.ids, images.known_labels(), images.classes)

    def label(self, row: int) -> str:
        return self.classes[int(self.labels[row])]


@dataclass(frozen=True, eq=False)
class Hardness:
    """The training rows from the hardest to the easiest, without the rows that every member trained on."""

    rows: NDArray[np.int64]  # (M,) row numbers, from 0
    predicted: NDArray[np.int64]  # (M,) class index
    losses: NDArray[np.float32]  # (M,) nats
    probabilities: NDArray[np.float32]  # (M, classes) out of fold


def rank_hardness(labels: NDArray[np.int64], out_of_fold: NDArray[np.float32]) -> Hardness:
    """Rank by out-of-fold cross-entropy. labels: (N,); out_of_fold: (N, classes), NaN if unknown."""
    known = np.flatnonzero(answered(out_of_fold))
    losses = cross_entropy(labels[known], out_of_fold[known])
    order = np.argsort(-losses, kind="stable")
    rows = known[order]
    return Hardness(rows, out_of_fold[rows].argmax(axis=1), losses[order], out_of_fold[rows])


def write_hardest(path: Path, train: LabelledRows, hardness: Hardness, disagreement: NDArray[np.float32]) -> None:
    """Write a CSV line for each ranked image, the hardest first.

    disagreement: (N,) for all rows; see hitofude.learning.ensemble.EnsembleProbabilities.
    """
    ranked = zip(hardness.rows, hardness.predicted, hardness.losses, hardness.probabilities.tolist(), strict=True)
    lines = (
        [train.ids[row], train.label(row), train.classes[predicted], f"{loss:.4f}", f"{disagreement[row]:.3f}"]
        + [f"{probability:.6f}" for probability in probabilities]
        for row, predicted, loss, probabilities in ranked
    )
    names = [f"probability_{name}" for name in train.classes]
    write_rows(path, [["id", "label", "predicted", "loss", "disagreement", *names], *lines])


def write_label_issues(
    path: Path, train: LabelledRows, issues: LabelIssues, probabilities: NDArray[np.float32]
) -> None:
    """Write a CSV line for each suspected label, the most suspect first: the input of `--relabel-issues`.

    probabilities: (N, classes) for all rows.
    """
    lines = (
        [train.ids[row], train.label(row), train.classes[suggested], f"{score:.6f}", f"{likely:.6f}", f"{wrong:.3f}"]
        for row, suggested, score, likely, wrong in zip(
            issues.rows,
            issues.suggested,
            issues.scores,
            probabilities[issues.rows, issues.suggested],
            issues.wrong,
            strict=True,
        )
    )
    header = ["id", "label", "suggested", "score", "probability_of_suggested", "probability_wrong"]
    write_rows(path, [header, *lines])


def write_duplicates(
    path: Path, train: LabelledRows, test_ids: NDArray[np.str_] | None, duplicates: Sequence[Duplicate]
) -> None:
    """Write a CSV line for each image that duplicates an earlier one. A test image has no label."""

    def describe(split: str, row: int) -> list[str]:
        if split == "train" or test_ids is None:
            return [split, train.ids[row], train.label(row)]
        return [split, test_ids[row], ""]

    lines = (
        [*describe(item.split, item.row), *describe(item.earlier_split, item.earlier_row), f"{item.difference:.2f}"]
        for item in duplicates
    )
    header = ["part", "id", "label", "earlier_part", "earlier_id", "earlier_label", "difference"]
    write_rows(path, [header, *lines])
