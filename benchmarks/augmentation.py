"""Affine augmentation: whole batches of 128 against scikit-image, image by image, on the same maps.

python benchmarks/augmentation.py
"""

import platform
import time

import numpy as np
import torch
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from hitofude.inputs.sources import sample
from hitofude.learning.augment import draw_maps, warp
from hitofude.recipe import Recipe

IMAGES, BATCH = 4_000, 128


def main() -> None:
    pixels = sample().train.images[:IMAGES].astype(np.float32) / 255
    recipe = Recipe.preset("article").augment.model_copy(update={"rate": 1.0})
    maps = draw_maps(IMAGES, recipe, (28, 28), torch.Generator().manual_seed(0))
    images = torch.from_numpy(pixels)

    started = time.perf_counter()
    for batch, batch_maps in zip(images.split(BATCH), maps.split(BATCH), strict=True):
        warp(batch, batch_maps)
    ours = IMAGES / (time.perf_counter() - started)

    started = time.perf_counter()
    for image, matrix in zip(pixels, maps.numpy(), strict=True):
        skimage_warp(image[0], AffineTransform(np.vstack([matrix, [0, 0, 1]])), order=1)
    theirs = IMAGES / (time.perf_counter() - started)

    print(f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, {IMAGES:,} images")
    print(f"hitofude {ours:,.0f} images/s   scikit-image {theirs:,.0f} images/s   ratio {ours / theirs:.1f}")


if __name__ == "__main__":
    main()
