"""From a finished run and unlabelled images to those worth a label."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.sources import read_images
from hitofude.inputs.to_label import ChosenImages
from hitofude.metrics.acquisition import choose_unclear, unclearness
from hitofude.prediction.files import how_to_read
from hitofude.prediction.model import Model
from hitofude.runs.folder import RunFolder


@dataclass(frozen=True, eq=False)
class Choice:
    """The images that were chosen from a pool."""

    chosen: ChosenImages
    pool: int
    """The number of images in the pool."""
    known: int
    """Those of them that the run learned from."""
    copies: int
    """Those that are identical to another one of the pool."""


def choose_images(
    run: Path,
    pool: Path,
    count: int,
    *,
    known: NDArray[np.uint8] | None = None,
    device: str = "auto",
    transpose: bool | None = None,
    **how: Any,
) -> Choice:
    """Choose `count` images of a pool that are worth a label, see hitofude.metrics.acquisition; always the same ones.

    pool: a file, a folder of pictures, or the images to predict of any other source. known: (K, C, H, W), the images
    that the run learned from, which are left out. how: label, shape and scale, as for `hitofude predict`. Raises
    InputError if the pool cannot be read or holds no other images, RunFolderError if the run is not finished.
    """
    data = RunFolder(run).load_data()
    model = Model.load(run, device=device)
    images = read_images(
        pool, image_shape=data.image_shape, trained=data.pixels, look=data.look, **how_to_read(data, transpose, **how)
    )
    rows, are_known, are_copies = _new_rows(images.images, known)
    if not len(rows):
        raise InputError(f"{pool}: the run {run} learned from all images in it. Name a pool with others.")
    probabilities = model.predict(torch.tensor(images.images[rows]))
    order = choose_unclear(probabilities, count)
    chosen = rows[order]
    found = ChosenImages(
        images.images[chosen], images.ids[chosen], probabilities[order], unclearness(probabilities)[order]
    )
    return Choice(found, len(images), are_known, are_copies)


def _new_rows(images: NDArray[np.uint8], known: NDArray[np.uint8] | None) -> tuple[NDArray[np.int64], int, int]:
    """Return the rows of images that are neither known nor copies of an earlier one, and the numbers of both."""
    contents = [image.tobytes() for image in images]
    seen = set() if known is None else {image.tobytes() for image in known}
    are_known = [content in seen for content in contents]
    first: dict[bytes, int] = {}
    for row, content in enumerate(contents):
        first.setdefault(content, row)
    rows = [row for row in first.values() if not are_known[row]]
    return np.array(rows, dtype=np.int64), sum(are_known), len(images) - sum(are_known) - len(rows)
