"""Prediction of files with a finished run: images, and the digits in photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, overload

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.direction import isolate
from hitofude.inputs.formats.arrays import is_frame, raw_from_arrays
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import Shape
from hitofude.inputs.photos.photo import Photo, read_photo
from hitofude.inputs.photos.photo_file import is_picture
from hitofude.inputs.rescaling import Rescaler
from hitofude.inputs.sources import Images, Reading, read_images, read_options
from hitofude.language.translation import say
from hitofude.learning.plugins import load_plugins
from hitofude.metrics.calibration import SURE
from hitofude.metrics.novelty import SHOWN_KNOWN, threshold_of
from hitofude.metrics.whole_ensemble import prediction_sets
from hitofude.outputs.display.tables import Column
from hitofude.outputs.frames import FrameKind, class_frame, import_frames
from hitofude.outputs.plots import DrawnPhoto, plot_photos
from hitofude.outputs.predictions import NONE_OF_THESE, NOT_SURE, answers, check_sure, set_texts
from hitofude.prediction.model import Model, set_threshold_of
from hitofude.runs.folder import DataDescription, RunFolder
from hitofude.runs.known_kinds import known_threshold_of
from hitofude.runs.result import load_result


@dataclass(frozen=True, eq=False)
class FilePredictions:
    """A run's predictions for the images of some files."""

    ids: NDArray[np.str_]  # (N,)
    probabilities: NDArray[np.float32]  # (N, classes)
    classes: tuple[str, ...]
    labels: NDArray[np.str_]  # (N,) the likeliest class; `not sure` if its probability is too low, `none of these`
    sets: NDArray[np.bool_] | None  # (N, classes) the prediction sets, if they were asked for
    novelty: NDArray[np.float32] | None  # (N,) the score of images unlike anything learned, if it was asked for
    photos: tuple[Photo, ...]
    """The photos among the files, in their order."""
    images: NDArray[np.uint8]  # (N, C, H, W), as the networks saw them


@overload
def predict(
    run: str | Path,
    images: Images,
    *,
    device: str = ...,
    raw: bool = ...,
    scale: tuple[float, float] | None = ...,
    transpose: bool | None = ...,
    plugins: Sequence[str | Path] | None = ...,
    output: Literal["numpy"] = ...,
) -> NDArray[np.float32]: ...


@overload
def predict(
    run: str | Path,
    images: Images,
    *,
    device: str = ...,
    raw: bool = ...,
    scale: tuple[float, float] | None = ...,
    transpose: bool | None = ...,
    plugins: Sequence[str | Path] | None = ...,
    output: FrameKind,
) -> Any: ...


def predict(
    run: str | Path,
    images: Images,
    *,
    device: str = "auto",
    raw: bool = False,
    scale: tuple[float, float] | None = None,
    transpose: bool | None = None,
    plugins: Sequence[str | Path] | None = None,
    output: Literal["numpy"] | FrameKind = "numpy",
) -> Any:
    """(N, classes) probabilities by a finished run, the mean of all members.

    images: numbers of the run's size and on the scale of its training images, (N, C, H, W), (N, H, W), (N, H, W, 3) or
    (N, pixels), or a data frame with the columns of a CSV file. scale: the numbers that are black and white, if they
    differ from those of the training images. transpose: whether rows and columns of the images are exchanged, by
    default as in the run's own files. The probabilities are calibrated by the run's temperature, so that nine in ten
    answers with a probability of 0.9 are right; raw: as predicted, as those of imported networks always are. The
    answers are the same. plugins: the files of the run's own networks, such as those in its folder `plugins`, which are
    run. output: "pandas" or "polars" for a data frame with a column for each class, named by the class; in pandas it
    has the index of a frame of images.
    Raises InputError for another size, type or scale, RunFolderError if the run is not finished, or a member is missing
    or damaged.
    """
    if output != "numpy":
        import_frames(output)  # before the time that predicting takes
    load_plugins(plugins)
    model, bytes_of = open_model(Path(run), device, scale, transpose, raw=raw)
    found = model.predict(bytes_of(images))
    if output == "numpy":
        return found
    index = getattr(images, "index", None) if output == "pandas" and is_frame(images) else None
    return class_frame(output, found, model.classes, index)


