"""A network from a plugin is built from a seed alone, and tried with two images before it is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hitofude.errors import RecipeError
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.networks import build_network
from hitofude.learning.operation_trace import trace_operations
from hitofude.learning.optimizers import WeightAverage
from hitofude.learning.own_networks import laid_out, memory_format_of
from hitofude.learning.plugins import load_plugins
from hitofude.learning.predicting import Predictor
from hitofude.learning.speed import measure_member, multiplications, training_flops
from hitofude.learning.training import MemberPlan
from hitofude.outputs.network_graph import operations
from hitofude.recipe import Recipe
from tests.conftest import measure_briefly
from tests.learning.test_plugins import SHAPE, load, network


def factory(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"@hitofude.register_network('mine')\ndef mine(image_shape, classes):\n{lines}"


MODULE = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(144, classes)
    def forward(self, images):
        return {}
return Net()"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('no such shape')", "line 5, in mine: KeyError: 'no such shape'"),
        ("return 3", "'mine' returns int, expected a torch.nn.Module"),
        ("return nn.Flatten()", "'mine' has no parameters to train"),
        (MODULE.format("self.layer(images.flatten(1))[:, :2]"), "returns (2, 2) float32, expected logits (2, 3)"),
        (MODULE.format("self.layer(images.flatten(1)).squeeze(0)"), "returns (3,) float32, expected logits (1, 3)"),
        (MODULE.format("(self.layer(images.flatten(1)), 1)"), "returns tuple, expected logits (2, 3)"),
        (MODULE.format("self.layer(images)"), "line 10, in forward: RuntimeError: mat1 and mat2"),
        (MODULE.format("torch.zeros(len(images), 3, requires_grad=True)"), "depend on no parameter"),
        (
            "net = nn.Sequential(nn.Flatten(), nn.Linear(144, classes))\n"
            "nn.init.constant_(net[1].weight, numpy.random.rand())\nreturn net",
            "is built differently each time",
        ),
        (
            MODULE.format("self.layer(images.flatten(1))").replace(
                "    def f", "    get_extra_state = dict\n    def f"
            ),
            "the state of 'mine' holds _extra_state, which is no tensor",
        ),
    ],
)
def test_a_network_that_cannot_be_trained_says_why(plugin: Path, body: str, message: str) -> None:
    load(plugin, factory(body))
    with pytest.raises(RecipeError) as error:
        network()
    assert message in str(error.value)
    assert str(plugin) in str(error.value)


def test_the_weights_are_a_function_of_the_seed_and_nothing_else_is_drawn(plugin: Path) -> None:
    load_plugins([plugin])
    before = torch.random.get_rng_state()
    first, same, other = (network("tiny", seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["block.weight"], other["block.weight"])


def test_weights_that_it_reads_from_a_file_are_kept_and_the_rest_follows_the_seed(plugin: Path) -> None:
    pretrained = nn.Conv2d(1, 4, 3).state_dict()
    weights = plugin.with_name("weights.pt")
    torch.save(pretrained, weights)
    body = (
        "layer = nn.Conv2d(1, 4, 3)\n"
        f"layer.load_state_dict(torch.load({str(weights)!r}))\n"
        "return nn.Sequential(layer, nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(classes))"
    )
    load(plugin, factory(body))
    first, other = (network("mine", seed).state_dict() for seed in (1, 2))
    assert all(torch.equal(found[f"0.{name}"], pretrained[name]) for found in (first, other) for name in pretrained)
    assert not torch.equal(first["3.weight"], other["3.weight"])


def test_a_margin_is_cut_off_before_it(plugin: Path) -> None:
    load_plugins([plugin])
    whole = build_network("tiny-margin-2", (1, 16, 16), 3, torch.Generator().manual_seed(1)).eval()
    inner, images = network("tiny", 1).eval(), torch.rand(2, 1, 16, 16)
    assert torch.equal(whole(images), inner(images[:, :, 2:-2, 2:-2]))


def test_a_forward_of_its_own_gets_plain_memory_and_torch_layers_the_faster_kind(plugin: Path) -> None:
    load_plugins([plugin])
    assert memory_format_of(network("tiny")) == torch.contiguous_format
    assert memory_format_of(network("resnet")) == torch.channels_last


def test_it_predicts_as_it_was_trained(plugin: Path, digits: ImageSet, compute: Compute) -> None:
    load_plugins([plugin])
    own = build_network("tiny", digits.image_shape, 10, torch.Generator().manual_seed(0)).eval()
    images = torch.from_numpy(digits.images[:40])
    with torch.inference_mode():
        expected = own(images.float() / 255).softmax(dim=1).numpy()
    np.testing.assert_allclose(Predictor(own, compute)(images), expected, atol=1e-6)
    assert Predictor(own, compute)(images[:0]).shape == (0, 10)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
        self.decode.weight = self.encode.weight


def test_tied_weights_are_saved_loaded_and_averaged_once(tmp_path: Path) -> None:
    saved, loaded = Tied(), Tied()
    MemberFolder(tmp_path).finish(saved, {}, [])
    MemberFolder(tmp_path).load_finished(loaded)
    assert torch.equal(loaded.decode.weight, saved.encode.weight)
    average = WeightAverage(saved, 0.5)
    for value in (0.0, 1.0):
        nn.init.constant_(saved.encode.weight, value)
        average.update()
    assert average.network.decode.weight is average.network.encode.weight
    expected = 1 - min(0.5, 1 / 10)  # the share of the second update
    assert average.network.encode.weight[0, 0].item() == pytest.approx(expected)


def test_its_operations_are_drawn_though_its_code_depends_on_values() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 2, 3), nn.Linear(2, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found = self.conv(images)
            if found.mean() > -100:
                found = found + found.relu()
            return self.head(found.flatten(2).amax(2))

    drawn = operations(Branching(), (1, 5, 5))
    assert [one.label for one in drawn] == [
        "images", "conv: Conv2d", "relu", "add", "flatten", "amax", "head: Linear", "logits"
    ]  # fmt: skip
    assert drawn[3].sources == ("conv", "relu")
    assert [one.parameters for one in drawn if one.parameters] == [20, 9]
    assert drawn[1].shape == "N×2×3×3"


def test_the_trace_leaves_the_network_unchanged() -> None:
    whole = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    trace_operations(whole, torch.zeros(2, 1, 2, 2))
    assert whole.training
    assert not whole[1]._forward_hooks


def test_its_multiplications_are_counted_wherever_they_are(plugin: Path) -> None:
    load(plugin, factory(MODULE.format("images.flatten(1) @ self.layer.weight.T")))
    assert multiplications("mine", SHAPE, 3) == 144 * 3
    assert training_flops("mine", SHAPE, 3) == 2 * (2 * 144 * 3)


def test_its_speed_is_measured(
    plugin: Path, digits: ImageSet, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_briefly(monkeypatch)
    load_plugins([plugin])
    settings = {"network.name": "tiny", "network.margin": 0, "augment.own": ["noise"]}
    recipe = Recipe.preset("fast").with_settings(settings)
    speed = measure_member(MemberPlan(0, recipe, np.arange(0), np.arange(0)), digits, compute)
    assert speed.trained > 0 < speed.predicted


def test_images_of_one_channel_in_either_layout_are_brought_into_the_one_asked_for() -> None:
    images = torch.rand(3, 1, 4, 5).contiguous(memory_format=torch.channels_last)
    assert laid_out(images, torch.contiguous_format).stride() == (20, 20, 5, 1)
    assert torch.equal(laid_out(images, torch.contiguous_format), images)
