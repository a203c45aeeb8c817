"""Training images become bytes by their own scale, others by the same one; those on another scale are refused."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.rescaling import Rescaler, TrainedScale
from hitofude.inputs.sources import open_source

SCALES: dict[str, Any] = {
    "0..255": lambda pixels: pixels,
    "0..1": lambda pixels: pixels / 255,
    "0..16": lambda pixels: np.rint(pixels / 255 * 16).astype(int),
    "0..100": lambda pixels: np.rint(pixels / 2.55).astype(int),
    "-1..1": lambda pixels: pixels / 127.5 - 1,
    "0..4095": lambda pixels: pixels.astype(np.uint16) * 16 + 15 * (pixels > 0),
    "standardised": lambda pixels: (pixels / 255 - 0.1307) / 0.3081,
}
each_scale = pytest.mark.parametrize("scale", SCALES)


def place(row: int) -> str:
    return f"test.csv, line {row + 2}"


def trained_on(digits: ImageSet, scale: str, *, inverted: bool = False) -> tuple[TrainedScale, NDArray[Any]]:
    """The scale of a run, and the images that it was trained on."""
    images = SCALES[scale](255 - digits.images if inverted else digits.images)
    dataset = open_source((images, digits.known_labels()))
    return TrainedScale.of(dataset.scale, dataset.train.images), images


@each_scale
def test_other_images_become_the_bytes_that_they_would_be_among_the_training_images(
    scale: str, digits: ImageSet
) -> None:
    trained, images = trained_on(digits, scale)
    found = Rescaler(trained).to_bytes(images[:20], place)
    assert np.abs(found.astype(int) - digits.images[:20]).max() <= (9 if scale == "0..16" else 2)


@each_scale
@pytest.mark.parametrize("other", SCALES)
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("count", [1, 50])
def test_images_on_another_scale_are_refused(
    scale: str, other: str, inverted: bool, count: int, digits: ImageSet
) -> None:
    trained, _ = trained_on(digits, scale, inverted=inverted)
    _, images = trained_on(digits, other, inverted=inverted)
    rescaler = Rescaler(trained)
    if scale == other:
        rescaler.to_bytes(images[:count], place)
        return
    with pytest.raises(InputError, match=r"test\.csv, line 2: the numbers here go from .* on the\s+scale .*--scale"):
        rescaler.to_bytes(images[:count], place)
