"""What an answer rests on: the change of the model's log-odds if a part of the image is hidden.

Occlusion (M. Zeiler, R. Fergus 2014, arXiv:1311.2901) asks the whole model as any prediction does, so it holds for
every network, ensemble and plugin, and the page computes the same. A square moves over the image, filled with the
ground of the training images; a pixel's value is the mean over all squares that hide it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.direction import isolate
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Images
from hitofude.language.translation import say
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.ensemble import load_members
from hitofude.learning.plugins import load_plugins
from hitofude.learning.predicting import Predictor
from hitofude.outputs.audit import rank_hardness
from hitofude.outputs.plots import plot_images
from hitofude.prediction.files import FilePredictions, open_model
from hitofude.prediction.model import Model
from hitofude.runs.folder import RunFolder
from hitofude.runs.kept_plugins import check_plugins
from hitofude.runs.result import RunResult

SQUARE, STEP = 1 / 4, 1 / 9
"""The side of the square and the step, as shares of the image's side: 7 and 3 of 28 pixels, a hundred places."""
NEVER_SURER = 1e-4
"""Probabilities count as no nearer to 0 and 1: their last digits say little, and the page's server rounds them."""

INK = 0.45
"""How dark full ink is where the heat is drawn over it."""

MOST_DRAWN = 50

Heat = NDArray[np.float32]  # (N, H, W)
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def explain(
    run: str | Path,
    images: Images,
    labels: Sequence[str] | None = None,
    *,
    device: str = "auto",
    scale: tuple[float, float] | None = None,
    transpose: bool | None = None,
    plugins: Sequence[str | Path] | None = None,
) -> Heat:
    """(N, H, W) the evidence for the answer in each pixel of images: the fall of its log-odds if it is hidden, in nats.

    Negative values are evidence against the answer. labels: the classes to explain, by default each image's likeliest.
    images, scale, transpose, plugins: as for hitofude.predict, which raises the same errors. Raises InputError for an
    unknown label.
    """
    load_plugins(plugins)
    model, bytes_of = open_model(Path(run), device, scale, transpose)
    pixels = bytes_of(images).numpy()
    ground = RunFolder(Path(run)).load_data().known_look.ground
    return explain_images(predict_by(model), pixels, ground, _places(labels, model.classes, len(pixels)))


def drawn(image: NDArray[np.uint8], heat: NDArray[np.float32], *, is_dark: bool) -> NDArray[np.uint8]:
    """Return (3, H, W): the image (C, H, W) in grey with red for evidence for the answer, and blue against it.

    heat: (H, W). is_dark: whether the ground is dark; the ground is drawn light.
    """
    grey = image.astype(np.float32).mean(axis=0) / 255
    ink = INK * (grey if is_dark else 1 - grey)
    strength = heat / max(float(np.abs(heat).max()), 1e-6)
    red, blue = np.clip(strength, 0, 1), np.clip(-strength, 0, 1)
    planes = [1 - 0.9 * blue, 1 - 0.75 * np.maximum(red, blue), 1 - 0.9 * red]
    return np.stack([255 * (1 - ink) * plane for plane in planes]).clip(0, 255).astype(np.uint8)


def draw_explanations(run: Path, found: FilePredictions, path: Path, *, device: str = "auto") -> int:
    """Draw the first images of some predictions, each beside what its answer rests on, as a PNG. Return how many."""
    look, images = RunFolder(run).load_data().known_look, found.images[:MOST_DRAWN]
    heat = explain_images(predict_by(Model.load(run, device=device)), images, look.ground)
    answers = [isolate(found.classes[row.argmax()]) for row in found.probabilities[:MOST_DRAWN]]
    captions = [(isolate(str(name)), answer) for name, answer in zip(found.ids, answers, strict=False)]
    _draw_pairs(path, images, heat, captions, is_dark=not look.is_light)
    return len(images)


def draw_hardest(result: RunResult, train: ImageSet, path: Path, *, device: str = "auto") -> int:
    """Draw a run's hardest training images, each beside what its answer rests on, as a PNG. Return how many.

    The answer is that of networks that never saw the image, and one of these is asked. train: the images that the run
    learned from. Raises RunFolderError if a network is missing or damaged.
    """
    check_plugins(result.folder)
    labels, answers = result.labels, np.nan_to_num(result.out_of_fold_probabilities).argmax(axis=1)
    rows = rank_hardness(labels, result.out_of_fold_probabilities).rows[:MOST_DRAWN]
    look, asked = result.folder.load_data().known_look, result.held_out[rows].argmax(axis=1)
    compute = choose_compute(device, result.recipe.precision)
    heat = np.zeros((len(rows), *train.image_shape[1:]), dtype=np.float32)
    for member in np.unique(asked).tolist():
        of_member = np.flatnonzero(asked == member)
        own = rows[of_member]
        predict = _predict_by_member(result, member, compute)
        heat[of_member] = explain_images(predict, train.images[own], look.ground, answers[own])
    names = [[isolate(train.classes[label[row]]) for label in (labels, answers)] for row in rows]
    captions = [(isolate(str(id)), " → ".join(both)) for id, both in zip(train.ids[rows], names, strict=True)]
    _draw_pairs(path, train.images[rows], heat, captions, is_dark=not look.is_light)
    return len(rows)


