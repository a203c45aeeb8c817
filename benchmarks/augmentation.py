"""Affine augmentation: whole batches of 128 against scikit-image, image by image, on the same maps.

python benchmarks/augmentation.py
"""

import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from hitofude.inputs.sources import sample
from hitofude.learning.augment import draw_maps, warp
from hitofude.recipe import Recipe

IMAGES, BATCH, REPEATS = 4_000, 128, 7


def images_per_second(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return IMAGES / (time.perf_counter() - started)


def main() -> None:
    pixels = sample().train.images[:IMAGES].astype(np.float32) / 255
    recipe = Recipe.preset("article").augment.model_copy(update={"rate": 1.0})
    maps = draw_maps(IMAGES, recipe, (28, 28), torch.Generator().manual_seed(0))
    images = torch.from_numpy(pixels)

    def warp_batches() -> None:
        for batch, batch_maps in zip(images.split(BATCH), maps.split(BATCH), strict=True):
            warp(batch, batch_maps)

    def warp_one_by_one() -> None:
        for image, matrix in zip(pixels, maps.numpy(), strict=True):
            skimage_warp(image[0], AffineTransform(np.vstack([matrix, [0, 0, 1]])), order=1)

    works = warp_batches, warp_one_by_one
    rounds = [[images_per_second(work) for work in works] for _ in range(REPEATS)]
    ours, theirs = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    machine = platform.processor() or platform.machine()
    print(f"{machine}, {torch.get_num_threads()} threads, {IMAGES:,} images, medians of {REPEATS} pairs")
    print(f"hitofude {ours:,.0f} images/s   scikit-image {theirs:,.0f} images/s   ratio {ours / theirs:.1f}")


if __name__ == "__main__":
    main()
