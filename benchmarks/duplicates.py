"""Are all copies found, and nothing else? Plant copies of known kinds among real images, and search for them.

python -m benchmarks.duplicates [--copies 50] [--seed 0]

Prints, for each set of images, the number of images called duplicates before any copy is planted (all false: identical
patches were removed), then the share of the planted copies found with their originals (recall) for each kind of copy,
and the share of all that is found then which was planted (precision). At the end all copies are counted by their
change, as a share of the image's own contrast, brightness and contrast apart: up to a tenth they are near copies.
Digits: 2,000 of the embedded sample, as they are, inverted, and at low contrast (120 to 127). Photographs:
scikit-image's, cut into patches of 28x28 pixels.

Copies are made of images from the half with the most contrast. A copy whose change is as large as the image's own
contrast cannot be told from another image: noise of two grey levels, or JPEG, in digits seven levels strong. Such
copies are planted too.
"""

import argparse
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from hitofude.inputs.duplicates import find_duplicates
from hitofude.inputs.image_set import ImageSet, row_numbers
from hitofude.inputs.sources import sample

Images = NDArray[np.uint8]  # (N, C, H, W)
SIDE = 28
CHANGES = (0.1, 0.2, 0.4)
"""Up to these the copies are counted."""
PHOTOGRAPHS = ("retina", "hubble_deep_field", "camera", "moon", "brick", "grass", "coffee", "coins", "cell")


@dataclass(frozen=True, eq=False)
class Search:
    """Planted copies, and what was found."""

    right: NDArray[np.bool_]  # (copies,) whether each is found with its original
    changes: NDArray[np.float64]  # (copies,) how far each is from it, at length one
    listed: int
    """The number of all duplicates found."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--copies", type=int, default=50, help="planted of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    every: list[Search] = []
    print(f"{'images':<18} {'number':>6} {'false':>5}  {' '.join(f'{kind:>8}' for kind in KINDS)} {'precision':>9}")
    for name, images in image_sets():
        generator = np.random.default_rng(arguments.seed)
        false = len(find_duplicates(image_set(images)))
        found = [plant_and_search(images, change, arguments.copies, generator) for change in KINDS.values()]
        recalls = " ".join(f"{one.right.mean():>8.2f}" for one in found)
        precision = sum(one.right.sum() for one in found) / max(1, sum(one.listed for one in found))
        print(f"{name:<18} {len(images):>6} {false:>5}  {recalls} {precision:>9.3f}", flush=True)
        every += found
    changes, right = (np.concatenate([getattr(one, name) for one in every]) for name in ("changes", "right"))
    for most in CHANGES:
        known = changes <= most
        print(f"changed by up to {most:.0%} of the contrast: {right[known].sum():,} of {known.sum():,} copies found")


def image_sets() -> Iterator[tuple[str, Images]]:
    """Yield digits and patches of photographs, each image once."""
    digits = sample().train.images[:2000]
    yield "digits", digits
    yield "digits, inverted", 255 - digits
    yield "digits, faint", (120 + digits // 32).astype(np.uint8)
    for name in PHOTOGRAPHS:
        yield name, patches(getattr(data, name)())


def patches(photograph: NDArray[np.uint8]) -> Images:
    """Cut a photograph (H, W) or (H, W, C) into patches; keep one of those that are identical."""
    pixels = np.atleast_3d(photograph)
    rows, columns = (range(0, size - SIDE + 1, SIDE) for size in pixels.shape[:2])
    cut = np.stack([pixels[row : row + SIDE, column : column + SIDE] for row in rows for column in columns])
    return np.unique(cut.transpose(0, 3, 1, 2), axis=0)


def plant_and_search(
    images: Images, change: Callable[[Images, np.random.Generator], Images], copies: int, generator: np.random.Generator
) -> "Search":
    """Plant copies of images of much contrast, and search for them."""
    least = contrast(images).min(axis=1).ravel()
    originals = generator.choice(np.argsort(-least)[: len(images) // 2], copies, replace=False)
    planted = change(images[originals], generator)
    duplicates = find_duplicates(image_set(np.concatenate([images, planted])))
    pairs = {(item.row, item.earlier_row) for item in duplicates}
    right = [(len(images) + number, int(row)) in pairs for number, row in enumerate(originals)]
    changes = np.linalg.norm(directions(planted) - directions(images[originals]), axis=1)
    return Search(np.array(right), changes, len(duplicates))


def directions(images: Images) -> NDArray[np.float64]:
    """(N, C, H, W) → (N, pixels), less the mean of each channel, at length one."""
    values = (images - images.mean(axis=(2, 3), keepdims=True)).reshape(len(images), -1)
    lengths: NDArray[np.float64] = np.linalg.norm(values, axis=1, keepdims=True)
    found: NDArray[np.float64] = values / np.maximum(lengths, 1e-12)
    return found


def image_set(images: Images) -> ImageSet:
    return ImageSet(images, np.zeros(len(images), dtype=np.int64), row_numbers(len(images)), ("any",))


def clipped(values: NDArray[np.floating]) -> Images:
    return values.round().clip(0, 255).astype(np.uint8)


def noisy(images: Images, levels: NDArray[np.float64], generator: np.random.Generator) -> Images:
    """Add normal noise of this standard deviation, which broadcasts to the images."""
    return clipped(images + levels * generator.normal(size=images.shape))


def contrast(images: Images) -> NDArray[np.float64]:
    """(N, C, 1, 1) the standard deviation of the pixels of each channel."""
    deviation: NDArray[np.float64] = images.std(axis=(2, 3), keepdims=True)
    return deviation


def saved_as_jpeg(images: Images, quality: int) -> Images:
    saved = []
    for image in images:
        stream = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(stream, "JPEG", quality=quality)
        saved.append(np.atleast_3d(np.asarray(Image.open(stream))).transpose(2, 0, 1))
    return np.stack(saved)


KINDS: dict[str, Callable[[Images, np.random.Generator], Images]] = {
    "exact": lambda images, _: images,
    "+10 %": lambda images, _: clipped(images * 1.1),
    "-10 %": lambda images, _: clipped(images * 0.9),
    "+10": lambda images, _: clipped(images + 10.0),
    "noise 5%": lambda images, generator: noisy(images, np.minimum(5, contrast(images) / 20), generator),
    "noise 2": lambda images, generator: noisy(images, np.array(2.0), generator),
    "JPEG 95": lambda images, _: saved_as_jpeg(images, 95),
    "JPEG 80": lambda images, _: saved_as_jpeg(images, 80),
}


if __name__ == "__main__":
    main()