def predict_sets(
    run: str | Path,
    images: Images,
    level: float = 0.95,
    *,
    device: str = "auto",
    scale: tuple[float, float] | None = None,
    transpose: bool | None = None,
) -> NDArray[np.bool_]:
    """(N, classes) the prediction sets of images: each holds the true label with probability `level`.

    It is the classes from a threshold of the calibrated probability on, and always the likeliest; see
    hitofude.metrics.whole_ensemble. images, scale, transpose: as for `predict`. Raises as `predict` does, RecipeError
    if the level is not between 0 and 1, RunFolderError for imported networks.
    """
    threshold = load_result(run).set_threshold(level)
    return prediction_sets(predict(run, images, device=device, scale=scale, transpose=transpose), threshold)


def predict_known(
    run: str | Path,
    images: Images,
    level: float = 0.95,
    *,
    device: str = "auto",
    scale: tuple[float, float] | None = None,
    transpose: bool | None = None,
    plugins: Sequence[str | Path] | None = None,
) -> NDArray[np.bool_]:
    """(N,) whether images are like those of any class, so that a share `level` of the images of the known kinds is.

    See hitofude.metrics.novelty. images, scale, transpose, plugins: as for `predict`. Raises as `predict` does,
    RecipeError if the level is not between 0 and 1, RunFolderError if the run cannot tell unknown kinds.
    """
    load_plugins(plugins)
    threshold = known_threshold_of(RunFolder(Path(run)), level)
    model, bytes_of = open_model(Path(run), device, scale, transpose)
    known: NDArray[np.bool_] = model.predict_with_novelty(bytes_of(images))[1] <= threshold
    return known


def predict_files(
    run: str | Path,
    inputs: Sequence[Path],
    *,
    label: str | None = None,
    shape: Shape | None = None,
    device: str = "auto",
    raw: bool = False,
    sure: float | None = None,
    level: float | None = None,
    known: float | None = None,
    scale: tuple[float, float] | None = None,
    transpose: bool | None = None,
) -> FilePredictions:
    """Predict the images of some files, one after the other; see hitofude.inputs.sources.read_images.

    raw, scale, transpose: as for `predict`. An image whose likeliest class has less than `sure` has the label `not
    sure`; None answers all, but a digit in a photo (see hitofude.inputs.photos.photo) only from SURE on. level: of the
    prediction sets; None for none. known: the share of images of the known kinds that is answered; an image less like
    them has the label `none of these`. None answers all, but in a photo SHOWN_KNOWN of them, if the run can tell and no
    `sure` is asked for.
    Raises RecipeError if sure, level or known is out of range, RunFolderError if the run cannot tell unknown kinds.
    """
    check_sure(sure)
    folder = RunFolder(Path(run))
    data = folder.load_data()
    threshold = set_threshold_of(folder.path, level)
    known_up_to = None if known is None else known_threshold_of(folder, known)
    how = how_to_read(data, transpose, label=label, shape=shape, scale=scale)
    read = [_read(path, data, how) for path in inputs]
    photos = tuple(found for found in read if isinstance(found, Photo))
    images = np.concatenate([found.images for found in read])
    model = Model.load(folder.path, device=device, raw=raw)
    probabilities, novelty = model.predict_with_novelty(torch.tensor(images))
    is_known = None if known_up_to is None else novelty <= known_up_to
    labels = answers(probabilities, data.classes, sure, is_known)
    if photos and sure is None:
        is_in_photo = np.concatenate([np.full(len(found.images), isinstance(found, Photo)) for found in read])
        if is_known is None and model.novelty is not None:
            is_known = novelty <= threshold_of(model.novelty.held_out_scores, SHOWN_KNOWN)
        labels = np.where(is_in_photo, answers(probabilities, data.classes, SURE, is_known), labels)
    ids = np.concatenate([found.ids for found in read])
    sets = None if threshold is None else prediction_sets(probabilities, threshold)
    asked = None if known is None else novelty
    return FilePredictions(ids, probabilities, data.classes, labels, sets, asked, photos, images)


