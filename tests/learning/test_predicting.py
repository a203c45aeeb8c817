"""Prediction: the same as the network's own, but faster."""

import numpy as np
import pytest
import torch
from torch import nn

from hitofude.inputs.image_set import ImageSet
from hitofude.learning import predicting
from hitofude.learning.compute import Compute
from hitofude.learning.networks import NETWORKS, build_network, images_from_bytes
from hitofude.learning.predicting import Predictor, images_at_once
from hitofude.recipe import TtaRecipe

each_network = pytest.mark.parametrize("name", sorted(NETWORKS))


def trained_like(name: str) -> nn.Module:
    """A network whose batch norms, if any, are far from the identity."""
    generator = torch.Generator().manual_seed(0)
    network = build_network(name, (1, 28, 28), 10, generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_var, module.weight.data):
                values.uniform_(0.5, 2, generator=generator)
            for values in (module.running_mean, module.bias.data):
                values.normal_(0, 0.3, generator=generator)
    return network


@pytest.fixture(scope="module")
def images(digits: ImageSet) -> torch.Tensor:
    """(40, 1, 28, 28) uint8"""
    return torch.from_numpy(digits.images[:40])


@each_network
def test_probabilities_are_the_softmax_of_the_networks_logits(
    name: str, images: torch.Tensor, compute: Compute
) -> None:
    network = trained_like(name)
    found = Predictor(network, compute)(images)
    with torch.no_grad():
        expected = network(images_from_bytes(images)).softmax(dim=1).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@each_network
def test_rows_sum_to_one(name: str, images: torch.Tensor, compute: Compute) -> None:
    probabilities = Predictor(trained_like(name), compute)(images)
    assert probabilities.shape == (40, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@each_network
def test_the_network_is_unchanged_except_for_evaluation_mode(name: str, images: torch.Tensor, compute: Compute) -> None:
    network = trained_like(name).train()
    modules, tensors = repr(network), {key: value.clone() for key, value in network.state_dict().items()}
    Predictor(network, compute)(images)
    assert repr(network) == modules
    assert all(torch.equal(value, tensors[key]) for key, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


@each_network
@pytest.mark.parametrize("batch_size", [1, 7, 40])
def test_the_batch_size_does_not_matter(name: str, batch_size: int, images: torch.Tensor, compute: Compute) -> None:
    network = trained_like(name)
    expected = Predictor(network, compute)(images)
    found = Predictor(network, compute, batch_size)(images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


@each_network
def test_two_predictions_are_the_same_bit_by_bit(name: str, images: torch.Tensor, compute: Compute) -> None:
    network = trained_like(name)
    first, second = (Predictor(network, compute)(images) for _ in range(2))
    assert np.array_equal(first, second)


@each_network
def test_no_images_have_no_probabilities(name: str, images: torch.Tensor, compute: Compute) -> None:
    assert Predictor(trained_like(name), compute)(images[:0]).shape == (0, 10)


@each_network
def test_test_time_augmentation_is_the_mean_of_five_predictions(
    name: str, images: torch.Tensor, compute: Compute
) -> None:
    network = trained_like(name)
    views = [images, *(images.roll(shift, dims=(2, 3)) for shift in ((2, 0), (-2, 0), (0, 2), (0, -2)))]
    for view, edge in zip(views[1:], (np.s_[:2, :], np.s_[-2:, :], np.s_[:, :2], np.s_[:, -2:]), strict=True):
        view[:, :, edge[0], edge[1]] = 0
    expected = np.mean([Predictor(network, compute)(view) for view in views], axis=0)
    found = Predictor(network, compute, tta=TtaRecipe(shift=2))(images)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_only_images_below_the_threshold_are_predicted_again(images: torch.Tensor, compute: Compute) -> None:
    network = trained_like("cnn-lean")
    once = Predictor(network, compute)(images)
    limit = float(np.median(once.max(axis=1)))
    found = Predictor(network, compute, tta=TtaRecipe(shift=1, threshold=limit))(images)
    clear = once.max(axis=1) >= limit
    assert np.array_equal(found[clear], once[clear])
    assert (found[~clear] != once[~clear]).any(axis=1).mean() > 0.9


@each_network
def test_bfloat16_predicts_nearly_the_same(name: str, images: torch.Tensor, compute: Compute) -> None:
    network = trained_like(name)
    half = Predictor(network, Compute(torch.device("cpu"), "bfloat16"))(images)
    assert half.dtype == np.float32
    assert np.abs(half - Predictor(network, compute)(images)).max() < 0.1


def test_an_activation_does_not_overwrite_a_tensor_that_is_used_again(images: torch.Tensor, compute: Compute) -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.activation = nn.Conv2d(1, 10, 28), nn.ReLU()

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            logits = self.layer(pixels)
            return (logits + self.activation(logits)).flatten(1)

    network = Residual()
    with torch.no_grad():
        expected = network(images_from_bytes(images)).softmax(dim=1).numpy()
    np.testing.assert_allclose(Predictor(network, compute)(images), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("shift", [0, 1])
def test_a_block_is_predicted_the_same_bit_by_bit_whatever_the_other_blocks(
    shift: int, digits: ImageSet, monkeypatch: pytest.MonkeyPatch, compute: Compute
) -> None:
    monkeypatch.setattr(predicting, "IMAGES_AT_ONCE", 128)
    predict, images = Predictor(trained_like("cnn-lean"), compute, tta=TtaRecipe(shift=shift)), digits.images
    together = predict(torch.from_numpy(images))
    alone = [predict(block) for block in torch.from_numpy(images).split(images_at_once((1, 28, 28)))]
    assert len(alone) == 3
    assert np.array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize(("shape", "count"), [((1, 28, 28), 4096), ((3, 64, 64), 1280), ((3, 2000, 2000), 128)])
def test_blocks_of_large_images_have_fewer_images(shape: tuple[int, int, int], count: int) -> None:
    assert images_at_once(shape) == count
