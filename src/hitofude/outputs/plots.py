"""Charts and sheets of images as PNG; the report takes the same charts as SVG."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from hitofude.inputs.direction import without_isolates
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.photos.label_places import label_places
from hitofude.language.translation import say, say_count, speaking
from hitofude.learning.augment import transformed_versions
from hitofude.learning.epoch_log import EpochLog
from hitofude.metrics.calibration import Reliability
from hitofude.recipe import AugmentRecipe
from hitofude.storage import writing

DOTS_PER_INCH = 120
BLUE, ORANGE, BLACK, LINE = "#0b6e99", "#d9730d", "#000000", "#dddddd"
MATPLOTLIB_TURNS = mpl.__version_info__[:2] >= (3, 11)
"""Whether text is laid out from right to left where it is written so; before, letters stay in order, and the marks that
isolate names would be drawn as boxes."""
PHOTOS_DRAWN, DIGITS_DRAWN = 30, 60
"""At most this many photos, and this many digits of each."""
_CELL_WIDTH, _CELL_HEIGHT, _IMAGE, _MARGIN, _TITLE = 0.9, 1.15, 0.82, 0.04, 0.4
"""Inches: a cell, the longer side of its image, the space above and below the image, the line of the title."""
_LETTER = 0.065, 0.12
"""Inches: the width of a digit of a label, and the label's height."""
_PHOTO_WIDTH, _PHOTO_MAX_HEIGHT, _NAME_HEIGHT, _PHOTO_COLUMNS = 4.0, 2.4, 0.35, 6


