"""Pictures: learning curves and sheets of images, as PNG."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.learning.augment import transformed_versions
from hitofude.learning.epoch_log import EpochLog
from hitofude.recipe import AugmentRecipe
from hitofude.storage import writing

DOTS_PER_INCH = 120
_VALIDATION, _TRAINING = "#0b6e99", "#d9730d"
_SURE, _UNSURE = "#0b6e99", "#d9730d"
_SHEET_CELL, _SHEET_IMAGE, _SHEET_MARGIN, _SHEET_TITLE = (0.9, 1.15), 0.82, 0.04, 0.4
"""Inches: of a sheet's cells, width and height; of the image in one; below it and above; of the line at the top."""
PHOTOS_DRAWN, DIGITS_DRAWN = 30, 60
"""So many photos at most, and of each so many digits."""
_PICTURE_WIDTH, _PICTURE_HIGHEST, _NAME_HEIGHT = 4.0, 2.4, 0.35
_CELLS, _CELL_HEIGHT, _DOTS = 6, 1.2, 100
"""Inches, but for the cells in a row, which are an inch of so many dots wide: a small image and a line above it."""


def plot_loss(path: Path, logs: Sequence[EpochLog]) -> None:
    """Cross-entropy over the epochs, every member and both parts, on a logarithmic scale."""
    figure, axes = _curves(logs, "train_loss", "validation_loss", "Loss")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(_label_some)
    axes.set_ylabel("cross-entropy (nats, logarithmic)")
    _save(figure, path)


def plot_accuracy(path: Path, logs: Sequence[EpochLog]) -> None:
    """Accuracy over the epochs, every member and both parts."""
    figure, axes = _curves(logs, "train_accuracy", "validation_accuracy", "Accuracy")
    axes.set_ylabel("accuracy")
    axes.set_ylim(_accuracy_floor(logs), 1)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    _save(figure, path)


