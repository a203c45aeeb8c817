"""The computation graph of a network: its operations, and a drawing in Graphviz's dot language."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hitofude.inputs.layout import ImageShape

if TYPE_CHECKING:
    from torch import fx, nn

_TRACING = threading.Lock()
"""Held during tracing: torch.fx patches nn.Module for all threads."""


@dataclass(frozen=True)
class Operation:
    """A node of the graph."""

    name: str
    label: str  # for people: the layer's name and type, or the function
    shape: str  # of the output, for N images
    parameters: int
    sources: tuple[str, ...]  # the names of the operations whose outputs it takes


def network_graph(network: "nn.Module", image_shape: ImageShape, name: str) -> str:
    """Return dot text with a node for each operation: label, output shape, number of parameters.

    `dot -Tsvg network.dot` draws it.
    """
    total = sum(parameter.numel() for parameter in network.parameters())
    lines = [
        "digraph network {",
        f'  label="{name}: {total:,} parameters"; labelloc=t; fontname="Helvetica";',
        '  node [shape=box, style="rounded,filled", fillcolor="#eef4f8", fontname="Helvetica"];',
    ]
    for operation in operations(network, image_shape):
        count = f"\\n{operation.parameters:,} parameters" if operation.parameters else ""
        lines.append(f'  "{operation.name}" [label="{operation.label}\\n{operation.shape}{count}"];')
        lines += [f'  "{source}" -> "{operation.name}";' for source in operation.sources]
    return "\n".join([*lines, "}"]) + "\n"


def operations(network: "nn.Module", image_shape: ImageShape) -> list[Operation]:
    """Return the operations in the order of computation. The network is left in evaluation mode.

    One with code of other packages, which torch.fx may misread, is run once to see them.
    """
    import torch
    from torch import fx
    from torch.fx.passes.shape_prop import ShapeProp

    from hitofude.learning.operation_trace import trace_operations
    from hitofude.learning.own_networks import has_known_layers

    images = torch.zeros(2, *image_shape, device=next(network.parameters()).device)
    if not has_known_layers(network):
        steps = trace_operations(network.eval(), images)
        return [Operation(one.name, one.label, _shape(one.shape), one.parameters, one.sources) for one in steps]
    with _TRACING:
        traced = fx.symbolic_trace(network.eval())
        ShapeProp(traced).propagate(images)
    return [_operation(node, traced) for node in traced.graph.nodes]


def _shape(sizes: Sequence[int]) -> str:
    """(2, 1, 28, 28) → 'N×1×28×28'"""
    return "×".join(["N", *map(str, sizes[1:])]) if len(sizes) else ""


def _operation(node: "fx.Node", traced: "fx.GraphModule") -> Operation:
    metadata = node.meta.get("tensor_meta")
    shape = _shape(metadata.shape) if metadata else ""
    label = {"placeholder": "images", "output": "logits"}.get(node.op, node.name)
    parameters = 0
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        label = f"{node.target}: {type(module).__name__}"
        parameters = sum(parameter.numel() for parameter in module.parameters())
    return Operation(node.name, label, shape, parameters, tuple(source.name for source in node.all_input_nodes))
