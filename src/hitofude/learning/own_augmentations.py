"""Augmentations from plugins, which are applied after hitofude's own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hitofude.errors import RecipeError
from hitofude.learning.plugins import explaining_plugin_errors, own_augmentations


class OwnAugmentations:
    """The augmentations that a recipe names, one after the other."""

    def __init__(self, names: Sequence[str] | None) -> None:
        """names: as in `augment.own`. Raises RecipeError for an unknown one."""
        self._all = own_augmentations(names)
        self._generator: torch.Generator | None = None

    def begin(self, generator: torch.Generator | None) -> None:
        """Begin an epoch, whose batches are drawn from a CPU generator in turn; None for one without augmentation."""
        self._generator = generator

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W) float32 0..1 → the same shape. Raises RecipeError if the code fails or returns another one."""
        if self._generator is None:
            return images
        for one in self._all:
            with explaining_plugin_errors(one.source), torch.no_grad():
                changed = one.code(images, self._generator)
            found = getattr(changed, "shape", None), getattr(changed, "dtype", None), getattr(changed, "device", None)
            expected = images.shape, images.dtype, images.device
            if found != expected:
                raise RecipeError(f"{one}: it returns {_describe(*found)}, expected {_describe(*expected)}.")
            images = changed
        return images


def _describe(shape: object, kind: object, device: object) -> str:
    """`(128, 1, 28, 28) float32 on cpu`"""
    if not isinstance(shape, tuple):
        return "no tensor"
    return f"{tuple(shape)} {str(kind).removeprefix('torch.')} on {device}"