def plot_images(
    path: Path, images: NDArray[np.uint8], captions: Sequence[str], title: str = "", columns: int = 10
) -> None:
    """A sheet of images with captions, ink dark on white.

    images: (N, C, H, W) uint8; captions: N texts.
    """
    above = _SHEET_TITLE if title else 0
    width, height = columns * _SHEET_CELL[0], above + -(-len(images) // columns) * _SHEET_CELL[1]
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))  # of one for each image, the drawing took seconds
    axes.set_axis_off()
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        middle = (number % columns + 0.5) * _SHEET_CELL[0]
        bottom = above + (number // columns + 1) * _SHEET_CELL[1] - _SHEET_MARGIN
        high, wide = (side * _SHEET_IMAGE / max(image.shape[1:]) for side in image.shape[1:])
        _show(axes, image, (middle - wide / 2, middle + wide / 2, bottom, bottom - high))
        line = bottom - _SHEET_IMAGE - _SHEET_MARGIN
        axes.text(middle, line, caption, fontsize=9, ha="center", va="bottom", parse_math=False)
    axes.text(width / 2, above / 2, title, fontsize=10, ha="center", va="center", parse_math=False)
    axes.set(xlim=(0, width), ylim=(height, 0))
    _save(figure, path)


def plot_augmentation(path: Path, originals: NDArray[np.uint8], transformed: NDArray[np.float32], title: str) -> None:
    """Each original at the left, its transformed versions beside it.

    originals: (N, C, H, W) uint8; transformed: (N, K, C, H, W), 0..255.
    """
    count, versions = transformed.shape[:2]
    figure = Figure(figsize=((versions + 1) * 0.9 + 0.2, count * 0.9 + 0.6), layout="constrained")
    panels = figure.subplots(count, versions + 1, squeeze=False)
    figure.suptitle(title, fontsize=9)
    for row in range(count):
        for axes, image in zip(panels[row], [originals[row], *transformed[row]], strict=True):
            _show(axes, image)
            axes.set(xticks=[], yticks=[])
        for side in panels[row, 0].spines.values():
            side.set(color=_TRAINING, linewidth=2)
    panels[0, 0].set_title("original", fontsize=9)
    panels[0, 1].set_title("transformed →", fontsize=9, loc="left")
    _save(figure, path)


def draw_sheet(path: Path, images: ImageSet, count: int, seed: int) -> int:
    """Draw up to `count` labelled images, the classes in order; how many were drawn."""
    rows = shuffled_evenly(images.known_labels(), seed)[:count]
    rows = rows[np.argsort(images.known_labels()[rows], kind="stable")]
    plot_images(path, images.images[rows], [images.classes[label] for label in images.known_labels()[rows]])
    return len(rows)


def draw_augmentation(
    path: Path, images: ImageSet, recipe: AugmentRecipe, count: int, versions: int, seed: int
) -> None:
    """Draw `count` originals with `versions` transformations of each beside it."""
    originals, transformed = transformed_versions(images, recipe, count, versions, seed)
    title = (
        f"probability {recipe.probability:g}, scale {recipe.min_scale:g} to {recipe.max_scale:g}, "
        f"rotation ±{recipe.max_rotation:g}°, shear ±{recipe.max_shear:g}°, "
        f"translation ±{recipe.max_translation} px, about the {recipe.about}"
    )
    plot_augmentation(path, originals, transformed, title)


@dataclass(frozen=True, eq=False)
class DrawnPhoto:
    """A photo, where its digits are, what the network saw of each, and what it answered."""

    name: str
    picture: NDArray[np.uint8]  # (H, W, 3)
    boxes: Sequence[tuple[int, int, int, int]]  # top, left, bottom, right
    images: NDArray[np.uint8]  # (N, 1, h, w)
    answers: Sequence[tuple[str, bool]]
    """Of each digit a text, and whether the network is sure."""


def plot_photos(path: Path, photos: Sequence[DrawnPhoto]) -> None:
    """Each photo with its digits numbered, and beside it the small images with the answers, ink dark on white."""
    shown = photos[:PHOTOS_DRAWN]
    heights = [max(_picture_height(photo), _CELL_HEIGHT * -(-_drawn(photo) // _CELLS)) for photo in shown]
    whole = sum(heights) + _NAME_HEIGHT * len(shown)
    figure = Figure(figsize=(_PICTURE_WIDTH + _CELLS + 0.5, whole))
    width, top = figure.get_figwidth(), 0.0
    for photo, height in zip(shown, heights, strict=True):
        top += _NAME_HEIGHT + height
        bottom, tall = 1 - top / whole, height / whole
        _draw_picture(figure.add_axes((0.1 / width, bottom, _PICTURE_WIDTH / width, tall)), photo)
        _draw_digits(figure.add_axes(((_PICTURE_WIDTH + 0.3) / width, bottom, _CELLS / width, tall)), photo, height)
    _save(figure, path)


def _picture_height(photo: DrawnPhoto) -> float:
    return float(min(_PICTURE_WIDTH * photo.picture.shape[0] / photo.picture.shape[1], _PICTURE_HIGHEST))


def _drawn(photo: DrawnPhoto) -> int:
    return min(len(photo.images), DIGITS_DRAWN)


def _draw_picture(axes: Axes, photo: DrawnPhoto) -> None:
    height, width = photo.picture.shape[:2]
    step = max(1, max(height, width) // 800)
    axes.imshow(photo.picture[::step, ::step], extent=(0, width, height, 0))
    axes.set_axis_off()
    axes.set_anchor("NW")
    axes.set_title(photo.name, fontsize=8, loc="left", pad=2, parse_math=False)
    for number, (top, left, bottom, right) in enumerate(photo.boxes[:DIGITS_DRAWN]):
        colour = _SURE if photo.answers[number][1] else _UNSURE
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, linewidth=1.2))
        label = {"boxstyle": "square,pad=0.1", "facecolor": colour, "edgecolor": "none"}
        axes.text(left, top, str(number + 1), fontsize=7, color="white", va="bottom", bbox=label)


def _draw_digits(axes: Axes, photo: DrawnPhoto, height: float) -> None:
    """In axes whose unit is an inch."""
    cells = _mosaic(photo.images[:DIGITS_DRAWN, 0])
    axes.imshow(cells, cmap="gray_r", vmin=0, vmax=255, extent=(0, _CELLS, len(cells) / _DOTS, 0))
    axes.set(xlim=(0, _CELLS), ylim=(height, 0))
    axes.set_axis_off()
    for number in range(_drawn(photo)):
        text, is_sure = photo.answers[number]
        caption, colour = (f"{number + 1}: {text}", "black") if is_sure else (f"{number + 1}: {text} ?", _UNSURE)
        middle, above = number % _CELLS + 0.5, _CELL_HEIGHT * (number // _CELLS) + 0.18
        axes.text(middle, above, caption, fontsize=8, ha="center", color=colour, parse_math=False)
    if len(photo.images) > DIGITS_DRAWN:
        axes.set_title(f"the first {DIGITS_DRAWN} of {len(photo.images)}", fontsize=8, loc="left", pad=2)


def _mosaic(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) the images (N, h, w), each framed in its cell, which is higher than wide by the line of its caption."""
    frame, row_height = 84, round(_CELL_HEIGHT * _DOTS)
    cells = np.zeros((row_height * -(-len(images) // _CELLS), _DOTS * _CELLS), dtype=np.uint8)
    places = np.arange(frame) * images.shape[1] // frame, np.arange(frame) * images.shape[2] // frame
    for number, image in enumerate(images):
        top, left = row_height * (number // _CELLS) + 22, _DOTS * (number % _CELLS) + 8
        cells[top - 1 : top + frame + 1, left - 1 : left + frame + 1] = 50
        cells[top : top + frame, left : left + frame] = image[np.ix_(*places)]
    return cells


def _curves(logs: Sequence[EpochLog], train: str, validation: str, title: str) -> tuple[Figure, Axes]:
    members = sorted({log.member for log in logs})
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for member in members:
        of_member = [log for log in logs if log.member == member]
        epochs = [log.epoch for log in of_member]
        alpha = 1 if len(members) == 1 else 0.6
        axes.plot(epochs, [getattr(log, train) for log in of_member], "--", color=_TRAINING, alpha=alpha)
        axes.plot(epochs, [getattr(log, validation) for log in of_member], ".-", color=_VALIDATION, alpha=alpha)
    plural = "" if len(members) == 1 else "s"
    axes.set_title(f"{title}, {len(members)} member{plural}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(
        handles=[
            Line2D([], [], linestyle="--", color=_TRAINING, label="training (as augmented and smoothed)"),
            Line2D([], [], linestyle="-", marker=".", color=_VALIDATION, label="validation (rows never trained on)"),
        ]
    )
    return figure, axes


def _accuracy_floor(logs: Sequence[EpochLog]) -> float:
    """Low enough for all but the first epoch, so that the end can be read."""
    later = [log for log in logs if log.epoch > 1] or list(logs)
    lowest = min(min(log.train_accuracy, log.validation_accuracy or 1.0) for log in later)
    return max(0.0, lowest - 0.1 * (1 - lowest) - 0.001)


def _label_some(value: float, _position: float) -> str:
    """A label at 2 and 5 between the powers of ten."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _show(
    axes: Axes,
    image: NDArray[np.uint8] | NDArray[np.float32],
    extent: tuple[float, float, float, float] | None = None,
) -> None:
    """One image (C, H, W), 0..255; a single channel is shown dark on white. extent: left, right, bottom, top."""
    if len(image) == 1:
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest", extent=extent)
    else:
        axes.imshow(image.transpose(1, 2, 0).astype(np.uint8), interpolation="nearest", extent=extent)


def _save(figure: Figure, path: Path) -> None:
    """Labels may be in any script: a glyph that the font lacks is a box in the picture, no warning on the screen."""
    with writing(path) as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(stream, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
