"""Turn a file's own numbers into bytes: training images by their own scale, other images by the same one.

Other images are compared with the training images first. On the scale of the run, they are refused if numbers beyond
it are more than a few, or if most images are too dark or too bright throughout: images of 0..1 are black on 0..255.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, agree
from hitofude.inputs.look import Look, check_ground, edge_pixels, inverting
from hitofude.inputs.scale import BYTES, OUTLIERS, PixelScale, describe_range

MOST_COMPARED = 10_000
"""The training images that are measured for how dark and how bright they are."""
UNUSUAL = 0.01
"""The share of training images that may be without a dark, or without a bright pixel."""
FEW = 10
"""The number of images of which one may be unusual."""
ROOM = 0.25
"""The share of the scale by which numbers may be beyond it, on either side."""
SPECK = 0.01
"""The share of an image's pixels that differ from the others in an image that is as good as empty."""
HARDLY = 0.01
"""The share of the scale by which numbers beyond it count as within, because messages round it."""
LEAST_REACHED = 1 / 8
"""The share of the user's scale that training images reach; of their brightness, that other images on it reach."""
MOST_BEYOND = 0.05
"""The share of the numbers that may be beyond the scale, if the user gives it."""


class Numbers(Protocol):
    """Images as their file holds them; RawImages is one."""

    @property
    def images(self) -> NDArray[Any]:
        """(N, C, H, W) numbers."""

    @property
    def name(self) -> str:
        """The file."""

    @property
    def nominal(self) -> PixelScale | None:
        """The scale of a picture's format, which holds if the run's scale does not."""

    def location(self, row: int) -> str:
        """'train.csv, line 5'"""


@dataclass(frozen=True)
class TrainedScale:
    """The scale of a run's training images, and how dark and bright they are on it."""

    scale: PixelScale = BYTES
    darkest: int = 255
    """99 % of the training images have a pixel as dark as this byte, 0..255."""
    brightest: int = 64
    """99 % have one as bright as this. The values for training images that are not known are the most tolerant."""
    edges: tuple[int, int] = (0, 255)
    """The mean of an image's edge, its ground, lies between these in 98 %."""
    mean: float | None = None
    deviation: float | None = None
    """The mean and the standard deviation of all pixels, as bytes."""

    @classmethod
    def of(cls, scale: PixelScale, images: NDArray[np.uint8]) -> "TrainedScale":
        """Measure the training images. images: (N, C, H, W), as bytes; or rows (N, P), without an edge."""
        rows = np.linspace(0, len(images) - 1, min(len(images), MOST_COMPARED)).astype(np.int64)
        some = images[rows].reshape(len(rows), -1)
        darkest, brightest = np.quantile(some.min(1), 1 - UNUSUAL), np.quantile(some.max(1), UNUSUAL)
        low, high = (
            np.quantile(edge_pixels(images[rows]).mean(axis=1, dtype=np.float64), [UNUSUAL, 1 - UNUSUAL])
            if images.ndim == 4
            else (0, 255)
        )
        edges = int(low), int(np.ceil(high))
        return cls(scale, int(np.ceil(darkest)), int(brightest), edges, float(some.mean()), float(some.std()))

    def check_reads_pictures(self, name: str) -> None:
        """Raise InputError if no picture can be made like the training images, as each pixel was scaled by itself."""
        if self.scale.is_standardised:
            raise InputError(
                f"{name}: the training images were standardised, to numbers from "
                f"{str(self.scale).replace('..', ' to ')}, and pictures are not. Train on the images as they were "
                "before, or predict arrays that are standardised by the same scaler."
            )


UNKNOWN = TrainedScale()
"""The scale of a run of an earlier version, or of imported networks."""


def training_scale(train: Numbers, given: PixelScale | None = None) -> tuple[PixelScale, NDArray[np.uint8]]:
    """Find the scale of training images, and return them as bytes.

    given: the user's scale. Raise InputError for a few wrong values among bytes, and if many numbers lie beyond the
    user's scale.
    """
    if given is None:
        _check_strays(train)
    else:
        _check_given(train, given)
        _check_reaches(train, given)
    scale = given or PixelScale.of(train.images)
    return scale, scale.to_bytes(train.images)


