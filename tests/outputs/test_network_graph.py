import re
import shutil
import subprocess

import pytest
import torch

from hitofude.learning.networks import NETWORKS, build_network
from hitofude.outputs.network_graph import network_graph


def medium() -> torch.nn.Module:
    return build_network("cnn-medium", (1, 28, 28), 10, torch.Generator().manual_seed(0))


def test_every_layer_shows_its_shape_and_its_parameters() -> None:
    dot = network_graph(medium(), (1, 28, 28), "cnn-medium")
    assert "cnn-medium: 95,156 parameters" in dot
    assert r"conv4: Conv2d\nN×32×10×10\n9,248 parameters" in dot
    assert r"images\nN×1×28×28" in dot
    assert r"logits\nN×10" in dot


def test_the_layers_parameters_add_up() -> None:
    dot = network_graph(medium(), (1, 28, 28), "cnn-medium")
    counts = [int(count.replace(",", "")) for count in re.findall(r"\\n([\d,]+) parameters", dot)]
    assert sum(counts) == 95_156


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not there")
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_graphviz_draws_it(name: str) -> None:
    network = build_network(name, (1, 28, 28), 10, torch.Generator().manual_seed(0))
    dot = network_graph(network, (1, 28, 28), name)
    drawn = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True)  # noqa: S607
    assert drawn.stdout.count("<title>") > 10
