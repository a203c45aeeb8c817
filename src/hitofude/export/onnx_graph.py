"""The whole ensemble as one ONNX graph, also in eight bits: pixels in, probabilities out.

PyTorch's exporter writes the networks. onnxscript writes the test-time augmentation, the mean and the temperature
around them, from the Python functions below; the networks are a function of the model, so their weights are in the file
once however often they are called. With a cascade they are two: the member asked first, and the others, which compute
only the images that are not clear to it.
"""

import contextlib
import copy
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
from hitofude.metrics.calibration import Cascade
from hitofude.recipe import TtaRecipe

if TYPE_CHECKING:
    import onnx

Pixels = Literal["uint8", "float32"]
TORCH_TYPES = {"uint8": torch.uint8, "float32": torch.float32}
OPSET, IR_VERSION = 18, 8
"""The end of 2022; onnxruntime reads it from 1.14 on."""
DOMAIN, NETWORKS, OTHERS = "hitofude", "networks", "others"
"""The names of the functions of all networks, or of the first and the others."""
CALIBRATION_BATCH = 128


def networks_model(networks: Sequence[nn.Module], image_shape: ImageShape, pixels: Pixels) -> "onnx.ModelProto":
    """Export the members side by side: pixels (N, C, H, W) 0..255 → (N, members, classes) probabilities."""
    example = torch.zeros(2, *image_shape, dtype=TORCH_TYPES[pixels])
    return torch_to_onnx(_SideBySide(networks).eval(), example)


def ensemble_model(
    networks: Sequence["onnx.ModelProto"], tta: TtaRecipe, temperature: float, cascade: Cascade | None = None
) -> "onnx.ModelProto":
    """Build the model: `pixels` (N, C, H, W) 0..255 → `probabilities` (N, classes), `members` (members, N, classes).

    networks: from networks_model, all members; with a cascade two models, the first member and the others in their
    order. probabilities: the answer of the members, calibrated by the temperature; 1 leaves it uncalibrated. members:
    each member's probabilities after test-time augmentation, as in hitofude.learning.predicting; of an image that the
    first member answers alone, all are the first's.
    """
    import onnx
    import onnxscript

    pixels = networks[0].graph.input[0].type.tensor_type
    image_shape = [size.dim_value for size in pixels.shape.dim[1:]]
    sizes = [_members_and_classes(part) for part in networks]
    members, classes = sum(count for count, _ in sizes), sizes[0][1]
    uint8, float32 = cast(Any, onnxscript.UINT8), cast(Any, onnxscript.FLOAT)
    pixel_type = uint8 if pixels.elem_type == onnx.TensorProto.UINT8 else float32
    asking = [_asking(part, name, tta) for part, name in zip(networks, (NETWORKS, OTHERS), strict=False)]
    operators = [operator for operator, _ in asking]
    if cascade is None:
        whole = _ensemble_function(operators[0], temperature)
    else:
        whole = _cascade_function(operators[0], operators[1], members, temperature, cascade)
    model: onnx.ModelProto = whole.to_model_proto(
        input_types=[pixel_type["N", *image_shape]],
        output_types=[float32["N", classes], float32[members, "N", classes]],
        ir_version=IR_VERSION,
    )
    for _, functions in asking:
        model.functions.extend(functions)
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
                copy.deepcopy(networks), path, reader, per_channel=True, reduce_range=True,
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


def _as_function(networks: "onnx.ModelProto", name: str) -> "onnx.FunctionProto":
    """Return the model as a function of the domain, its weights as constants."""
    from onnx import helper

    graph = networks.graph
    weights = [helper.make_node("Constant", [], [weight.name], value=weight) for weight in graph.initializer]
    inputs, outputs = [graph.input[0].name], [graph.output[0].name]
    return helper.make_function(DOMAIN, name, inputs, outputs, [*weights, *graph.node], networks.opset_import)


def _members_and_classes(networks: "onnx.ModelProto") -> tuple[int, int]:
    members, classes = networks.graph.output[0].type.tensor_type.shape.dim[1:]
    return members.dim_value, classes.dim_value


def _asking(networks: "onnx.ModelProto", name: str, tta: TtaRecipe) -> tuple[Any, list["onnx.FunctionProto"]]:
    """Return an operator: pixels (N, C, H, W) → (N, members, classes) after test-time augmentation, and its functions.

    name: of the networks' own function.
    """
    from onnxscript import values

    function, of_domain = _as_function(networks, name), values.Opset(DOMAIN, 1)
    if not tta.shift:
        return values.Op(of_domain, name), [function]
    again = _tta_function(values.Op(of_domain, name), networks, tta).to_function_proto()
    again.domain, again.name = DOMAIN, f"{name}_see_unclear_again"
    return values.Op(of_domain, again.name), [function, again]


