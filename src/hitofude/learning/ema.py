"""Moving averages of weights, which smooth out the noise of the last training steps."""

from collections.abc import Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn


class WeightAverage:
    """An exponential moving average of a network's weights and batch-norm statistics (Polyak & Juditsky 1992,
    doi:10.1137/0330046; A. Tarvainen & H. Valpola 2017, arXiv:1703.01780).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        self._decay = decay
        self._pairs = [
            (ours, theirs)
            for ours, theirs in zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
            if ours.is_floating_point()
        ]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's current weights."""
        for ours, theirs in self._pairs:
            ours.lerp_(theirs, 1 - self._decay)

    def recompute_statistics(self, batches: Iterable[Tensor]) -> None:
        """Replace the batch-norm statistics by those of batches of images, each (N, C, H, W) float 0..1."""
        update_bn(batches, self.network)