def plot_curves(path: Path, draw: Callable[[Axes, Sequence[EpochLog]], None], logs: Sequence[EpochLog]) -> None:
    """Write draw_loss or draw_accuracy with a legend, in English."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    with speaking("en"):
        draw(axes, logs)
    axes.legend()
    _save(figure, path)


def draw_loss(axes: Axes, logs: Sequence[EpochLog]) -> None:
    """Draw the cross-entropy over the epochs, training and validation of every member, on a logarithmic scale."""
    _draw_curves(axes, logs, "loss")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "235" else "")
    axes.set_ylabel(say("cross-entropy (nats, logarithmic)"))


def draw_accuracy(axes: Axes, logs: Sequence[EpochLog]) -> None:
    """Draw the accuracy over the epochs, training and validation of every member."""
    _draw_curves(axes, logs, "accuracy")
    axes.set_ylim(_accuracy_floor(logs), 1)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_ylabel(say("accuracy"))


def draw_reliability(axes: Axes, found: Reliability) -> None:
    """Draw a bar for each group, as high as its accuracy, and a dot at its mean probability; ideal is the diagonal."""
    filled, width = np.flatnonzero(found.rows), 1 / len(found.rows)
    confidence, accuracy = np.asarray(found.confidence)[filled], np.asarray(found.accuracy)[filled]
    axes.bar((filled + 0.05) * width, accuracy, 0.9 * width, align="edge", color=BLUE, alpha=0.35)
    axes.plot(confidence, accuracy, "o", color=BLUE, markersize=4)
    axes.plot([0, 1], [0, 1], ":", color=BLACK)
    axes.grid(color=LINE)
    axes.set_axisbelow(True)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set(xlabel=say("probability of the answer"), ylabel=say("share of right answers"))


def plot_images(
    path: Path, images: NDArray[np.uint8], captions: Sequence[str], title: str = "", columns: int = 10
) -> None:
    """Draw a sheet of images with captions, ink dark on white.

    images: (N, C, H, W) uint8; captions: N texts.
    """
    _plot_cells(path, [_Cell(*both) for both in zip(images, captions, strict=True)], columns, title)


def plot_sheet(path: Path, images: ImageSet, count: int, seed: int) -> int:
    """Draw up to `count` labelled images, ordered by class. Return how many were drawn."""
    labels = images.known_labels()
    rows = shuffled_evenly(labels, seed)[:count]
    rows = rows[np.argsort(labels[rows], kind="stable")]
    plot_images(path, images.images[rows], [images.classes[label] for label in labels[rows]])
    return len(rows)


def plot_augmentation(
    path: Path, images: ImageSet, recipe: AugmentRecipe, count: int, versions: int, seed: int
) -> None:
    """Draw `count` originals, framed, each with `versions` transformations beside it."""
    originals, transformed = transformed_versions(images, recipe, count, versions, seed)
    cells = []
    for original, of_original in zip(originals, transformed, strict=True):
        cells += [_Cell(original, "original", frame=ORANGE), *map(_Cell, of_original)]
    title = (
        f"probability {recipe.probability:g}, scale {recipe.min_scale:g} to {recipe.max_scale:g}, "
        f"rotation ±{recipe.max_rotation:g}°, shear ±{recipe.max_shear:g}°, "
        f"translation ±{recipe.max_translation} px, about the {recipe.about}"
    )
    _plot_cells(path, cells, versions + 1, title)


@dataclass(frozen=True, eq=False)
class DrawnPhoto:
    """A photo, the boxes of its digits, the images given to the network, and its answers."""

    name: str
    picture: NDArray[np.uint8]  # (H, W, 3)
    boxes: Sequence[tuple[int, int, int, int]]  # top, left, bottom, right
    images: NDArray[np.uint8]  # (N, 1, h, w)
    answers: Sequence[tuple[str, bool]]  # for each digit a text, and whether its probability suffices for an answer

    @property
    def height(self) -> float:
        """Inches: the taller of the photo and its cells."""
        rows = -(-min(len(self.images), DIGITS_DRAWN) // _PHOTO_COLUMNS)
        height, width = self.picture.shape[:2]
        return float(max(min(_PHOTO_WIDTH * height / width, _PHOTO_MAX_HEIGHT), _CELL_HEIGHT * rows))


def plot_photos(path: Path, photos: Sequence[DrawnPhoto]) -> None:
    """Draw each photo with its digits numbered, and beside it the small images with the answers, ink dark on white."""
    photos, left, top = photos[:PHOTOS_DRAWN], _MARGIN + _PHOTO_WIDTH + 0.3, 0.0
    figure, axes = _sheet(left + _PHOTO_COLUMNS * _CELL_WIDTH, sum(_NAME_HEIGHT + photo.height for photo in photos))
    for photo in photos:
        top += _NAME_HEIGHT
        _draw_photo(axes, photo, top)
        digits = enumerate(zip(photo.images[:DIGITS_DRAWN], photo.answers, strict=False), start=1)
        cells = [
            _Cell(image, f"{number}: {text}{'' if is_sure else ' ?'}", BLACK if is_sure else ORANGE, frame=LINE)
            for number, (image, (text, is_sure)) in digits
        ]
        _draw_cells(axes, cells, _PHOTO_COLUMNS, top, left)
        if len(photo.images) > DIGITS_DRAWN:
            axes.text(left, top, f"the first {DIGITS_DRAWN} of {len(photo.images)}", fontsize=8, va="bottom")
        top += photo.height
    _save(figure, path)


def _draw_photo(axes: Axes, photo: DrawnPhoto, top: float) -> None:
    height, width = photo.picture.shape[:2]
    scale, step = min(_PHOTO_WIDTH / width, photo.height / height), max(1, max(height, width) // 800)
    extent = (_MARGIN, _MARGIN + scale * width, top + scale * height, top)
    axes.imshow(photo.picture[::step, ::step], extent=extent)
    axes.text(_MARGIN, top, photo.name, fontsize=8, va="bottom", parse_math=False)
    boxes, numbers = photo.boxes[:DIGITS_DRAWN], [str(number + 1) for number in range(len(photo.boxes[:DIGITS_DRAWN]))]
    wide = [math.ceil((_LETTER[0] * len(number) + 0.03) / scale) for number in numbers]
    places = label_places(photo.picture, boxes, math.ceil(_LETTER[1] / scale), wide)
    for number, box, place, (_, is_sure) in zip(numbers, boxes, places, photo.answers, strict=False):
        colour = BLUE if is_sure else ORANGE
        for (above, before, below, after), is_label in ((box, False), (place, True)):
            corner, sides = (_MARGIN + scale * before, top + scale * above), (after - before, below - above)
            wide_high = (scale * sides[0], scale * sides[1])
            axes.add_patch(Rectangle(corner, *wide_high, fill=is_label, color=colour, linewidth=0 if is_label else 1.2))
        middle = (_MARGIN + scale * (place[1] + place[3]) / 2, top + scale * (place[0] + place[2]) / 2)
        axes.text(*middle, number, fontsize=7, color="white", ha="center", va="center_baseline")


@dataclass(frozen=True, eq=False)
class _Cell:
    """An image of a sheet below its caption."""

    image: NDArray[np.uint8] | NDArray[np.float32]  # (C, H, W), 0..255
    caption: str = ""
    colour: str = BLACK
    frame: str | None = None


def _plot_cells(path: Path, cells: Sequence[_Cell], columns: int, title: str) -> None:
    top, width = _TITLE if title else 0, columns * _CELL_WIDTH
    figure, axes = _sheet(width, top + -(-len(cells) // columns) * _CELL_HEIGHT)
    _draw_cells(axes, cells, columns, top)
    axes.text(width / 2, top / 2, title, fontsize=9, ha="center", va="center", parse_math=False)
    _save(figure, path)


def _sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with one Axes in inches: an Axes for each image would take seconds to draw."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def _draw_cells(axes: Axes, cells: Sequence[_Cell], columns: int, top: float, start: float = 0) -> None:
    """Draw rows of cells, the first at `top` and `start`, its left edge."""
    for number, cell in enumerate(cells):
        high, wide = (side * _IMAGE / max(cell.image.shape[1:]) for side in cell.image.shape[1:])
        left = start + (number % columns + 0.5) * _CELL_WIDTH - wide / 2
        bottom = top + (number // columns + 1) * _CELL_HEIGHT - _MARGIN
        image = cell.image[0] if len(cell.image) == 1 else cell.image.transpose(1, 2, 0).astype(np.uint8)
        extent = (left, left + wide, bottom, bottom - high)
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest", extent=extent)
        if cell.frame:
            axes.add_patch(Rectangle((left, bottom), wide, -high, fill=False, edgecolor=cell.frame))
        above = bottom - _IMAGE - _MARGIN
        caption = cell.caption if MATPLOTLIB_TURNS else without_isolates(cell.caption)
        text = axes.text(left + wide / 2, above, caption, ha="center", va="bottom", parse_math=False)
        text.set(fontsize=8, color=cell.colour)


def _draw_curves(axes: Axes, logs: Sequence[EpochLog], quantity: Literal["loss", "accuracy"]) -> None:
    members = sorted({log.member for log in logs})
    curves = (
        ("train", "--", ORANGE, "training, on the images as each epoch showed them"),
        ("validation", "-", BLUE, "validation (rows never trained on)"),
    )
    for member in members:
        of_member = [log for log in logs if log.member == member]
        epochs = [log.epoch for log in of_member]
        for split, line, colour, label in curves:
            values = np.array([getattr(log, f"{split}_{quantity}") for log in of_member], dtype=np.float64)
            (drawn,) = axes.plot(epochs, values, line, color=colour, alpha=1 if len(members) == 1 else 0.6)
            if len(epochs) == 1:
                drawn.set_marker(".")  # a line needs two points
            if member == members[0]:
                drawn.set_label(label)
    title, count = say("Loss") if quantity == "loss" else say("Accuracy"), say_count(len(members), "member")
    axes.set_title(say("{title}, {members}", title=title, members=count))
    axes.set_xlabel(say("epoch"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=LINE)


def _accuracy_floor(logs: Sequence[EpochLog]) -> float:
    """Return a lower limit that fits all epochs but the first, so that the end of the curves can be read."""
    later = [log for log in logs if log.epoch > 1] or list(logs)
    lowest = min(min(log.train_accuracy, log.validation_accuracy or 1.0) for log in later)
    return max(0.0, lowest - 0.1 * (1 - lowest) - 0.001)


def _save(figure: Figure, path: Path) -> None:
    """Write a PNG. Labels may be in any script: a glyph that the font lacks becomes a box, without a warning."""
    with writing(path) as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(stream, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