def _predict_by_member(result: RunResult, member: int, compute: Compute) -> Predict:
    folder, classes = result.folder, len(result.classes)
    names, shape = {member: result.summary.networks[member]}, folder.load_data().image_shape
    (network,) = load_members({member: folder.member(member)}, names, shape, classes, compute)
    predictor = Predictor(network, compute)
    return lambda images: predictor(torch.from_numpy(images))


def _draw_pairs(
    path: Path, images: NDArray[np.uint8], heat: Heat, captions: Sequence[tuple[str, str]], *, is_dark: bool
) -> None:
    """Draw each image twice, the second time with its heat. captions: of both."""
    pairs = [
        drawn(image, one, is_dark=is_dark)
        for image, own in zip(images, heat, strict=True)
        for one in (np.zeros_like(own), own)
    ]
    title = say("Red: the answer rests on it. Blue: it speaks against the answer.")
    plot_images(path, np.stack(pairs), [text for pair in captions for text in pair], title)


def predict_by(model: Model) -> Predict:
    return lambda images: model.predict(torch.from_numpy(images))


def explain_images(
    predict: Predict, images: NDArray[np.uint8], ground: int, labels: NDArray[np.int64] | None = None
) -> Heat:
    """Explain images (N, C, H, W), one after the other. ground: 0..255. labels: (N,); None for the likeliest."""
    answers = predict(images)
    asked = answers.argmax(axis=1) if labels is None else labels
    squares = Squares.over(images.shape[2], images.shape[3])
    heat = np.zeros((len(images), *images.shape[2:]), dtype=np.float32)
    for place, (image, label, answer) in enumerate(zip(images, asked, answers, strict=True)):
        heat[place] = _heat(predict, image, ground, int(label), float(answer[label]), squares)
    return heat


@dataclass(frozen=True)
class Squares:
    """The places of the square."""

    size: tuple[int, int]  # (H, W)
    side: int
    corners: tuple[tuple[int, int], ...]
    """Top and left, which may lie outside of the image."""

    @classmethod
    def over(cls, height: int, width: int) -> "Squares":
        """Cover each pixel by about as many squares."""
        shorter = min(height, width)
        side, step = (max(1, int(share * shorter + 0.5)) for share in (SQUARE, STEP))
        starts = [range(-(side // 2), length - side // 2, step) for length in (height, width)]
        return cls((height, width), side, tuple((top, left) for top in starts[0] for left in starts[1]))

    def masks(self) -> NDArray[np.bool_]:
        """(places, H, W) whether a square hides a pixel."""
        rows, columns = (np.arange(length) for length in self.size)
        tops, lefts = np.array(self.corners).T[:, :, None]
        inside = ((rows >= tops) & (rows < tops + self.side)), ((columns >= lefts) & (columns < lefts + self.side))
        masks: NDArray[np.bool_] = inside[0][:, :, None] & inside[1][:, None, :]
        return masks


def _heat(
    predict: Predict, image: NDArray[np.uint8], ground: int, label: int, probability: float, squares: Squares
) -> NDArray[np.float32]:
    """(H, W) of one image (C, H, W)."""
    masks = squares.masks()
    hidden = np.where(masks[:, None], np.uint8(ground), image[None])
    falls = _log_odds(np.float64(probability)) - _log_odds(predict(hidden)[:, label])
    heat: NDArray[np.float32] = (np.tensordot(falls, masks, axes=1) / masks.sum(axis=0).clip(1)).astype(np.float32)
    return heat


def _log_odds(probability: NDArray[np.float64] | NDArray[np.float32] | np.float64) -> NDArray[np.float64]:
    inner = np.clip(np.asarray(probability, dtype=np.float64), NEVER_SURER, 1 - NEVER_SURER)
    odds: NDArray[np.float64] = np.log(inner) - np.log1p(-inner)
    return odds


def _places(labels: Sequence[str] | None, classes: Sequence[str], count: int) -> NDArray[np.int64] | None:
    """Return the numbers of the classes. Raises InputError for another one, or another number of labels."""
    if labels is None:
        return None
    unknown = sorted({str(label) for label in labels} - set(classes))
    if unknown:
        raise InputError(f"'{unknown[0]}' is no class of the run: {', '.join(classes[:10])}.")
    if len(labels) != count:
        raise InputError(f"There are {len(labels)} labels for {count} images.")
    return np.array([classes.index(str(label)) for label in labels], dtype=np.int64)
