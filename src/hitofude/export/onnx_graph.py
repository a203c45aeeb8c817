"""The whole ensemble as one ONNX graph: pixels in, probabilities out, and everything between them inside.

PyTorch's own exporter writes the networks. What surrounds them, the shifted views, the mean and the temperature, is
written here in ONNX's text form, with the node `Networks` in the place where they are put.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from hitofude.inputs.layout import ImageShape
from hitofude.learning.networks import images_from_bytes
from hitofude.recipe import TtaRecipe

if TYPE_CHECKING:
    import onnx

Pixels = Literal["uint8", "float32"]
TORCH_TYPES = {"uint8": torch.uint8, "float32": torch.float32}
OPSET, IR_VERSION = 18, 8
"""Of the end of 2022; onnxruntime reads it from 1.14 on."""
PLACE = "Networks"

ENSEMBLE = """\
<ir_version: {ir_version}, opset_import: ["" : {opset}]>
ensemble ({type}[N, {sizes}] pixels)
  => (float[N, {classes}] probabilities, float[{members}, N, {classes}] members)
<int64[1] axis_of_members = {{1}}, {constants}>
{{
{each}
  members = Transpose <perm = [1, 0, 2]> (each)
  mean = ReduceMean <keepdims = 0> (each, axis_of_members)
  surely = Max (mean, tiny)
  logarithms = Log (surely)
  tempered = Div (logarithms, temperature)
  probabilities = Softmax <axis = 1> (tempered)
}}
"""
"""each: (N, members, classes) what the members say. Then their mean, at the temperature at which it is calibrated."""

NO_TTA = "  each = Networks (pixels)"

SHIFTED_VIEWS = """\
  one_count = Shape <start = 0, end = 1> (pixels)
  count = Squeeze (one_count)
  rows = Range (zero, count, one)
  any = Greater (count, zero)
  padded = Pad (pixels, margins, black)
  up = Slice (padded, from_up, to_up, sides)
  down = Slice (padded, from_down, to_down, sides)
  left = Slice (padded, from_left, to_left, sides)
  right = Slice (padded, from_right, to_right, sides)
  views = Concat <axis = 0> (pixels, up, down, left, right)
  by_class = Concat <axis = 0> (one_count, members_classes)
  by_member = Concat <axis = 0> (one_count, members_one)
  nothing = Expand (none, by_class)
  not_seen = Expand (none, by_member)
  all = Expand (whole, by_member)
  offsets = Mul (numbers, count)
  last, sum, seen, share = Loop (two, any, rows, nothing, not_seen, all) <body = looks
    (int64 turn, bool going, int64[R] view, float[N, M, K] sum_in, float[N, M, I] seen_in, float[N, M, I] share_in)
    => (bool again, int64[Q] view_out, float[N, M, K] sum_out, float[N, M, I] seen_out, float[N, M, I] share_out)
    {
      images = Gather (views, view)
      says = Networks (images)
      row = Mod (view, count)
      place = Unsqueeze (row, axis_last)
      weight = Gather (share_in, row)
      weighted = Mul (says, weight)
      sum_out = ScatterND <reduction = "add"> (sum_in, place, weighted)
      seen_out = ScatterND <reduction = "add"> (seen_in, place, weight)
      so_far = Div (sum_out, seen_out)
      surest = ReduceMax <keepdims = 1> (so_far, axis_of_classes)
      unclear = Less (surest, below)
      share_out = Cast <to = 1> (unclear)
      of_any = ReduceMax <keepdims = 0> (share_out, axes_of_share)
      is_unclear = Cast <to = 9> (of_any)
      look_at = Compress (rows, is_unclear)
      shifted = Add (look_at, offsets)
      view_out = Reshape (shifted, flat)
      left_over = Size (look_at)
      again = Greater (left_over, zero)
    }>
  each = Div (sum, seen)"""
"""Two looks: at all images as they are, then at those that are unclear to any member shifted to each side, where only
the members that they are unclear to have a say. views: (5 N, C, H, W); view v of image i is number v N + i."""


def networks_model(networks: Sequence[nn.Module], image_shape: ImageShape, pixels: Pixels) -> "onnx.ModelProto":
    """The members side by side, by PyTorch: pixels (N, C, H, W) 0..255 → (N, members, classes) probabilities."""
    example = torch.zeros(2, *image_shape, dtype=TORCH_TYPES[pixels])
    return torch_to_onnx(_Members(networks).eval(), example)


def ensemble_model(networks: "onnx.ModelProto", tta: TtaRecipe, temperature: float) -> "onnx.ModelProto":
    """The whole: `pixels` (N, C, H, W) 0..255 → `probabilities` (N, classes), `members` (members, N, classes).

    networks: what networks_model made. probabilities: the mean of the members, calibrated by the
    temperature; 1 leaves it as it is. members: of each, the mean of the views that it looked at, as
    hitofude.learning.predicting has it.
    """
    import onnx

    pixels, says = networks.graph.input[0].type.tensor_type, networks.graph.output[0].type.tensor_type
    channels, height, width = (size.dim_value for size in pixels.shape.dim[1:])
    members, classes = (size.dim_value for size in says.shape.dim[1:])
    type = "uint8" if pixels.elem_type == onnx.TensorProto.UINT8 else "float"
    text = ENSEMBLE.format(
        ir_version=IR_VERSION,
        opset=OPSET,
        sizes=f"{channels}, {height}, {width}",
        type=type,
        classes=classes,
        members=members,
        each=SHIFTED_VIEWS if tta.shift else NO_TTA,
        constants=", ".join(
            [f"float tiny = {{{np.finfo(np.float32).tiny}}}", f"float temperature = {{{temperature}}}"]
            + (_constants_of_views(tta, (height, width), (members, classes), type) if tta.shift else [])
        ),
    )
    model = onnx.parser.parse_model(text)
    _put(model.graph, onnx.compose.add_prefix(networks, "networks/").graph)
    onnx.checker.check_model(model, full_check=True)
    return model


def torch_to_onnx(network: nn.Module, example: torch.Tensor) -> "onnx.ModelProto":
    """PyTorch's export, for batches of any size: input `pixels`, output `says`. The exporter's chatter is left out.

    example: such an input, of two or more rows.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            input_names=["pixels"],
            output_names=["says"],
            opset_version=OPSET,
        )
    assert program is not None  # noqa: S101 - None only by the exporter of old
    return program.model_proto


