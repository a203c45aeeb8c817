"""Looking at a source: what is in it, its images, its images transformed."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import Dataset
from hitofude.learning.augment import augment
from hitofude.outputs.plots import plot_augmentation, plot_images
from hitofude.recipe import AugmentRecipe


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
        f"rate {recipe.rate:g}, scale {recipe.min_scale:g} to {recipe.max_scale:g}, "
        f"rotation ±{recipe.max_rotation:g}°, shear ±{recipe.max_shear:g}°, "
        f"translation ±{recipe.max_translation} px, about the {recipe.about}"
    )
    plot_augmentation(path, originals, transformed, title)


def transformed_versions(
    images: ImageSet, recipe: AugmentRecipe, count: int, versions: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Up to `count` originals (K, C, H, W), the classes as even as they allow, and (K, versions, C, H, W), 0..255."""
    originals = images.images[shuffled_evenly(images.known_labels(), seed)[:count]]
    repeated = torch.from_numpy(originals).float().repeat_interleave(versions, dim=0)
    transformed = augment(repeated, recipe, torch.Generator().manual_seed(seed))
    return originals, transformed.numpy().reshape(len(originals), versions, *images.image_shape)


def describe_dataset(dataset: Dataset) -> str:
    """What is in a source, a line a fact."""
    train, test = dataset.train, dataset.test
    channels, height, width = train.image_shape
    counts = np.bincount(train.known_labels(), minlength=len(train.classes))
    ink = train.images.mean() / 255
    lines = [
        f"source      {dataset.name}",
        f"images      {height}x{width}, {channels} channel{'s' if channels > 1 else ''}, mean brightness {ink:.3f}",
        f"to learn    {len(train):,} in {len(train.classes)} classes",
        *(f"  {name:<9} {count:,}" for name, count in zip(train.classes, counts, strict=True)),
        f"to predict  {'none' if test is None else f'{len(test):,}'}",
    ]
    if dataset.template is not None:
        lines.append(f"submission  {','.join(dataset.template.header)}, {len(dataset.template.ids):,} ids")
    return "\n".join(lines)
