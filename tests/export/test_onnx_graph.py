"""The graph computes the same as the networks; the oracle is PyTorch, as in `hitofude predict`."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from torch import nn

from hitofude.export.onnx_eight_bits import quantise
from hitofude.export.onnx_graph import Pixels, ensemble_model, networks_model
from hitofude.learning.compute import Compute
from hitofude.learning.networks import build_network
from hitofude.learning.predicting import Predictor
from hitofude.metrics.calibration import Cascade, Stage, join_members, with_temperature
from hitofude.metrics.metrics import mean_of_members
from hitofude.recipe import TtaRecipe

SHAPE, CLASSES = (3, 18, 20), 4


@pytest.fixture(scope="module")
def networks() -> list[nn.Module]:
    """Two of different kinds, untrained, for colour images that are not square."""
    return [
        build_network(name, SHAPE, CLASSES, torch.Generator().manual_seed(number)).eval()
        for number, name in enumerate(["cnn-lean", "cnn-medium"])
    ]


@pytest.fixture(scope="module")
def three(networks: list[nn.Module]) -> list[nn.Module]:
    return [*networks, build_network("cnn-lean", SHAPE, CLASSES, torch.Generator().manual_seed(2)).eval()]


@pytest.fixture(scope="module")
def one_by_one(three: list[nn.Module]) -> list[onnx.ModelProto]:
    """The second network, the third, the first."""
    return [networks_model([three[number]], SHAPE, "uint8") for number in (1, 2, 0)]


@pytest.fixture(scope="module")
def first_and_others(three: list[nn.Module], one_by_one: list[onnx.ModelProto]) -> list[onnx.ModelProto]:
    """The second network alone, and the others."""
    return [one_by_one[0], networks_model(three[::2], SHAPE, "uint8")]


@pytest.fixture(scope="module")
def side_by_side(networks: list[nn.Module]) -> onnx.ModelProto:
    return networks_model(networks, SHAPE, "uint8")


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)


def by_pytorch(
    networks: list[nn.Module], images: NDArray[np.uint8], tta: TtaRecipe, compute: Compute
) -> NDArray[np.float32]:
    """(members, N, classes)"""
    pixels = torch.tensor(images)
    return np.stack([Predictor(network, compute, tta=tta)(pixels) for network in networks])


def run(model: onnx.ModelProto, pixels: NDArray[np.generic]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    probabilities, members = session.run(None, {"pixels": pixels})
    return probabilities, members


def median_of_the_likeliest(networks: list[nn.Module], images: NDArray[np.uint8], compute: Compute) -> float:
    return float(np.median(by_pytorch(networks, images, TtaRecipe(), compute).max(axis=2)))


@pytest.mark.parametrize("shift", [0, 1, 3])
@pytest.mark.parametrize("unclear", ["none", "half", "all"])
def test_members_mean_and_temperature_are_pytorchs(
    networks: list[nn.Module], side_by_side: onnx.ModelProto, images: NDArray[np.uint8], compute: Compute,
    shift: int, unclear: str,
) -> None:  # fmt: skip
    below = {"none": 0.0, "half": median_of_the_likeliest(networks, images, compute), "all": 1.0}[unclear]
    tta = TtaRecipe(shift=shift, threshold=below)
    expected = by_pytorch(networks, images, tta, compute)
    probabilities, members = run(ensemble_model([side_by_side], tta, 0.7), images)
    assert np.abs(members - expected).max() < 1e-6
    assert np.abs(probabilities - with_temperature(mean_of_members(expected), 0.7)).max() < 1e-6


@pytest.mark.parametrize("shift", [0, 2])
def test_a_simple_graph_gives_the_same_answers_by_ordinary_operations_alone(
    networks: list[nn.Module], side_by_side: onnx.ModelProto, images: NDArray[np.uint8], compute: Compute, shift: int
) -> None:
    tta = TtaRecipe(shift=shift, threshold=median_of_the_likeliest(networks, images, compute))
    expected = by_pytorch(networks, images, tta, compute)
    model = ensemble_model([side_by_side], tta, 0.7, simple=True)
    probabilities, members = run(model, images)
    assert np.abs(members - expected).max() < 1e-6
    assert np.abs(probabilities - with_temperature(mean_of_members(expected), 0.7)).max() < 1e-6
    assert not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert not [node for node in model.graph.node for attribute in node.attribute if attribute.HasField("g")]
    assert "GlobalMaxPool" in {node.op_type for node in model.graph.node}
    assert model.ByteSize() < 1.1 * side_by_side.ByteSize(), "weights are in the file once"


@pytest.mark.parametrize("simple", [False, True])
@pytest.mark.parametrize("eight_bits", [False, True])
def test_onnxs_own_evaluator_reads_every_form(
    side_by_side: onnx.ModelProto, images: NDArray[np.uint8], simple: bool, eight_bits: bool
) -> None:
    """In eight bits a value in the middle of two steps may be rounded either way."""
    networks = quantise(side_by_side, images) if eight_bits else side_by_side
    model = ensemble_model([networks], TtaRecipe(shift=1, threshold=0.5), 0.7, simple=simple)
    found, _ = ReferenceEvaluator(model).run(None, {"pixels": images[:2]})
    assert np.abs(found - run(model, images[:2])[0]).max() < (0.02 if eight_bits else 1e-6)


@pytest.mark.parametrize("unclear", ["none", "half", "all"])
@pytest.mark.parametrize("shift", [0, 1])
def test_the_others_are_asked_only_about_what_is_unclear_to_the_first(
    three: list[nn.Module], first_and_others: list[onnx.ModelProto], images: NDArray[np.uint8], compute: Compute,
    unclear: str, shift: int,
) -> None:  # fmt: skip
    tta = TtaRecipe(shift=shift, threshold=median_of_the_likeliest(three, images, compute))
    expected = by_pytorch(three, images, tta, compute)
    likeliest = np.sort(expected[1].max(axis=1))
    threshold = {"none": 0.0, "half": float(likeliest[19:21].mean()), "all": 1.0}[unclear]
    clear = expected[1].max(axis=1) >= threshold
    cascade = Cascade((Stage(1, threshold, 0.5),), 0.0)
    probabilities, members = run(ensemble_model(first_and_others, tta, 0.7, cascade), images)
    assert clear.sum() == {"none": 40, "half": 20, "all": 0}[unclear]
    assert np.abs(members - np.where(clear[:, None], expected[1], expected)).max() < 1e-6
    assert np.abs(probabilities - join_members(expected, 0.7, cascade)).max() < 1e-6


@pytest.mark.parametrize("unclear", ["none", "half", "all"])
def test_members_are_asked_one_after_another_until_an_image_is_clear(
    three: list[nn.Module], one_by_one: list[onnx.ModelProto], images: NDArray[np.uint8], compute: Compute, unclear: str
) -> None:
    tta = TtaRecipe(shift=1, threshold=median_of_the_likeliest(three, images, compute))
    expected = by_pytorch(three, images, tta, compute)
    mean_of_two = expected[1:].mean(axis=0)
    first, second = (np.sort(found.max(axis=1))[19:21].mean() for found in (expected[1], mean_of_two))
    thresholds = {"none": (0.0, 0.0), "half": (float(first), float(second)), "all": (1.0, 1.0)}[unclear]
    asked = np.full(len(images), 3)
    asked[mean_of_two.max(axis=1) >= thresholds[1]] = 2
    asked[expected[1].max(axis=1) >= thresholds[0]] = 1
    filled = expected.copy()
    filled[0, asked == 2] = mean_of_two[asked == 2]
    filled[:, asked == 1] = expected[1, asked == 1]
    cascade = Cascade((Stage(1, thresholds[0], 0.5), Stage(2, thresholds[1], 0.2)), 0.0)
    probabilities, members = run(ensemble_model(one_by_one, tta, 0.7, cascade), images)
    assert len(set(asked)) == (3 if unclear == "half" else 1)
    assert np.abs(members - filled).max() < 1e-6
    assert np.abs(probabilities - with_temperature(mean_of_members(filled), 0.7)).max() < 1e-6
    assert cascade.count_asked(members).tolist() == asked.tolist()


def test_an_image_is_answered_alike_alone_and_among_others(
    networks: list[nn.Module], side_by_side: onnx.ModelProto, images: NDArray[np.uint8], compute: Compute
) -> None:
    tta = TtaRecipe(shift=1, threshold=median_of_the_likeliest(networks, images, compute))
    model = ensemble_model([side_by_side], tta, 1)
    together, _ = run(model, images)
    alone = np.concatenate([run(model, images[row : row + 1])[0] for row in range(4)])
    assert np.abs(alone - together[:4]).max() < 1e-6


def test_pixels_may_be_floats(networks: list[nn.Module], images: NDArray[np.uint8], compute: Compute) -> None:
    pixels: Pixels = "float32"
    tta = TtaRecipe(shift=1, threshold=1.0)
    model = ensemble_model([networks_model(networks[:1], SHAPE, pixels)], tta, 1)
    probabilities, _ = run(model, images.astype(np.float32))
    assert np.abs(probabilities - by_pytorch(networks[:1], images, tta, compute)[0]).max() < 1e-6


def test_the_model_names_no_file_of_the_machine_that_exported_it(side_by_side: onnx.ModelProto) -> None:
    content = ensemble_model([side_by_side], TtaRecipe(shift=1), 1.0).SerializeToString()
    assert str(Path(torch.__file__).parents[1]).encode() not in content
    assert b".py" not in content


def test_the_weights_are_there_once_however_often_the_networks_look(side_by_side: onnx.ModelProto) -> None:
    twice, once = ensemble_model([side_by_side], TtaRecipe(shift=1), 1), ensemble_model([side_by_side], TtaRecipe(), 1)
    assert len(twice.SerializeToString()) < len(once.SerializeToString()) + 10_000
