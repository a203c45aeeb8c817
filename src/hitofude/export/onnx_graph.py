"""The whole ensemble as one ONNX graph, also in eight bits: pixels in, probabilities out.

PyTorch's exporter writes the networks. onnxscript writes the test-time augmentation, the mean and the temperature
around them, from the Python functions below; the networks are a function of the model, so their weights are in the file
once however often they are called.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.inputs.layout import ImageShape
from hitofude.learning.networks import images_from_bytes
from hitofude.recipe import TtaRecipe

if TYPE_CHECKING:
    import onnx

Pixels = Literal["uint8", "float32"]
TORCH_TYPES = {"uint8": torch.uint8, "float32": torch.float32}
OPSET, IR_VERSION = 18, 8
"""The end of 2022; onnxruntime reads it from 1.14 on."""
DOMAIN, NETWORKS = "hitofude", "networks"
"""The name of the networks' function."""
CALIBRATION_BATCH = 128


def networks_model(networks: Sequence[nn.Module], image_shape: ImageShape, pixels: Pixels) -> "onnx.ModelProto":
    """Export the members side by side: pixels (N, C, H, W) 0..255 → (N, members, classes) probabilities."""
    example = torch.zeros(2, *image_shape, dtype=TORCH_TYPES[pixels])
    return torch_to_onnx(_SideBySide(networks).eval(), example)


def ensemble_model(networks: "onnx.ModelProto", tta: TtaRecipe, temperature: float) -> "onnx.ModelProto":
    """Build the model: `pixels` (N, C, H, W) 0..255 → `probabilities` (N, classes), `members` (members, N, classes).

    networks: from networks_model. probabilities: the mean of the members, calibrated by the temperature; 1 leaves it
    uncalibrated. members: each member's probabilities after test-time augmentation, as in hitofude.learning.predicting.
    """
    import onnx
    import onnxscript

    pixels, output = networks.graph.input[0].type.tensor_type, networks.graph.output[0].type.tensor_type
    image_shape = [size.dim_value for size in pixels.shape.dim[1:]]
    members, classes = (size.dim_value for size in output.shape.dim[1:])
    uint8, float32 = cast(Any, onnxscript.UINT8), cast(Any, onnxscript.FLOAT)
    pixel_type = uint8 if pixels.elem_type == onnx.TensorProto.UINT8 else float32
    model: onnx.ModelProto = _ensemble_function(tta, temperature, image_shape[1:], (members, classes)).to_model_proto(
        input_types=[pixel_type["N", *image_shape]],
        output_types=[float32["N", classes], float32[members, "N", classes]],
        ir_version=IR_VERSION,
    )
    model.functions.append(_as_function(networks))
    onnx.checker.check_model(model, full_check=True)
    return model


def torch_to_onnx(network: nn.Module, example: torch.Tensor) -> "onnx.ModelProto":
    """Export a network by PyTorch, silently, for batches of any size: input `pixels`, output `probabilities`.

    example: an input of two or more rows.
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
            output_names=["probabilities"],
            opset_version=OPSET,
        )
    assert program is not None  # noqa: S101 - only the old exporter returns None
    return program.model_proto


def quantise(networks: "onnx.ModelProto", images: NDArray[np.uint8]) -> "onnx.ModelProto":
    """Turn weights and activations into integers of 8 bits; images (N, C, H, W) determine the activations' ranges.

    Weights keep 7 bits, so that processors without instructions for 8-bit products do not overflow (onnxruntime's
    documentation, "Quantize ONNX models").
    """
    import onnx
    from onnxruntime import quantization

    batches = iter(np.split(images, range(CALIBRATION_BATCH, len(images), CALIBRATION_BATCH)))
    reader = SimpleNamespace(get_next=lambda: next(({"pixels": batch} for batch in batches), None))
    logging.disable(logging.WARNING)  # onnxruntime advises a preparation that changes nothing in these networks
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder, "networks.onnx")
            quantization.quantize_static(
                networks, path, reader, per_channel=True, reduce_range=True,
                activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
            )  # fmt: skip
            return onnx.load(path)
    finally:
        logging.disable(logging.NOTSET)


class _SideBySide(nn.Module):
    """The networks on the same images."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) 0..255 → (N, members, classes) probabilities."""
        images = images_from_bytes(pixels)
        return torch.stack([network(images).softmax(dim=1) for network in self.networks], dim=1)


