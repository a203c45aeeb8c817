"""The inner features of a network, and the score by which images unlike anything learned are told.

See hitofude.metrics.novelty for the score.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node, symbolic_trace
from torch.fx.passes.shape_prop import ShapeProp

from hitofude.inputs.layout import ImageShape
from hitofude.learning.own_networks import has_known_layers
from hitofude.metrics.novelty import Familiar

MAPS = 2
"""The last activations that are used: earlier ones say more of strokes than of digits."""


def with_features(network: nn.Module, image_shape: ImageShape) -> nn.Module:
    """Return a network of the same layers: (N, C, H, W) float 0..1 → logits (N, classes) and features (N, F).

    The features are two numbers for each channel of the last two activations that are maps; of a network with code of
    other packages, which torch.fx may misread, they are the logits.
    """
    if not isinstance(network, GraphModule):
        if not has_known_layers(network):
            return _LogitsTwice(network)
        network = symbolic_trace(network)
    maps = _activations(network, image_shape)[-MAPS:]
    if not maps:
        return _LogitsTwice(network)
    graph = network.graph
    output = next(node for node in graph.nodes if node.op == "output")
    with graph.inserting_before(output):
        features = graph.call_function(pooled, tuple(maps))
    output.args = ((output.args[0], features),)
    network.recompile()
    return network


def pooled(*maps: Tensor) -> Tensor:
    """(N, C, H, W) each → (N, 2 × all channels): the roots of the mean and of the root mean square over the places.

    The roots bring the long tails of activations nearer to a normal distribution.
    """
    found = list[Tensor]()
    for one in maps:
        values = one.float()
        squares = values.square().mean(dim=(2, 3))
        found += [values.abs().mean(dim=(2, 3)).sqrt(), squares.sqrt().sqrt()]
    return torch.cat(found, dim=1)


class NoveltyScore(nn.Module):
    """The score of novelty as a layer: about 0 for images of the known kinds, more for others."""

    def __init__(self, familiar: Familiar) -> None:
        super().__init__()
        self.center = nn.Buffer(torch.from_numpy(familiar.center))
        self.projection = nn.Buffer(torch.from_numpy(familiar.projection))
        weights = 1 / familiar.variances
        self.weights = nn.Buffer(torch.from_numpy(weights.T.copy()))
        self.weighted_means = nn.Buffer(torch.from_numpy((familiar.means * weights).T.copy()))
        self.offsets = nn.Buffer(torch.from_numpy((familiar.means**2 * weights).mean(axis=1)))

    def forward(self, features: Tensor, probabilities: Tensor) -> Tensor:
        """features: (N, F); probabilities: (N, classes), the network's own, raw → (N, 1)."""
        projected = (features - self.center) @ self.projection.float()
        squares = projected.square() @ self.weights - 2 * projected @ self.weighted_means
        distance = (squares / projected.shape[1] + self.offsets).amin(dim=1, keepdim=True)
        doubt = -probabilities.amax(dim=1, keepdim=True).log()
        return distance.clamp(min=1e-6).log() + doubt


class _LogitsTwice(nn.Module):
    """A network whose logits are its features."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) → (N, classes) twice."""
        logits = self.network(images)
        return logits, logits.float()


def _activations(network: GraphModule, image_shape: ImageShape) -> list[Node]:
    """Return the places in the graph where an activation gives maps (N, C, H, W), in order."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        ShapeProp(network).propagate(torch.zeros(1, *image_shape, device=device))
    nodes = [node for node in network.graph.nodes if node.op == "call_module"]
    relus = [one for one in nodes if isinstance(network.get_submodule(cast(str, one.target)), nn.ReLU | nn.LeakyReLU)]
    return [node for node in relus if len(node.meta["tensor_meta"].shape) == 4]
