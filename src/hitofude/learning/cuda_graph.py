"""CUDA graphs of training steps.

A step of a small network has dozens of kernels, each of which takes longer to launch than to run. A CUDA graph
launches them together (https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hitofude.learning.augment import Transforms

Step = Callable[[Tensor, Transforms | None], tuple[Tensor, Tensor]]
"""Rows (B,) and the transforms of their images → mean loss () and number of hits ()."""

WARM_UP_STEPS = 3


class GraphedStep:
    """A recorded step for batches of one size, with the same results."""

    def __init__(self, graph: torch.cuda.CUDAGraph, inputs: list[Tensor], outputs: tuple[Tensor, Tensor]) -> None:
        self._graph, self._inputs, self._outputs = graph, inputs, outputs

    def fits(self, rows: Tensor) -> bool:
        return len(rows) == len(self._inputs[0])

    def __call__(self, rows: Tensor, transforms: Transforms | None) -> tuple[Tensor, Tensor]:
        for input, values in zip(self._inputs, _inputs(rows, transforms), strict=True):
            input.copy_(values)
        self._graph.replay()
        loss, hits = self._outputs
        return loss.clone(), hits.clone()


def record(
    step: Step,
    rows: Tensor,
    transforms: Transforms | None,
    networks: Iterable[nn.Module],
    optimizer: torch.optim.Optimizer,
) -> GraphedStep:
    """Record a step for batches like this one, leaving networks and optimizer unchanged.

    Raises RuntimeError if PyTorch cannot record it.
    """
    rows = rows.clone()
    if transforms is not None:
        transforms = transforms.each(Tensor.clone)
    with leaving_unchanged(networks, optimizer):
        stream = torch.cuda.Stream()  # a separate one, so that libraries choose kernels and allocate memory beforehand
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                step(rows, transforms)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = step(rows, transforms)
    return GraphedStep(graph, _inputs(rows, transforms), outputs)


@contextmanager
def leaving_unchanged(networks: Iterable[nn.Module], optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Undo the steps of the block in place; state that an optimizer creates at its first step becomes zero."""
    networks = list(networks)
    before = {name: tensor.clone() for name, tensor in _state(networks, optimizer)}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, tensor in _state(networks, optimizer):
                if name in before:
                    tensor.copy_(before[name])
                else:
                    tensor.zero_()


def _inputs(rows: Tensor, transforms: Transforms | None) -> list[Tensor]:
    return [rows, *(values for values in transforms or () if values is not None)]


def _state(networks: Iterable[nn.Module], optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """Yield all tensors that a step changes, by name, since `state_dict` returns new tensors of the same memory."""
    for number, network in enumerate(networks):
        for name, tensor in network.state_dict().items():
            yield f"network.{number}.{name}", tensor
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                yield f"optimizer.{index}.{name}", value