def _as_function(networks: "onnx.ModelProto") -> "onnx.FunctionProto":
    """Return the model as a function of the domain, its weights as constants."""
    from onnx import helper

    graph = networks.graph
    weights = [helper.make_node("Constant", [], [weight.name], value=weight) for weight in graph.initializer]
    inputs, outputs = [graph.input[0].name], [graph.output[0].name]
    return helper.make_function(DOMAIN, NETWORKS, inputs, outputs, [*weights, *graph.node], networks.opset_import)


def _ensemble_function(
    tta: TtaRecipe, temperature: float, size: Sequence[int], members_classes: tuple[int, int]
) -> Any:
    """Return the ensemble around the networks, as an onnxscript function."""
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    networks = values.Op(values.Opset(DOMAIN, 1), NETWORKS)
    see = _tta_function(op, networks, tta, size, members_classes) if tta.shift else networks
    tiny, axis_of_members = float(np.finfo(np.float32).tiny), [1]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def ensemble(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        each = see(pixels)
        mean = op.ReduceMean(each, axis_of_members, keepdims=0)
        probabilities = op.Softmax(op.Log(op.Max(mean, tiny)) / temperature, axis=1)
        members = op.Transpose(each, perm=[1, 0, 2])
        return probabilities, members

    return ensemble


def _tta_function(op: Any, networks: Any, tta: TtaRecipe, size: Sequence[int], members_classes: tuple[int, int]) -> Any:
    """Return a function of pixels (N, C, H, W) → (N, members, classes).

    An image that is unclear to any member is seen again, shifted up, down, left and right; the result of each member to
    which it is unclear is the mean of the five.
    """
    from onnxscript import script, values

    (height, width), shift, threshold = size, tta.shift, tta.threshold
    starts = {"up": (2 * shift, shift), "down": (0, shift), "left": (shift, 2 * shift), "right": (shift, 0)}
    up, down, left, right = map(list, starts.values())
    up_end, down_end, left_end, right_end = ([top + height, start + width] for top, start in starts.values())
    margins, sides = [0, 0, shift, shift] * 2, [2, 3]
    axis_of_shifts, axis_of_classes, all_but_images = [0], [2], [1, 2]
    by_shift = [4, -1, *members_classes]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def see_unclear_again(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        first = networks(pixels)
        is_unclear = op.ReduceMax(first, axis_of_classes) < threshold
        unclear_to_any = op.ReduceMax(op.Cast(is_unclear, to=7), all_but_images, keepdims=0)
        rows = op.Transpose(op.NonZero(unclear_to_any))
        if op.Size(rows) > 0:
            padded = op.Pad(op.GatherND(pixels, rows), margins)
            moved_up = op.Slice(padded, up, up_end, sides)
            moved_down = op.Slice(padded, down, down_end, sides)
            moved_left = op.Slice(padded, left, left_end, sides)
            moved_right = op.Slice(padded, right, right_end, sides)
            seen_again = networks(op.Concat(moved_up, moved_down, moved_left, moved_right, axis=0))
            sum_of_four = op.ReduceSum(op.Reshape(seen_again, by_shift), axis_of_shifts, keepdims=0)
            before = op.GatherND(first, rows)
            after = op.Where(op.GatherND(is_unclear, rows), (before + sum_of_four) / 5.0, before)
            result = op.ScatterND(first, rows, after)
        else:
            result = op.Identity(first)
        return result

    return see_unclear_again
