"""The computation graph of a network, as Graphviz's dot."""

from pathlib import Path

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from hitofude.storage import write_text

ImageShape = tuple[int, int, int]


def write_network_graph(path: Path, network: nn.Module, image_shape: ImageShape, name: str) -> None:
    """Write a drawing with a node an operation: its kind, its output's shape, its number of parameters."""
    write_text(path, network_graph(network, image_shape, name))


def network_graph(network: nn.Module, image_shape: ImageShape, name: str) -> str:
    """Dot text; `dot -Tsvg network.dot` draws it. N stands for the number of images."""
    traced = fx.symbolic_trace(network.eval())
    device = next(network.parameters()).device
    ShapeProp(traced).propagate(torch.zeros(2, *image_shape, device=device))
    total = sum(parameter.numel() for parameter in network.parameters())
    lines = [
        "digraph network {",
        f'  label="{name}: {total:,} parameters"; labelloc=t; fontname="Helvetica";',
        '  node [shape=box, style="rounded,filled", fillcolor="#eef4f8", fontname="Helvetica"];',
    ]
    for node in traced.graph.nodes:
        lines.append(f'  "{node.name}" [label="{_describe(node, traced)}"];')
        lines += [f'  "{source.name}" -> "{node.name}";' for source in node.all_input_nodes]
    return "\n".join([*lines, "}"]) + "\n"


def _describe(node: fx.Node, traced: fx.GraphModule) -> str:
    metadata = node.meta.get("tensor_meta")
    shape = "×".join(["N", *(str(size) for size in metadata.shape[1:])]) if metadata else ""
    if node.op == "placeholder":
        return f"images\\n{shape}"
    if node.op == "output":
        return f"logits\\n{shape}"
    if node.op != "call_module":
        return f"{node.name}\\n{shape}"
    module = traced.get_submodule(str(node.target))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    count = f"\\n{parameters:,} parameters" if parameters else ""
    return f"{node.target}: {type(module).__name__}\\n{shape}{count}"
