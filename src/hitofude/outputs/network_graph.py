"""The computation graph of a network: its operations, and a drawing as Graphviz's dot."""

import threading
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from hitofude.inputs.layout import ImageShape
from hitofude.storage import write_text

_TRACING = threading.Lock()
"""Held while torch.fx traces: it changes nn.Module itself meanwhile, for all threads."""


@dataclass(frozen=True)
class Operation:
    """A node of the graph."""

    name: str
    what: str
    shape: str
    """Of its output, N images."""
    parameters: int
    sources: tuple[str, ...]
    """The names of the operations whose outputs it takes."""


def write_network_graph(path: Path, network: nn.Module, image_shape: ImageShape, name: str) -> None:
    """Write a drawing with a node an operation: its kind, its output's shape, its number of parameters."""
    write_text(path, network_graph(network, image_shape, name))


def network_graph(network: nn.Module, image_shape: ImageShape, name: str) -> str:
    """Dot text; `dot -Tsvg network.dot` draws it."""
    total = sum(parameter.numel() for parameter in network.parameters())
    lines = [
        "digraph network {",
        f'  label="{name}: {total:,} parameters"; labelloc=t; fontname="Helvetica";',
        '  node [shape=box, style="rounded,filled", fillcolor="#eef4f8", fontname="Helvetica"];',
    ]
    for operation in operations(network, image_shape):
        count = f"\\n{operation.parameters:,} parameters" if operation.parameters else ""
        lines.append(f'  "{operation.name}" [label="{operation.what}\\n{operation.shape}{count}"];')
        lines += [f'  "{source}" -> "{operation.name}";' for source in operation.sources]
    return "\n".join([*lines, "}"]) + "\n"


def operations(network: nn.Module, image_shape: ImageShape) -> list[Operation]:
    """In the order in which they are computed. The network, left in evaluation mode, must be traceable by torch.fx."""
    device = next(network.parameters()).device
    with _TRACING:
        traced = fx.symbolic_trace(network.eval())
        ShapeProp(traced).propagate(torch.zeros(2, *image_shape, device=device))
    return [_operation(node, traced) for node in traced.graph.nodes]


def _operation(node: fx.Node, traced: fx.GraphModule) -> Operation:
    metadata = node.meta.get("tensor_meta")
    shape = "×".join(["N", *(str(size) for size in metadata.shape[1:])]) if metadata else ""
    what = {"placeholder": "images", "output": "logits"}.get(node.op, node.name)
    parameters = 0
    if node.op == "call_module":
        module = traced.get_submodule(str(node.target))
        what = f"{node.target}: {type(module).__name__}"
        parameters = sum(parameter.numel() for parameter in module.parameters())
    return Operation(node.name, what, shape, parameters, tuple(source.name for source in node.all_input_nodes))