class _Members(nn.Module):
    """What every network says of the same images."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) 0..255 → (N, members, classes) probabilities."""
        images = images_from_bytes(pixels)
        return torch.stack([network(images).softmax(dim=1) for network in self.networks], dim=1)


def _constants_of_views(
    tta: TtaRecipe, size: tuple[int, int], members_classes: tuple[int, int], type: str
) -> list[str]:
    """What the text of the shifted views names, as it is written in ONNX's text form."""
    (height, width), (members, classes), shift = size, members_classes, tta.shift
    corners = {"up": (2 * shift, shift), "down": (0, shift), "left": (shift, 2 * shift), "right": (shift, 0)}
    vectors = {
        "margins": (0, 0, shift, shift) * 2,
        "sides": (2, 3),
        **{f"from_{name}": corner for name, corner in corners.items()},
        **{f"to_{name}": (top + height, left + width) for name, (top, left) in corners.items()},
        "members_classes": (members, classes),
        "members_one": (members, 1),
        "axis_last": (-1,),
        "axis_of_classes": (2,),
        "axes_of_share": (1, 2),
        "flat": (-1,),
    }
    written = [f"int64[{len(values)}] {name} = {{{', '.join(map(str, values))}}}" for name, values in vectors.items()]
    return [
        *written,
        "int64[4, 1] numbers = {1, 2, 3, 4}",
        "int64 zero = {0}, int64 one = {1}, int64 two = {2}",
        f"float none = {{0}}, float whole = {{1}}, float below = {{{tta.threshold}}}, {type} black = {{0}}",
    ]


def _put(graph: "onnx.GraphProto", networks: "onnx.GraphProto") -> None:
    """Put the networks in their place, which is in the graph or in the body of its loop."""
    for inner in [
        graph,
        *(attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")),
    ]:
        for number, node in enumerate(inner.node):
            if node.op_type == PLACE:
                nodes = [
                    *inner.node[:number],
                    *_named(networks, node.input[0], node.output[0]),
                    *inner.node[number + 1 :],
                ]
                del inner.node[:]
                inner.node.extend(nodes)
                inner.initializer.extend(networks.initializer)
                return


def _named(networks: "onnx.GraphProto", pixels: str, says: str) -> list["onnx.NodeProto"]:
    """The networks' nodes, which take and give values of these names."""
    names = {networks.input[0].name: pixels, networks.output[0].name: says}
    nodes = []
    for node in networks.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        nodes.append(node)
    return nodes
