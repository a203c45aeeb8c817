"""A folder of images that `hitofude next` chose for a person to label.

next.json     the run that chose them, its classes and the scale of its training images
images.npz    images (N, C, H, W) uint8, on that scale; ids (N,), as in the pool; probabilities (N, classes), which are
              calibrated; scores (N,)
next.csv      a line for each image, the one most worth a label first: id, predicted, probability, score
labels.csv    the labels that a person gave, one file for each reviewer: labels-NAME.csv
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.judgements import read_judgements
from hitofude.inputs.scale import PixelScale
from hitofude.storage import making_folder, read_json, read_npz, validated, write_json, write_npz, write_rows

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ToLabelDescription:
    """The content of next.json."""

    format_version: int
    run: str
    """The folder of the run."""
    pool: str
    classes: tuple[str, ...]
    scale: PixelScale
    """Of the run's training images: the numbers that became 0 and 255."""
    command: str | None
    """That trains on the run's images and these, once they are labelled; None if the run's source is not known."""


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """Images that are worth a label, the most worth first."""

    images: NDArray[np.uint8]  # (N, C, H, W)
    ids: NDArray[np.str_]  # (N,)
    probabilities: NDArray[np.float32]  # (N, classes)
    scores: NDArray[np.float64]  # (N,) how unclear each is to the networks, 0 to 1


class ToLabel:
    """The names of the folder's files, and their content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.description = path / "next.json"
        self.images = path / "images.npz"
        self.list = path / "next.csv"

    @property
    def exists(self) -> bool:
        """Whether hitofude next wrote this folder."""
        return self.description.is_file()

    def labels(self, reviewer: str | None = None) -> Path:
        """Return the file of a reviewer's labels."""
        return self.path / ("labels.csv" if reviewer is None else f"labels-{reviewer}.csv")

    def check_is_new(self) -> None:
        """Raise RunFolderError if images were chosen into this folder before, as they may be labelled."""
        if self.exists:
            raise RunFolderError(
                f"{self.path} holds images that were chosen before, and perhaps their labels. Label them with "
                f"`hitofude review {self.path}`, or name another folder with --out."
            )

    def write(self, chosen: ChosenImages, description: ToLabelDescription) -> None:
        """Write the folder, which appears when it is complete. Raises RunFolderError if it holds anything already."""
        classes, best = description.classes, chosen.probabilities.argmax(axis=1)
        lines = [
            [id, classes[place], f"{row[place]:.6f}", f"{score:.6f}"]
            for id, row, place, score in zip(chosen.ids, chosen.probabilities, best, chosen.scores, strict=True)
        ]
        with making_folder(self.path) as partial:
            own = ToLabel(partial)
            write_npz(own.images, **vars(chosen))
            write_rows(own.list, [["id", "predicted", "probability", "score"], *lines])
            write_json(own.description, asdict(description))

    def load_description(self) -> ToLabelDescription:
        """Read next.json. Raises RunFolderError if it is missing, damaged, or of a newer version."""
        found = validated(ToLabelDescription, read_json(self.description), self.description)
        if found.format_version > FORMAT_VERSION:
            raise RunFolderError(f"{self.description} was written by a newer hitofude. Upgrade it.")
        return found

    def load_images(self) -> ChosenImages:
        """Read the chosen images. Raises RunFolderError if the file is missing or damaged."""
        names = ("images", "ids", "probabilities", "scores")
        arrays = read_npz(self.images, *names)
        chosen = ChosenImages(*(arrays[name] for name in names))
        is_whole = chosen.images.ndim == 4 and chosen.images.dtype == np.uint8
        if not is_whole or len({len(arrays[name]) for name in names}) > 1:
            raise RunFolderError(f"{self.images} is damaged. Choose images again, into another folder with --out.")
        return chosen

    def labelled(self, scale: PixelScale) -> RawImages:
        """Return the images that a person labelled, as bytes. scale: of the images that they are added to.

        All reviewers' labels count; images on which they differ, or that nobody labelled, are left out. Raises
        InputError if nothing is labelled, or if the images were made for another scale.
        """
        description, chosen = self.load_description(), self.load_images()
        if (description.scale.low, description.scale.high) != (scale.low, scale.high):
            raise InputError(
                f"{self.path}: its images are on the scale {description.scale} of the run {description.run}, but those "
                f"to be added to are on {scale}. Add --scale {description.scale}, or choose images by another run."
            )
        label_of = self._labels()
        rows = [row for row, id in enumerate(chosen.ids.tolist()) if id in label_of]
        if not rows:
            raise InputError(f"{self.path}: no image in it is labelled yet. Label them: hitofude review {self.path}")
        ids = chosen.ids[rows]
        labels = np.array([label_of[id] for id in ids.tolist()])
        return RawImages(str(self.path), chosen.images[rows], labels, ids, row="image")

    def _labels(self) -> dict[str, str]:
        """Return the label of each image on whose label all who labelled it agree."""
        given: dict[str, set[str]] = {}
        for path in sorted(self.path.glob("labels*.csv")):
            for _, (id, _, one) in read_judgements(path, of_training=False):
                if one.verdict == "label":
                    given.setdefault(id, set()).add(one.label)
                elif one.verdict == "drop":
                    given.setdefault(id, set()).add("")
        return {id: label for id, labels in given.items() if len(labels) == 1 and (label := next(iter(labels)))}
