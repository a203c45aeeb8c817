"""The margin of the images that a network does not need: `network.margin = "blank"`."""

import numpy as np

from hitofude.inputs.image_set import ImageSet
from hitofude.recipe import Recipe

MOST_LOST = 0.005
"""The largest share of all images' brightness that the margin may hold."""
MOST_OF_SIDE = 14
"""The margin is at most the side divided by this: 2 pixels of 28."""


def settle_margin(recipe: Recipe, images: ImageSet) -> Recipe:
    """Return the recipe with the number of pixels in place of `blank`, in its variants too."""
    variants = recipe.ensemble.variants
    if "blank" not in {recipe.network.margin, *(one.get("network.margin") for one in variants)}:
        return recipe
    margin = blank_margin(images)
    settled = tuple(
        one | ({"network.margin": margin} if one.get("network.margin") == "blank" else {}) for one in variants
    )
    own = {"network.margin": margin} if recipe.network.margin == "blank" else {}
    return recipe.with_settings({"ensemble.variants": settled, **own})


def blank_margin(images: ImageSet) -> int:
    """Return the number of outer pixels on each side that are nearly black in the images, at most a fourteenth."""
    brightness = images.images.mean(axis=(0, 1), dtype=np.float64)
    for margin in range(min(brightness.shape) // MOST_OF_SIDE, 0, -1):
        if brightness[margin:-margin, margin:-margin].sum() >= (1 - MOST_LOST) * brightness.sum():
            return margin
    return 0