class Rescaler:
    """Turns images into bytes by a run's scale, block by block, and refuses images on another scale or ground."""

    def __init__(
        self,
        trained: TrainedScale,
        given: PixelScale | None = None,
        remedy: str | None = None,
        *,
        look: Look | None = None,
        inverted: str | None = None,
    ) -> None:
        """given: the user's scale. remedy: ends the refusal of another scale, {scale} in it becomes the scale found.

        look: of the training images; without it no ground is checked. inverted: ends the refusal of another ground.
        """
        self._trained, self._given, self._remedy = trained, given, remedy
        self._look, self._inverted = look, inverted
        self._scale: PixelScale | None = None
        self._numbers = self._beyond = self._images = self._unlike = 0
        self._sums = np.zeros(2)

    def to_bytes(self, raw: Numbers) -> NDArray[np.uint8]:
        """(N, C, H, W) numbers → bytes.

        Raise InputError for images on another scale, naming both ranges, at a wrong value among bytes, and for images
        of another ground.
        """
        found = self._scaled(raw)
        remedy = self._inverted or inverting(self._given or self._scale or self._trained.scale)
        check_ground(found, self._look, raw.name, remedy)
        return found

    def _scaled(self, raw: Numbers) -> NDArray[np.uint8]:
        images = raw.images
        if len(images) == 0:
            return images.astype(np.uint8)
        if self._given is not None:
            _check_given(raw, self._given)
            if not self._are_alike(images, self._given) and PixelScale.of(images) != self._given:
                raise InputError(self._explain(raw))
            return self._given.to_bytes(images)
        if self._scale is None:
            self._scale = self._choose(images, raw.nominal)
        if not self._fits(images, self._scale):
            raise InputError(self._explain(raw))
        if self._scale.is_bytes:
            _check_strays(raw)
        return self._scale.to_bytes(images)

    def _choose(self, images: NDArray[Any], nominal: PixelScale | None) -> PixelScale:
        """The run's scale, or that of the picture's format, or of the bits that its pictures have."""
        others = [] if nominal is None or self._trained.scale.is_standardised else [nominal]
        if others and others[0].high > 255:
            others.append(PixelScale.of(images))
        candidates = [self._trained.scale, *others]
        return next((scale for scale in candidates if Rescaler(self._trained)._fits(images, scale)), candidates[0])

    def _fits(self, images: NDArray[Any], scale: PixelScale) -> bool:
        """Whether these and all images before are on the scale."""
        flat = images.reshape(len(images), -1)
        ends = scale.shares(flat.min(1)), scale.shares(flat.max(1))
        least, greatest = np.minimum(*ends), np.maximum(*ends)
        is_beyond = (least < -ROOM) | (greatest > 1 + ROOM)
        if is_beyond.any():
            shares = scale.shares(flat[is_beyond])
            self._beyond += int(((shares < -ROOM) | (shares > 1 + ROOM)).sum())
        self._numbers += images.size
        are_alike = self._are_alike(images, scale)
        share = OUTLIERS if not scale.clips else MOST_BEYOND if self._images < FEW else 2 * OUTLIERS
        is_within = self._beyond <= share * self._numbers
        return is_within and are_alike and self._is_standardised_alike(images, scale)

    def _are_alike(self, images: NDArray[Any], scale: PixelScale) -> bool:
        """Whether most of these and all images before have pixels as dark and as bright as the training images."""
        flat = images.reshape(len(images), -1)
        ends = scale.shares(flat.min(1)), scale.shares(flat.max(1))
        least, greatest = np.minimum(*ends), np.maximum(*ends)
        is_varied, dark, bright = least < greatest, self._trained.darkest, self._trained.brightest
        least_bright = bright * (LEAST_REACHED if self._given is not None else 0.5)
        is_unlike = (255 * greatest < least_bright) | (255 * least > dark + 0.4 * (255 - dark))
        room = (self._trained.deviation or 255) / 2
        if scale.is_standardised:
            is_unlike |= (255 * least > dark + room) | (255 * greatest < bright - room)
        if images.ndim == 4 and scale.is_standardised and len(images) >= FEW:
            edges, (low, high) = (
                255 * scale.shares(edge_pixels(images).mean(axis=1, dtype=np.float64)),
                self._trained.edges,
            )
            room /= 2  # each pixel's mean is 0, so the ground hardly varies
            is_unlike |= (edges < low - room) | (edges > high + room)
        is_varied[is_unlike] &= _are_inked(flat[is_unlike])
        self._images += int(is_varied.sum())
        self._unlike += int((is_varied & is_unlike).sum())
        return self._unlike * 2 <= self._images

    def _is_standardised_alike(self, images: NDArray[Any], scale: PixelScale) -> bool:
        """Whether the mean and the spread are those of the training images, if these were standardised."""
        mean, deviation = self._trained.mean, self._trained.deviation
        if not scale.is_standardised or mean is None or deviation is None:
            return True
        values = 255 * scale.shares(images).clip(0, 1)
        self._sums += values.sum(), (values**2).sum()
        found, square = self._sums / self._numbers
        ratio = float(np.sqrt(max(square - found**2, 0)) / deviation)
        if self._images < FEW:
            return bool(abs(found - mean) < deviation) and 0.4 < ratio < 3
        return bool(abs(found - mean) < deviation / 2) and 0.5 < ratio < 2

    def _explain(self, raw: Numbers) -> str:
        if PixelScale.of(raw.images) == self._trained.scale:
            return (
                f"{raw.name}: {self._unlike:,} of {self._images:,} images {agree(self._unlike, 'are')} much darker or "
                f"much brighter than the training images. If they are right as they are: {_remedy(raw.images)}"
            )
        return (
            f"{raw.name}: its numbers go {describe_range(raw.images)}, but those of the training images are on the "
            f"scale {self._trained.scale}. {self._way_out(raw.images)}"
        )

    def _way_out(self, images: NDArray[Any]) -> str:
        if self._remedy is None:
            return _remedy(images)
        return self._remedy.replace("{scale}", str(PixelScale.of(images)))