def describe_answers(prediction: FilePredictions) -> str:
    """Return a line for each image: id, answer and probability, or `not sure` and the two likeliest classes.

    An image of no known kind has `none of these` and the likeliest class. The prediction set ends the line, if it was
    asked for.
    """
    classes = [isolate(name) for name in prediction.classes]
    words_of = {NOT_SURE: say("not sure"), NONE_OF_THESE: say("none of these")}
    said = [words_of.get(label) or isolate(label) for label in prediction.labels.tolist()]
    ids, labels = (Column("", texts).padded()[1:] for texts in ([*map(isolate, prediction.ids.tolist())], said))
    sets = [""] * len(ids) if prediction.sets is None else set_texts(prediction.sets, classes)
    lines = []
    for place, (row, text) in enumerate(zip(prediction.probabilities, sets, strict=True)):
        first, second = np.argsort(-row, kind="stable")[:2]
        words = f"{row[first]:.3f}"
        if prediction.labels[place] == NONE_OF_THESE:
            words = say("perhaps {label}", label=classes[first])
        elif prediction.labels[place] == NOT_SURE:
            words = say(
                "{first} {probability:.3f} or {second} {other:.3f}",
                first=classes[first], probability=row[first], second=classes[second], other=row[second],
            )  # fmt: skip
        words += say("  set {labels}", labels=text) if text else ""
        lines.append(f"{ids[place]}  {labels[place]}  {words}")
    return "\n".join(lines)


def show_photos(path: Path, prediction: FilePredictions) -> None:
    """Draw each photo with the digits found in it, and beside it the network's input and answers.

    Raises InputError if there is no photo among the files.
    """
    if not prediction.photos:
        raise InputError("--show draws photos, but there is none among the inputs.")
    rows = zip(prediction.ids, prediction.probabilities, prediction.labels, strict=True)
    answers = {str(id): _drawn_answer(prediction.classes[row.argmax()], row.max(), label) for id, row, label in rows}
    drawn = [
        DrawnPhoto(photo.path.name, photo.picture, photo.boxes, photo.images, [answers[id] for id in photo.ids])
        for photo in prediction.photos
    ]
    plot_photos(path, drawn)


def open_model(
    run: Path, device: str, scale: tuple[float, float] | None, transpose: bool | None, *, raw: bool = False
) -> tuple[Model, Callable[[Images], torch.Tensor]]:
    """Return a run's model, and what makes images given as numbers (N, C, H, W) uint8 like its training images."""
    model, data = Model.load(run, device=device, raw=raw), RunFolder(run).load_data()
    options = replace(read_options(**how_to_read(data, transpose, scale=scale)), like=model.image_shape)
    rescaler = Rescaler(data.pixels, options.scale, look=data.look)

    def bytes_of(images: Images) -> torch.Tensor:
        return torch.tensor(rescaler.to_bytes(raw_from_arrays(images, None, "images", options)))

    return model, bytes_of


def _drawn_answer(name: str, probability: float, label: str) -> tuple[str, bool]:
    """Return the text under an image, and whether it is an answer."""
    if label == NONE_OF_THESE:
        return say("none of these"), False
    return f"{isolate(name)}  {probability:.2f}", bool(label != NOT_SURE)


def how_to_read(data: DataDescription, transpose: bool | None, **asked: Any) -> Reading:
    """Return how images are read: as the run's own, and as the user asks."""
    how = cast(Reading, {**data.how_to_read(), **asked})
    if transpose is not None:
        how["transpose"] = transpose
    return how


def _read(path: Path, data: DataDescription, how: Reading) -> ImageSet | Photo:
    _, height, width = data.image_shape
    if data.reads_writing and is_picture(path) and not path.is_dir():
        return read_photo(path, (height, width), data.known_look, trained=data.pixels)
    return read_images(path, image_shape=data.image_shape, trained=data.pixels, look=data.look, **how)
