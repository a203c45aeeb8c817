"""Probabilities of trained networks."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.learning.engine import Engine
from hitofude.learning.networks import images_from_bytes

BATCH_SIZE = 1000


def predict_probabilities(
    network: nn.Module, images: torch.Tensor, engine: Engine, batch_size: int = BATCH_SIZE
) -> NDArray[np.float32]:
    """(N, classes) probabilities, softmax over the logits; each row sums to one.

    images: (N, C, H, W) uint8, any device. The network is left in evaluation mode.
    """
    network.eval()
    parts = []
    with torch.inference_mode(), engine.autocast():
        for batch in images.split(batch_size):
            pixels = images_from_bytes(batch.to(engine.device)).contiguous(memory_format=torch.channels_last)
            parts.append(network(pixels).float().softmax(dim=1))
    return torch.cat(parts).cpu().numpy()