def _ensemble_function(ask: Any, temperature: float) -> Any:
    """Return the mean of all members as an onnxscript function."""
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    tiny, axis_of_members = float(np.finfo(np.float32).tiny), [1]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def ensemble(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        each = ask(pixels)
        mean = op.ReduceMean(each, axis_of_members, keepdims=0)
        probabilities = op.Softmax(op.Log(op.Max(mean, tiny)) / temperature, axis=1)
        members = op.Transpose(each, perm=[1, 0, 2])
        return probabilities, members

    return ensemble


def _cascade_function(ask_first: Any, ask_others: Any, members: int, temperature: float, cascade: Cascade) -> Any:
    """Return the first member's answer to clear images, and the mean of all to others, as an onnxscript function."""
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    tiny, axis_of_members, all_but_images = float(np.finfo(np.float32).tiny), [1], [1, 2]
    threshold, shape = cascade.threshold, [1, members, 1]
    places = [place + (place < cascade.first) for place in range(members)]  # the first lies before the others
    places[cascade.first] = 0

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def ensemble(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        first = ask_first(pixels)
        is_unclear = op.ReduceMax(first, all_but_images, keepdims=0) < threshold
        rows = op.Transpose(op.NonZero(is_unclear))
        alone = op.Expand(first, shape)
        if op.Size(rows) > 0:
            of_others = ask_others(op.GatherND(pixels, rows))
            of_all = op.Concat(op.GatherND(first, rows), of_others, axis=1)
            each = op.ScatterND(alone, rows, op.Gather(of_all, places, axis=1))
        else:
            each = op.Identity(alone)
        mean = op.ReduceMean(each, axis_of_members, keepdims=0)
        joined = op.Where(op.Unsqueeze(is_unclear, axis_of_members), mean, op.Squeeze(first, axis_of_members))
        probabilities = op.Softmax(op.Log(op.Max(joined, tiny)) / temperature, axis=1)
        members_output = op.Transpose(each, perm=[1, 0, 2])
        return probabilities, members_output

    return ensemble


def _tta_function(look: Any, networks: "onnx.ModelProto", tta: TtaRecipe) -> Any:
    """Return a function of pixels (N, C, H, W) → (N, members, classes).

    An image that is unclear to any member is seen again, shifted up, down, left and right; the result of each member to
    which it is unclear is the mean of the five. look: the operator of the networks.
    """
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    _, _, height, width = (size.dim_value for size in networks.graph.input[0].type.tensor_type.shape.dim)
    shift, threshold = tta.shift, tta.threshold
    starts = {"up": (2 * shift, shift), "down": (0, shift), "left": (shift, 2 * shift), "right": (shift, 0)}
    up, down, left, right = map(list, starts.values())
    up_end, down_end, left_end, right_end = ([top + height, start + width] for top, start in starts.values())
    margins, sides = [0, 0, shift, shift] * 2, [2, 3]
    axis_of_shifts, axis_of_classes, all_but_images = [0], [2], [1, 2]
    by_shift = [4, -1, *_members_and_classes(networks)]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def see_unclear_again(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        first = look(pixels)
        is_unclear = op.ReduceMax(first, axis_of_classes) < threshold
        unclear_to_any = op.ReduceMax(op.Cast(is_unclear, to=7), all_but_images, keepdims=0)
        rows = op.Transpose(op.NonZero(unclear_to_any))
        if op.Size(rows) > 0:
            padded = op.Pad(op.GatherND(pixels, rows), margins)
            moved_up = op.Slice(padded, up, up_end, sides)
            moved_down = op.Slice(padded, down, down_end, sides)
            moved_left = op.Slice(padded, left, left_end, sides)
            moved_right = op.Slice(padded, right, right_end, sides)
            seen_again = look(op.Concat(moved_up, moved_down, moved_left, moved_right, axis=0))
            sum_of_four = op.ReduceSum(op.Reshape(seen_again, by_shift), axis_of_shifts, keepdims=0)
            before = op.GatherND(first, rows)
            after = op.Where(op.GatherND(is_unclear, rows), (before + sum_of_four) / 5.0, before)
            result = op.ScatterND(first, rows, after)
        else:
            result = op.Identity(first)
        return result

    return see_unclear_again