def _are_inked(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """(N, P) → (N,) whether more than a few pixels differ from the others: one speck tells nothing about the scale."""
    off_least, off_greatest = (rows != end(rows, axis=1, keepdims=True) for end in (np.min, np.max))
    shares: NDArray[np.float64] = np.minimum(off_least.mean(axis=1), off_greatest.mean(axis=1))
    return shares > SPECK


def _remedy(images: NDArray[Any]) -> str:
    found = PixelScale.of(images)
    return (
        f"Name the numbers of black and white, such as --scale {found}, or in Python "
        f"scale=({str(found).replace('..', ', ')})."
    )


def _check_strays(raw: Numbers) -> None:
    """Raise InputError at the first of a few numbers that are no bytes, among bytes."""
    images = raw.images
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
        f"{raw.location(int(first[0]))}, pixel {_pixel(first, images.shape)}: found {images[first]:.6g}, expected a "
        f"whole number from 0 to 255, as nearly all others are.{others} Fix the value. If it is right: "
        f"{_remedy(images)}"
    )


def _check_given(raw: Numbers, scale: PixelScale) -> None:
    """Raise InputError if many numbers lie beyond the user's scale."""
    images = raw.images
    low, high = sorted((scale.low, scale.high))
    margin = HARDLY * (high - low)
    low, high = low - margin, high + margin
    if images.size == 0 or (images.min() >= low and images.max() <= high):
        return
    beyond = float(((images < low) | (images > high)).mean())
    if beyond > MOST_BEYOND:
        raise InputError(
            f"{raw.name}: its numbers go {describe_range(images)}, and {beyond:.0%} of them lie beyond the scale "
            f"{scale}. {_remedy(images)}"
        )


def _check_reaches(raw: Numbers, scale: PixelScale) -> None:
    """Raise InputError if training images reach so little of the user's scale that hardly any greys are left."""
    images = raw.images
    if images.size == 0:
        return
    spread = (float(images.max()) / 2 - float(images.min()) / 2) / abs(scale.high / 2 - scale.low / 2)
    if 0 < spread < LEAST_REACHED:
        raise InputError(
            f"{raw.name}: its numbers go {describe_range(images)}, and on the scale {scale} they would have "
            f"{int(255 * spread) + 1} of 256 greys. {_remedy(images)}"
        )


def _pixel(index: tuple[Any, ...], shape: tuple[int, ...]) -> int:
    """The number of a pixel in its image, from 0."""
    return int(np.ravel_multi_index(index[1:], shape[1:]))
