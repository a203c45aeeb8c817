import pytest
import torch
from torch import nn

from hitofude.errors import RecipeError
from hitofude.learning.networks import NETWORKS, build_network, count_parameters


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_cnn_medium_has_the_tutorials_parameters_and_names() -> None:
    network = build_network("cnn-medium", (1, 28, 28), 10, seeded())
    assert count_parameters(network) == 95_156
    weights = [name for name in network.state_dict() if name.endswith("weight")]
    assert weights == [*(f"conv{i}.weight" for i in range(1, 7)), "fc7.weight", "fc8.weight"]
    slopes = {module.negative_slope for module in network.modules() if isinstance(module, nn.LeakyReLU)}
    assert slopes == {0.05}


def test_cnn_medium_is_initialised_as_in_chainer() -> None:
    """LeCun normal weights of variance 1 / fan-in, and zero biases."""
    network = build_network("cnn-medium", (1, 28, 28), 10, seeded())
    conv5, fc7 = network.get_submodule("conv5"), network.get_submodule("fc7")
    assert isinstance(conv5, nn.Conv2d)
    assert isinstance(fc7, nn.Linear)
    assert conv5.weight.std().item() == pytest.approx((32 * 9) ** -0.5, rel=0.02)
    assert fc7.weight.std().item() == pytest.approx(1152**-0.5, rel=0.02)
    assert all(not tensor.any() for name, tensor in network.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 10), ((3, 40, 26), 2), ((1, 64, 64), 1000)])
def test_a_network_takes_any_shape_and_number_of_classes(name: str, shape: tuple[int, int, int], classes: int) -> None:
    network = build_network(name, shape, classes, seeded()).eval()
    assert network(torch.rand(2, *shape)).shape == (2, classes)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_network_takes_its_smallest_images_and_refuses_smaller_ones(name: str) -> None:
    smallest = NETWORKS[name][1]
    network = build_network(name, (1, smallest, smallest), 10, seeded()).eval()
    assert network(torch.rand(2, 1, smallest, smallest)).shape == (2, 10)
    with pytest.raises(RecipeError, match=f"at least {smallest}x{smallest}"):
        build_network(name, (1, smallest - 1, 28), 10, seeded())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_same_generator_builds_the_same_network_and_leaves_the_global_one_alone(name: str) -> None:
    before = torch.get_rng_state()
    first, second, other = (build_network(name, (1, 28, 28), 10, seeded(seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_network_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'cnn-medium'"):
        build_network("cnn-medum", (1, 28, 28), 10, seeded())


def test_a_margin_is_cut_off_by_the_first_layer() -> None:
    """A network of the inner pixels: the same weights, the same answers, whatever stands in the margin."""
    images = torch.rand(2, 1, 28, 26)
    whole = build_network("vgg-24-margin-2", (1, 28, 26), 10, seeded()).eval()
    inner = build_network("vgg-24", (1, 24, 22), 10, seeded()).eval()
    torch.testing.assert_close(whole(images), inner(images[:, :, 2:-2, 2:-2]), rtol=0, atol=0)
    with pytest.raises(RecipeError, match="at least 8x8"):
        build_network("vgg-24-margin-2", (1, 7, 28), 10, seeded())
