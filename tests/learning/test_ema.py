"""Averaged weights against PyTorch's own, and recomputed batch-norm statistics."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hitofude.learning.ema import WeightAverage


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def step(network: nn.Module) -> None:
    """Change weights and statistics."""
    network(torch.rand(4, 1, 5, 5))
    with torch.no_grad():
        for values in network.parameters():
            values.add_(torch.rand_like(values))


def test_it_is_the_exponential_moving_average_of_pytorch() -> None:
    network = small()
    ours = WeightAverage(network, 0.75)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.75), use_buffers=True)
    theirs.update_parameters(network)  # the first one copies
    for _ in range(3):
        step(network)
        ours.update()
        theirs.update_parameters(network)
    expected = theirs.module.state_dict()
    found = ours.network.state_dict()
    assert all(torch.allclose(found[name], expected[name]) for name in found if found[name].is_floating_point())


def test_recomputed_statistics_are_those_of_the_images() -> None:
    network = small()
    average = WeightAverage(network, 0.9)
    batches = [torch.rand(6, 1, 5, 5) for _ in range(3)]
    average.recompute_statistics(batches)
    convolution, norm = average.network[0], average.network[1]  # type: ignore[index]
    means = torch.stack([convolution(batch).mean(dim=(0, 2, 3)) for batch in batches]).mean(dim=0)
    assert torch.allclose(norm.running_mean, means, atol=1e-6)
