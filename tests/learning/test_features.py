"""The inner features of every network, against hooks on its own layers."""

import numpy as np
import pytest
import torch
from torch import nn

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.compute import Compute
from hitofude.learning.features import with_features
from hitofude.learning.networks import NETWORKS, build_network
from hitofude.learning.predicting import Inspect, Predictor

SHAPE = (1, 28, 28)


def built(name: str) -> nn.Module:
    return build_network(name, SHAPE, 10, torch.Generator().manual_seed(0)).eval()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_features_are_two_means_of_each_channel_of_the_last_two_activations(name: str) -> None:
    network, seen = built(name), list[torch.Tensor]()
    images = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(1))
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU | nn.LeakyReLU)]
    hooks = [relu.register_forward_hook(lambda *found: seen.append(found[2].clone())) for relu in relus]
    with torch.inference_mode():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    maps = [one for one in seen if one.dim() == 4][-2:]
    pairs = [(one.abs().mean(dim=(2, 3)).sqrt(), one.square().mean(dim=(2, 3)) ** 0.25) for one in maps]
    with torch.inference_mode():
        same_logits, features = with_features(built(name), SHAPE)(images)
    torch.testing.assert_close(same_logits, logits)
    torch.testing.assert_close(features, torch.cat([one for pair in pairs for one in pair], dim=1))


def test_a_network_of_a_plugin_has_its_logits_as_features() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(784, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.linear(images.flatten(1))
            return found

    logits, features = with_features(Own(), SHAPE)(torch.rand(2, *SHAPE))
    assert torch.equal(logits, features)


@pytest.mark.parametrize("name", ["vgg-24", "resnet"])
def test_asking_more_changes_no_bit_of_the_probabilities(name: str, digits: ImageSet, compute: Compute) -> None:
    images, inspect = torch.from_numpy(digits.images), Inspect(lambda features, _: features, SHAPE)
    probabilities, features = Predictor(built(name), compute, inspect=inspect).inspected(images)
    assert np.array_equal(probabilities, Predictor(built(name), compute)(images))
    assert features.shape[0] == len(images)


def test_no_images_have_no_features(compute: Compute, digits: ImageSet) -> None:
    inspect = Inspect(lambda features, _: features, SHAPE)
    probabilities, features = Predictor(built("vgg-24"), compute, inspect=inspect).inspected(
        torch.from_numpy(digits.images[:0])
    )
    assert (len(probabilities), len(features)) == (0, 0)
