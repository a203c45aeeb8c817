"""Predicting with a finished run: images of files, and the digits in photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.errors import InputError, RecipeError
from hitofude.inputs.formats.arrays import part_of_arrays
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape, ReadOptions, Shape
from hitofude.inputs.photos.photo import Photo, read_photo
from hitofude.inputs.photos.photo_file import is_picture
from hitofude.inputs.sources import Images, read_images
from hitofude.metrics.calibration import SURE
from hitofude.outputs.plots import DrawnPhoto, plot_photos
from hitofude.prediction.model import Model
from hitofude.runs.folder import RunFolder

NOT_SURE = "not sure"


@dataclass(frozen=True, eq=False)
class FilePredictions:
    """What a run says of some images."""

    ids: NDArray[np.str_]  # (N,)
    probabilities: NDArray[np.float32]  # (N, classes)
    classes: tuple[str, ...]
    photos: tuple[Photo, ...] = ()
    """The pictures among the files, in their order."""
    is_sure: NDArray[np.bool_] | None = None
    """(N,) False for a digit in a photo whose probability is too low for an answer; None without photos."""

    @property
    def labels(self) -> NDArray[np.str_]:
        """(N,) the likeliest class, or `not sure`."""
        likeliest = np.asarray(self.classes)[self.probabilities.argmax(axis=1)]
        return likeliest if self.is_sure is None else np.where(self.is_sure, likeliest, NOT_SURE)


def predict(run: str | Path, images: Images, *, device: str = "auto", calibrated: bool = False) -> NDArray[np.float32]:
    """(N, classes) probabilities by all members of a finished run, their mean.

    images: integers 0..255 of the run's size, (N, C, H, W), (N, H, W), (N, H, W, 3) or (N, pixels), or a data frame
    with the columns of a CSV file. calibrated: at the temperature that fits the run's out-of-fold probabilities, so
    that of the images with 0.9 nine in ten are right; the answers stay. Raises InputError for another size or type,
    RunFolderError when the run is not finished, a member is missing or damaged, or an imported run is to be calibrated.
    """
    model = Model.load(Path(run), device=device, calibrated=calibrated)
    part = part_of_arrays(images, None, "images", ReadOptions(like=model.image_shape))
    return model.predict(torch.tensor(part.images))


def predict_files(
    run: str | Path,
    inputs: Sequence[Path],
    *,
    label: str | None = None,
    shape: Shape | None = None,
    device: str = "auto",
    calibrated: bool = False,
    sure: float = SURE,
) -> FilePredictions:
    """Predict the images of some files, one after the other; see hitofude.inputs.sources.read_images.

    Pictures (see hitofude.inputs.photos.photo) may be among them. Then all probabilities are calibrated, where the run can,
    which imported networks cannot; and a digit in a picture whose likeliest class has less than `sure` is not
    answered. Raises RecipeError when sure is not in 0..1.
    """
    if not 0 <= sure <= 1:
        raise RecipeError(f"--sure {sure:g}: expected a probability, from 0 (always answer) to 1.")
    folder = RunFolder(Path(run))
    data = folder.load_data()
    read = [_read(path, data["image_shape"], label, shape) for path in inputs]
    photos = tuple(found for found in read if isinstance(found, Photo))
    sets = [found.as_image_set() if isinstance(found, Photo) else found for found in read]
    images = np.concatenate([found.images for found in sets])
    calibrated = calibrated or (bool(photos) and not folder.is_imported)
    probabilities = predict(run, images, device=device, calibrated=calibrated)
    ids, classes = np.concatenate([found.ids for found in sets]), tuple(data["classes"])
    if not photos:
        return FilePredictions(ids, probabilities, classes)
    always = np.concatenate([np.full(len(found.images), not isinstance(found, Photo)) for found in read])
    return FilePredictions(ids, probabilities, classes, photos, always | (probabilities.max(axis=1) >= sure))


def describe_answers(prediction: FilePredictions) -> str:
    """A line an image: its id, the answer and its probability, or `not sure` and the two likeliest classes."""
    width = max(map(len, prediction.ids))
    labels = max(map(len, prediction.labels))
    lines = []
    for id, label, row in zip(prediction.ids, prediction.labels, prediction.probabilities, strict=True):
        first, second = np.argsort(-row, kind="stable")[:2]
        words = f"{row[first]:.3f}"
        if label == NOT_SURE:
            words = f"{prediction.classes[first]} {row[first]:.3f} or {prediction.classes[second]} {row[second]:.3f}"
        lines.append(f"{id:<{width}}  {label:<{labels}}  {words}")
    return "\n".join(lines)


def show_photos(path: Path, prediction: FilePredictions) -> None:
    """Draw each photo with what was found in it, and beside it what the network saw and answered.

    Raises InputError when there was no photo among the files.
    """
    if not prediction.photos:
        raise InputError("--show draws what is seen in pictures, and no picture was named.")
    answers = dict(zip(prediction.ids.tolist(), _captions(prediction), strict=True))
    drawn = [
        DrawnPhoto(photo.path.name, photo.picture, photo.boxes, photo.images, [answers[id] for id in photo.ids])
        for photo in prediction.photos
    ]
    plot_photos(path, drawn)


def _read(path: Path, image_shape: ImageShape, label: str | None, shape: Shape | None) -> ImageSet | Photo:
    if path.is_dir() or not is_picture(path):
        return read_images(path, image_shape=image_shape, label=label, shape=shape)
    channels, height, width = image_shape
    if channels != 1:
        raise InputError(f"{path}: pictures become grey images, and this run takes images of {channels} channels.")
    return read_photo(path, (height, width))


def _captions(prediction: FilePredictions) -> list[tuple[str, bool]]:
    """Of each image the likeliest class with its probability, and whether that is the answer."""
    likeliest = prediction.probabilities.argmax(axis=1)
    return [
        (f"{prediction.classes[best]}  {row[best]:.2f}", str(label) != NOT_SURE)
        for best, row, label in zip(likeliest, prediction.probabilities, prediction.labels, strict=True)
    ]
