"""The images that an epoch shows: all of them, or those of which the network is least sure and as many others.

After a few epochs a network is sure of most images and learns little from them. Skipping some saves operations (I.
Loshchilov & F. Hutter 2016, arXiv:1511.06343; A. Jiang et al. 2019, arXiv:1910.00762). These choose by the loss, which
prefers wrong labels; the uncertainty does not depend on the label.
"""

import math

import torch
from torch import Tensor, nn

from hitofude.recipe import Recipe


def images_in_epoch(recipe: Recipe, rows: int, epoch: int, epochs: int) -> int:
    """Return the number of images that an epoch shows, from epoch 1: all in the first and in the final ones without
    augmentation, else the recipe's share.

    rows: of the member. epochs: of the training.
    """
    if epoch == 1 or epoch > epochs - recipe.augment.no_aug_epochs:
        return rows
    return math.ceil(recipe.schedule.epoch_share * rows)


def count_epochs(recipe: Recipe, rows: int) -> int:
    """Return the epochs of the recipe, or more if they are needed for its least number of steps.

    rows: of the member.
    """
    size, least = recipe.optimizer.batch_size, recipe.schedule.min_steps
    steps = [math.ceil(count / size) for count in (rows, math.ceil(recipe.schedule.epoch_share * rows))]
    whole = min(recipe.schedule.epochs, 1 + recipe.augment.no_aug_epochs)
    return max(recipe.schedule.epochs, whole + math.ceil((least - whole * steps[0]) / steps[1]))


class Uncertainty(nn.Module):
    """The uncertainty about each row when the network last saw it: 1 less the highest probability.

    A module, so that it belongs to the saved state of the training.
    """

    values: Tensor

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.ones(rows))

    @torch.no_grad()
    def update(self, rows: Tensor, logits: Tensor) -> None:
        """rows: (B,) int64; logits: (B, classes)."""
        self.values[rows] = 1 - logits.softmax(dim=1).amax(dim=1)

    def choose(self, rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Return (count,) places in rows, on the CPU and in random order: half of them of the highest uncertainty, the
        others drawn from the rest.

        rows: (N,) int64 on the device.
        """
        order = self.values[rows].cpu().argsort(descending=True, stable=True)
        unsure, rest = order.tensor_split([count // 2])
        others = rest[torch.randperm(len(rest), generator=generator)[: count - count // 2]]
        return torch.cat([unsure, others])[torch.randperm(count, generator=generator)]
