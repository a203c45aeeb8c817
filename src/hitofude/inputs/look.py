"""The look of the training images: their ground, ink and box, and whether they are writing at all.

Photos, drawings on the page and pictures sent to the API are made like the training images by it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, agree
from hitofude.language.translation import note

WHITE, MIDDLE = 255, 127
SOME, MIXED = 3, 0.1
"""Images, and the share of them, that must be of the opposite ground to be more than chance."""
MOST_MEASURED = 5_000
"""The images that are measured, evenly spaced in the training part."""
FEW = 10
FLAT = 16
"""The contrast divided by this is the most that the ground varies."""
LEAST_EDGE, MOST_EDGE = 0.1, 0.9
EVEN_EDGE, EVEN_ENOUGH = 0.45, 0.5
THICKEST = 0.2
"""The thickness of strokes as a share of the writing's box; three in four images have thinner ones. Measured: digits
0.12, 8x8 digits and bold letters 0.17, clothes 0.22."""
MOST_HALF_TONES = 1.5
"""The half-tones for each pixel of ink; 19 in 20 images have fewer. Measured: digits 0.6 to 1.0, clothes 2.1."""

Pixels = NDArray[np.float32]  # (N, H, W)


@dataclass(frozen=True)
class Look:
    """The look of images. The defaults are MNIST's: white ink on black, in a box of 20 of 28 pixels."""

    ground: int = 0
    """The grey of the ground, on which the ink is, 0 to 255."""
    ink: int = 255
    """The grey of full ink."""
    box: float = 20 / 28
    """The writing's longer side as a share of the image's side."""
    writing: bool = True
    """Whether the images are writing: grey, thin strokes on an even ground. Others are not searched for ink."""
    edge: float = MOST_EDGE
    """The share of an image's edge that is ground, in nearly all images."""
    behind: int = WHITE
    """The grey put behind transparent pixels, 0 or 255."""

    @property
    def is_light(self) -> bool:
        """Whether the ground is lighter than the ink."""
        return self.ground > self.ink

    def describe(self) -> str:
        """Describe it in a note of a few words: `light on dark; the writing takes 71 % of the image's longer side`."""
        kinds = "dark on light" if self.is_light else "light on dark"
        if not self.writing:
            ground = "light" if self.ground > MIDDLE else "dark"
            return note(
                "a {ground} ground, no writing: photos are resized as a whole, not searched for characters",
                ground=ground,
            )
        return note(
            "{kinds}; the writing takes {share:.0f} % of the image's longer side", kinds=kinds, share=100 * self.box
        )

    def paint(self, ink: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn ink into an image of this look. ink: any shape, shares 0..1 of full ink."""
        return np.rint(self.ground + (self.ink - self.ground) * np.asarray(ink, dtype=np.float32)).astype(np.uint8)

    def is_prepared(self, image: NDArray[np.uint8]) -> bool:
        """Whether an image (H, W) of the run's size looks like a training image: the ground at its edge, and ink."""
        contrast = abs(self.ink - self.ground)
        distance = np.abs(image.astype(np.int64) - self.ground)
        return bool(
            (edge_pixels(distance[None]) * FLAT < contrast).mean() > self.edge and 2 * distance.max() >= contrast
        )


MNIST = Look()
"""The look of the training images of runs that do not say: those of earlier versions, and imported ones."""


class LearnedLook:
    """The look that images to predict should have; a base of descriptions of what a model learned from."""

    look: Look | None
    image_shape: tuple[int, int, int]  # (C, H, W)
    classes: tuple[str, ...]

    @property
    def known_look(self) -> Look:
        """The look of the training images, MNIST's if it is not known."""
        return self.look or MNIST

    @property
    def reads_writing(self) -> bool:
        """Whether pictures are searched for writing.

        The model learned from grey writing or, if that is unknown, to tell single characters.
        """
        if self.image_shape[0] != 1:
            return False
        if self.look is not None:
            return self.look.writing
        return all(len(label) == 1 and label.isalnum() for label in self.classes)


def look_of(images: NDArray[np.uint8], behind: int = WHITE) -> Look:
    """Measure the look of images (N, C, H, W); many are represented by 5,000 of them."""
    step = -(-len(images) // MOST_MEASURED)
    pixels = images[::step].mean(axis=1, dtype=np.float32)
    ground = float(np.median(edge_pixels(pixels)))
    distance = np.abs(pixels - ground)
    highest = distance.max(axis=(1, 2))
    contrast = float(np.median(highest))
    if contrast == 0:
        return Look(ground=round(ground), ink=round(ground), writing=False, behind=behind)
    inked = distance[highest > 0]
    lighter = float(np.median((pixels - ground)[distance > contrast / 2])) > 0
    is_ground = edge_pixels(inked) * FLAT < contrast
    sides, thickness, half_tones = _strokes(inked)
    even = float((edge_pixels(inked) * 4 < contrast).mean())
    has_strokes = np.quantile(thickness, 0.75) < THICKEST and np.quantile(half_tones, 0.95) < MOST_HALF_TONES
    return Look(
        ground=round(ground),
        ink=round(min(max(ground + (contrast if lighter else -contrast), 0), 255)),
        box=float(np.median(sides)),
        writing=images.shape[1] == 1 and even > EVEN_EDGE and bool(has_strokes),
        edge=min(max(float(np.quantile(is_ground.mean(axis=1), 0.01)) - 0.01, LEAST_EDGE), MOST_EDGE),
        behind=behind,
    )


def check_not_all_alike(images: NDArray[np.uint8], name: str) -> None:
    """Raise InputError if there is nothing to learn in the images (N, C, H, W): each of one value, or all the same.

    Of fewer than ten images nothing is said: they are too few to learn from anyway.
    """
    if len(images) < FEW:
        return
    rows = images.reshape(len(images), -1)
    problem = None
    if _all(rows, rows[0]):
        problem = f"all {len(images):,} training images are the same"
    elif _all(rows, None):
        problem = f"each of the {len(images):,} training images has a single value in all its pixels"
    if problem:
        raise InputError(
            f"{name}: {problem}, so there is nothing to learn. Look at the files in another program, and save the "
            "images again, in another colour than their ground."
        )


def check_ground(images: NDArray[np.uint8], look: Look | None, name: str, remedy: str | None = None) -> None:
    """Raise InputError if images to predict have ink at their edges, where the training images have ground.

    images: (N, C, H, W). look: of the training images; if it is unknown, or their edges vary, nothing is checked.
    """
    if look is None or look.edge < EVEN_ENOUGH or len(images) == 0:
        return
    edges = edge_pixels(images.mean(axis=1, dtype=np.float32))
    is_ink = np.abs(edges - look.ink) < np.abs(edges - look.ground)
    is_inverted = is_ink.mean(axis=1) > MOST_EDGE
    count = int(is_inverted.sum())
    found, expected = ("dark on light", "light on dark") if not look.is_light else ("light on dark", "dark on light")
    if 2 * count > len(images):
        raise InputError(
            f"{name}: these images are {found}, but the training images were {expected}. {remedy or inverting()}"
        )
    if count >= SOME and count > MIXED * len(images):
        raise InputError(
            f"{name}: {count:,} of {len(images):,} images {agree(count, 'are')} {found}, but the others and the "
            f"training images are {expected}. Invert these, or put them in a file of their own."
        )


def inverting(scale: object = "0..255") -> str:
    """The remedy for images of the opposite ground whose numbers are on a scale, a PixelScale or its text."""
    low, high = str(scale).split("..")
    return f"Invert them: --scale {high}..{low}, in Python scale=({high}, {low})."


def _all(rows: NDArray[np.uint8], like: NDArray[np.uint8] | None) -> bool:
    """Whether all rows (N, P) equal one, or, if it is None, their own first value. Ends at the first that does not."""
    block = 1024
    blocks = (rows[start : start + block] for start in range(0, len(rows), block))
    return all(bool((part == (part[:, :1] if like is None else like)).all()) for part in blocks)


def edge_pixels(images: NDArray[Any]) -> NDArray[Any]:
    """(N, …, H, W) → (N, pixels at the edge); those of the corners are counted twice."""
    sides = images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]
    return np.concatenate([side.reshape(len(images), -1) for side in sides], axis=1)


def _strokes(distance: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return (N,) the longer side of the ink's box, the thickness of strokes and the half-tones for a pixel of ink.

    The thickness is twice the ink's area by its outline, as a share of its box. distance: from the ground.
    """
    count, height, width = distance.shape
    full = np.quantile(distance.reshape(count, -1), 0.98, axis=1)[:, None, None].astype(np.float32)
    full = np.maximum(full, distance.max(axis=(1, 2), keepdims=True) / 4)  # a dot has less ink than the quantile
    ink = distance > full / 2
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    outline = sum(np.diff(padded, axis=axis).sum(axis=(1, 2)) for axis in (1, 2))
    area = ink.sum(axis=(1, 2))
    high, wide = _extent(ink.any(axis=2)), _extent(ink.any(axis=1))
    sides = np.maximum(high / height, wide / width)
    half_tones = ((distance > full / 4) & (distance < 3 * full / 4)).sum(axis=(1, 2)) / area
    return sides, 2 * area / outline / np.maximum(high, wide), half_tones


def _extent(is_ink: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(N, L) → (N,) from the first to the last, both included."""
    extent: NDArray[np.int64] = is_ink.shape[1] - is_ink.argmax(axis=1) - is_ink[:, ::-1].argmax(axis=1)
    return extent
