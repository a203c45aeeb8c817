"""An ONNX model without functions of its own, for runtimes that know ordinary operations alone."""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def in_ordinary_operations(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Return the model with the nodes of its functions in the place of the calls. It must have no branches."""
    from onnx import inliner

    model = inliner.inline_local_functions(model)
    _pool_globally(model)
    _share_constants(model)
    return model


def _pool_globally(model: "onnx.ModelProto") -> None:
    """Put GlobalMaxPool in the place of maxima over rows and columns, which pnnx for ncnn does not convert."""
    from onnx import numpy_helper

    nodes = model.graph.node
    constants = {node.output[0]: node.attribute[0].t for node in _tensors(model)}
    for node in nodes:
        if node.op_type != "ReduceMax" or len(node.input) < 2 or node.input[1] not in constants:
            continue
        keeps = all(attribute.i == 1 for attribute in node.attribute if attribute.name == "keepdims")
        if keeps and numpy_helper.to_array(constants[node.input[1]]).tolist() == [2, 3]:
            node.op_type = "GlobalMaxPool"
            del node.input[1:], node.attribute[:]
    used = {name for node in nodes for name in node.input}
    for node in [node for node in _tensors(model) if node.output[0] not in used]:
        nodes.remove(node)


def _share_constants(model: "onnx.ModelProto") -> None:
    """Keep each constant once: networks that are called twice have them twice."""
    nodes = model.graph.node
    known: dict[bytes, str] = {}
    instead: dict[str, str] = {}
    for node in list(_tensors(model)):
        tensor = copy.deepcopy(node.attribute[0].t)
        tensor.ClearField("name")
        first = known.setdefault(tensor.SerializeToString(deterministic=True), node.output[0])
        if first != node.output[0]:
            instead[node.output[0]] = first
            nodes.remove(node)
    for node in nodes:
        for place, name in enumerate(node.input):
            node.input[place] = instead.get(name, name)


def _tensors(model: "onnx.ModelProto") -> Iterator["onnx.NodeProto"]:
    """Return the constants that are tensors; others are short lists and numbers."""
    return (node for node in model.graph.node if node.op_type == "Constant" and node.attribute[0].name == "value")
