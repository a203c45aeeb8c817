"""Pictures: learning curves and sheets of images, as PNG."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from hitofude.learning.checkpoint import EpochLog
from hitofude.storage import writing

DOTS_PER_INCH = 120
_VALIDATION, _TRAINING = "#0b6e99", "#d9730d"


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
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * 0.9, rows * 1.15 + (0.4 if title else 0)), layout="constrained")
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, caption in zip(panels, images, captions, strict=False):
        _show(axes, image)
        axes.set_title(caption, fontsize=9, pad=2, parse_math=False)
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


def _show(axes: Axes, image: NDArray[np.uint8] | NDArray[np.float32]) -> None:
    """One image (C, H, W), 0..255; a single channel is shown dark on white."""
    if len(image) == 1:
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    else:
        axes.imshow(image.transpose(1, 2, 0).astype(np.uint8), interpolation="nearest")


def _save(figure: Figure, path: Path) -> None:
    """Labels may be in any script: a glyph that the font lacks is a box in the picture, no warning on the screen."""
    with writing(path) as stream, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(stream, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
