"""From a file's own numbers to bytes: those of training images by their own scale, those of others by the same one.

Other images are compared with the training images first. On the scale of the run, they are refused if numbers beyond
it are more than a few, or if most images are too dark or too bright throughout: images of 0..1 are black on 0..255.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.scale import BYTES, OUTLIERS, PixelScale, describe_range

MOST_COMPARED = 10_000
"""Training images, for how dark and how bright they are."""
UNUSUAL = 0.01
"""The share of training images that may be without a dark, or without a bright pixel."""
ROOM = 0.25
"""Of the scale; so far numbers may be beyond it on either side."""
MOST_BEYOND = 0.05
"""Of the numbers, if the user gives the scale."""

Location = Callable[[int], str]
"""The place of an image in its file: 'train.csv, line 5'."""


@dataclass(frozen=True)
class TrainedScale:
    """The scale of a run's training images, and how dark and bright they are on it."""

    scale: PixelScale = BYTES
    darkest: int = 255
    """99 % of the training images have a pixel as dark as this byte, 0..255."""
    brightest: int = 64
    """99 % have one as bright as this. The values for training images that are not known are the most tolerant."""

    @classmethod
    def of(cls, scale: PixelScale, images: NDArray[np.uint8]) -> "TrainedScale":
        """images: (N, C, H, W), the training images as bytes."""
        rows = np.linspace(0, len(images) - 1, min(len(images), MOST_COMPARED)).astype(np.int64)
        some = images[rows].reshape(len(rows), -1)
        darkest, brightest = np.quantile(some.min(1), 1 - UNUSUAL), np.quantile(some.max(1), UNUSUAL)
        return cls(scale, int(np.ceil(darkest)), int(brightest))


UNKNOWN = TrainedScale()
"""Of a run of an earlier version, or of imported networks."""


def training_scale(
    images: NDArray[Any], location: Location, given: PixelScale | None = None
) -> tuple[PixelScale, NDArray[np.uint8]]:
    """Find the scale of training images, and return them as bytes.

    images: (N, C, H, W) numbers. given: the user's scale. Raise InputError for a few wrong values among bytes, and for
    numbers far beyond the user's scale.
    """
    if given is None:
        _check_strays(images, location)
    else:
        _check_given(images, location, given)
    scale = given or PixelScale.of(images)
    return scale, scale.to_bytes(images)


class Rescaler:
    """Turns images into bytes by a run's scale, block by block, and refuses those that are on another scale."""

    def __init__(self, trained: TrainedScale, given: PixelScale | None = None) -> None:
        self._trained, self._given = trained, given
        self._scale: PixelScale | None = None
        self._numbers = self._beyond = self._images = self._unlike = 0

    def to_bytes(
        self, images: NDArray[Any], location: Location, nominal: PixelScale | None = None
    ) -> NDArray[np.uint8]:
        """(N, C, H, W) numbers → bytes.

        nominal: of a picture's format, which holds if the run's scale does not. Raise InputError for images on another
        scale, naming both ranges, and at a wrong value among bytes.
        """
        if len(images) == 0:
            return images.astype(np.uint8)
        if self._given is not None:
            _check_given(images, location, self._given)
            return self._given.to_bytes(images)
        if self._scale is None:
            self._scale = self._choose(images, nominal)
        if not self._fits(images, self._scale):
            raise InputError(self._explain(images, location))
        if self._scale.is_bytes:
            _check_strays(images, location)
        return self._scale.to_bytes(images)

    def _choose(self, images: NDArray[Any], nominal: PixelScale | None) -> PixelScale:
        """The run's scale, or that of the picture's format, or of the bits that its pictures have."""
        others = [] if nominal is None else [nominal, PixelScale.of(images)]
        candidates = [self._trained.scale, *others]
        return next((scale for scale in candidates if Rescaler(self._trained)._fits(images, scale)), candidates[0])

    def _fits(self, images: NDArray[Any], scale: PixelScale) -> bool:
        """Whether these and all images before are on the scale."""
        flat = images.reshape(len(images), -1)
        least, greatest = scale.shares(flat.min(1)), scale.shares(flat.max(1))
        is_beyond = (least < -ROOM) | (greatest > 1 + ROOM)
        if is_beyond.any():
            shares = scale.shares(flat[is_beyond])
            self._beyond += int(((shares < -ROOM) | (shares > 1 + ROOM)).sum())
        is_varied, dark, bright = least < greatest, self._trained.darkest, self._trained.brightest
        is_unlike = (255 * greatest < bright / 2) | (255 * least > dark + 0.4 * (255 - dark))
        self._numbers, self._images = self._numbers + images.size, self._images + int(is_varied.sum())
        self._unlike += int((is_varied & is_unlike).sum())
        return self._beyond <= OUTLIERS * self._numbers * (2 if scale.clips else 1) and self._unlike * 2 <= self._images

    def _explain(self, images: NDArray[Any], location: Location) -> str:
        found, trained = PixelScale.of(images), self._trained.scale
        return (
            f"{location(0)}: the numbers here go {describe_range(images)}, but those of the training images are on the "
            f"scale {trained}. Bring them to that scale, or name the numbers of black and white, such as "
            f"--scale {found} (in Python scale=({str(found).replace('..', ', ')}))."
        )


def _check_strays(images: NDArray[Any], location: Location) -> None:
    """Raise InputError at the first of a few numbers that are no bytes, among bytes."""
    if images.dtype == np.uint8:
        return
    is_stray = (images < 0) | (images > 255)
    if images.dtype.kind == "f":
        is_stray |= images != np.rint(images)
    count = int(is_stray.sum())
    if not 0 < count <= max(1, OUTLIERS * images.size) or images.size < 100 or images[~is_stray].max() <= 16:
        return
    first = np.unravel_index(int(is_stray.argmax()), images.shape)
    others = "" if count == 1 else f" {count:,} values are wrong."
    raise InputError(
        f"{location(int(first[0]))}, pixel {_pixel(first, images.shape)}: found {images[first]:.6g}, expected a whole "
        f"number from 0 to 255, as nearly all others are.{others} Fix the value, or name the numbers of black and "
        f"white, such as --scale {PixelScale.of(images)}."
    )


def _check_given(images: NDArray[Any], location: Location, scale: PixelScale) -> None:
    """Raise InputError if many numbers lie beyond the user's scale, or all in a small part of it."""
    low, high = float(images.min()), float(images.max())
    if low >= scale.low and high <= scale.high:
        return
    beyond = float(((images < scale.low) | (images > scale.high)).mean())
    if beyond > MOST_BEYOND:
        raise InputError(
            f"{location(0)}: the numbers here go {describe_range(images)}, and {beyond:.0%} of them lie beyond --scale "
            f"{scale}. Name the numbers of black and white, such as --scale {PixelScale.of(images)}."
        )


def _pixel(index: tuple[Any, ...], shape: tuple[int, ...]) -> int:
    """The number of a pixel in its image, from 0."""
    return int(np.ravel_multi_index(index[1:], shape[1:]))
