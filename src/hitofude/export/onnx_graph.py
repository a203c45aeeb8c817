"""The whole ensemble as one ONNX graph, also in eight bits: pixels in, probabilities out.

PyTorch's exporter writes the networks. onnxscript writes the test-time augmentation, the mean and the temperature
around them, from the Python functions below; the networks are a function of the model, so their weights are in the file
once however often they are called. With a cascade there is one for each group of members that is asked together, and
each computes only the images that are not clear to those before it.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import nn

from hitofude.borrowed import loggers_at
from hitofude.errors import InputError
from hitofude.export.onnx_simple import in_ordinary_operations
from hitofude.export.onnx_views import DOMAIN, OPSET, see_all_again, see_unclear_again
from hitofude.inputs.layout import ImageShape
from hitofude.learning.features import NoveltyScore, with_features
from hitofude.learning.networks import images_from_bytes
from hitofude.learning.own_networks import has_known_layers
from hitofude.metrics.calibration import Cascade, Stage
from hitofude.recipe import TtaRecipe

if TYPE_CHECKING:
    import onnx

Pixels = Literal["uint8", "float32"]
TORCH_TYPES = {"uint8": torch.uint8, "float32": torch.float32}
IR_VERSION = 9
"""Of the opset's time."""


@dataclass(frozen=True, eq=False)
class Scored:
    """The score of novelty, and the place of the network whose features it takes."""

    place: int
    score: NoveltyScore


def networks_model(
    networks: Sequence[nn.Module], image_shape: ImageShape, pixels: Pixels, scored: Scored | None = None
) -> "onnx.ModelProto":
    """Export the members side by side: pixels (N, C, H, W) 0..255 → (N, members, classes) probabilities.

    scored: by it there is a second output, (N,) the score of novelty.

    Raises InputError if PyTorch cannot export the network of a plugin.
    """
    example = torch.zeros(2, *image_shape, dtype=TORCH_TYPES[pixels])
    try:
        side_by_side = _SideBySide(networks, image_shape, scored).eval()
        return torch_to_onnx(side_by_side, example, ("probabilities", *(() if scored is None else ("novelty",))))
    except Exception as error:
        if all(map(has_known_layers, networks)):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            "PyTorch cannot export a plugin's network, whose forward() may depend on the values or the number of the "
            f"images; see docs/extending.md. PyTorch says: {reason}"
        ) from error


def ensemble_model(
    networks: Sequence["onnx.ModelProto"],
    tta: TtaRecipe,
    temperature: float,
    cascade: Cascade | None = None,
    *,
    simple: bool = False,
) -> "onnx.ModelProto":
    """Build the model: `pixels` (N, C, H, W) 0..255 → `probabilities` (N, classes), `members` (members, N, classes).

    networks: from networks_model, all members; with a cascade a model for each of its groups. probabilities: the answer
    of the members, calibrated by the temperature; 1 leaves it uncalibrated. members: each member's probabilities after
    test-time augmentation, as in hitofude.learning.predicting; members that are not asked about an image have the mean
    of those that are. If the first of the networks score novelty, there is a third output `novelty` (N,). simple: write
    ordinary operations alone, without functions and branches, which any runtime reads; the same answers then take as
    much work for a clear image as for an unclear one. It takes no cascade.
    """
    import onnx
    import onnxscript

    if simple and cascade is not None:
        raise ValueError("a cascade needs branches")

    pixels = networks[0].graph.input[0].type.tensor_type
    image_shape = [size.dim_value for size in pixels.shape.dim[1:]]
    sizes = [_members_and_classes(part) for part in networks]
    members, classes = sum(count for count, _ in sizes), sizes[0][1]
    uint8, float32 = cast(Any, onnxscript.UINT8), cast(Any, onnxscript.FLOAT)
    pixel_type = uint8 if pixels.elem_type == onnx.TensorProto.UINT8 else float32
    asking = [_asking(part, f"networks_{place}", tta, simple) for place, part in enumerate(networks)]
    answer, steps = _answering([operator for operator, _ in asking], members, () if cascade is None else cascade.stages)
    order = [*range(members)] if cascade is None else np.concatenate(cascade.groups(members)).tolist()
    has_novelty = len(networks[0].graph.output) > 1
    function = _ensemble_with_novelty if has_novelty else _ensemble
    whole = function(asking[0][0], answer, np.argsort(order).tolist(), temperature)
    model: onnx.ModelProto = whole.to_model_proto(
        input_types=[pixel_type["N", *image_shape]],
        output_types=[float32["N", classes], float32[members, "N", classes], *([float32["N"]] if has_novelty else [])],
        ir_version=IR_VERSION,
    )
    for functions in (*(functions for _, functions in asking), steps):
        model.functions.extend(functions)
    if simple:
        model = in_ordinary_operations(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def torch_to_onnx(
    network: nn.Module, example: torch.Tensor, outputs: Sequence[str] = ("probabilities",)
) -> "onnx.ModelProto":
    """Export a network by PyTorch, silently, for batches of any size: input `pixels`, and the outputs by their names.

    example: an input of two or more rows.
    """
    quiet = loggers_at(logging.ERROR, ["torch.onnx"])
    with quiet, warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            input_names=["pixels"],
            output_names=[*outputs],
            opset_version=OPSET,
        )
    assert program is not None  # noqa: S101 - only the old exporter returns None
    return _without_traces(program.model_proto)


def _without_traces(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """Return the model without the exporter's notes: they name files of this machine, and differ between machines."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


class _SideBySide(nn.Module):
    """The networks on the same images."""

    def __init__(self, networks: Sequence[nn.Module], image_shape: ImageShape, scored: Scored | None) -> None:
        super().__init__()
        ready = list(map(exportable, networks))
        if scored is not None:
            ready[scored.place] = with_features(ready[scored.place], image_shape)
        self.networks = nn.ModuleList(ready)
        self.place = 0 if scored is None else scored.place
        self.score = None if scored is None else scored.score

    def forward(self, pixels: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, C, H, W) 0..255 → (N, members, classes) probabilities, and (N,) the score of novelty if there is one."""
        images = images_from_bytes(pixels)
        if self.score is None:
            return torch.stack([network(images).softmax(dim=1) for network in self.networks], dim=1)
        found = [network(images) for network in self.networks]
        logits, features = found[self.place]
        found[self.place] = logits
        probabilities = torch.stack([one.softmax(dim=1) for one in found], dim=1)
        return probabilities, self.score(features, probabilities[:, self.place])[:, 0]


class _GlobalMax(nn.Module):
    """Global maximum pooling as PyTorch 2.7 can export it, too."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, C, 1, 1)."""
        return features.amax(dim=(2, 3), keepdim=True)


def exportable(network: nn.Module) -> nn.Module:
    """Return a copy in which global maximum pooling is an operation that every PyTorch exports."""
    network = copy.deepcopy(network)
    for name, layer in list(network.named_modules()):
        if name and isinstance(layer, nn.AdaptiveMaxPool2d) and layer.output_size in (1, (1, 1)):
            network.set_submodule(name, _GlobalMax())
    return network


def _as_function(networks: "onnx.ModelProto", name: str) -> "onnx.FunctionProto":
    """Return the model as a function of the domain, its weights as constants."""
    from onnx import helper

    graph = networks.graph
    weights = [helper.make_node("Constant", [], [weight.name], value=weight) for weight in graph.initializer]
    inputs, outputs = [graph.input[0].name], [output.name for output in graph.output]
    return helper.make_function(DOMAIN, name, inputs, outputs, [*weights, *graph.node], networks.opset_import)


def _named(script: Any, name: str) -> "onnx.FunctionProto":
    """Return an onnxscript function as one of the domain, which it may call; it overlooks calls within a branch."""
    from onnx import helper

    function: onnx.FunctionProto = script.to_function_proto()
    function.domain, function.name = DOMAIN, name
    if DOMAIN not in {one.domain for one in function.opset_import}:
        function.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return function


def _members_and_classes(networks: "onnx.ModelProto") -> tuple[int, int]:
    members, classes = networks.graph.output[0].type.tensor_type.shape.dim[1:]
    return members.dim_value, classes.dim_value


def _asking(
    networks: "onnx.ModelProto", name: str, tta: TtaRecipe, simple: bool
) -> tuple[Any, list["onnx.FunctionProto"]]:
    """Return an operator: pixels (N, C, H, W) → (N, members, classes) after test-time augmentation, and its functions.

    name: of the networks' own function. simple: see every image again, clear or not, in place of a branch.
    """
    from onnxscript import values

    function, of_domain = _as_function(networks, name), values.Opset(DOMAIN, 1)
    look = values.Op(of_domain, name)
    if not tta.shift:
        return look, [function]
    has_novelty = len(networks.graph.output) > 1
    plain = _named(_without_novelty(look), f"{name}_look") if has_novelty else function
    views = see_all_again if simple else see_unclear_again
    image_shape = [size.dim_value for size in networks.graph.input[0].type.tensor_type.shape.dim[1:]]
    look_again = views(values.Op(of_domain, plain.name), image_shape, _members_and_classes(networks), tta)
    again = _named(look_again, f"{name}_see_again")
    whole = _asking_with_novelty if has_novelty else _asking_alone
    ask = _named(whole(look, values.Op(of_domain, again.name)), f"{name}_ask")
    return values.Op(of_domain, ask.name), [function, *([plain] if has_novelty else []), again, ask]


def _without_novelty(look: Any) -> Any:
    """Return the networks without their second output: ONNX has a name for each output of a function."""
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def look_alone(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        probabilities, _novelty = look(pixels)
        return op.Identity(probabilities)

    return look_alone


def _asking_alone(look: Any, see_again: Any) -> Any:
    import onnxscript
    from onnxscript import script, values

    @script(values.Opset(DOMAIN, 1), default_opset=getattr(onnxscript, f"opset{OPSET}"))
    def ask(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        return see_again(pixels, look(pixels))

    return ask


def _asking_with_novelty(look: Any, see_again: Any) -> Any:
    import onnxscript
    from onnxscript import script, values

    @script(values.Opset(DOMAIN, 1), default_opset=getattr(onnxscript, f"opset{OPSET}"))
    def ask(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        first, novelty = look(pixels)
        return see_again(pixels, first), novelty

    return ask


def _ensemble(ask: Any, answer: Any, places: list[int], temperature: float) -> Any:
    """Return the whole as an onnxscript function.

    ask: the operator of the networks that are asked first. answer: see _answering. places: of each member in the order
    in which they are asked.
    """
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    tiny = float(np.finfo(np.float32).tiny)

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def ensemble(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        joined, each = answer(pixels, ask(pixels))
        probabilities = op.Softmax(op.Log(op.Max(joined, tiny)) / temperature, axis=1)
        members = op.Transpose(op.Gather(each, places, axis=1), perm=[1, 0, 2])
        return probabilities, members

    return ensemble


def _ensemble_with_novelty(ask: Any, answer: Any, places: list[int], temperature: float) -> Any:
    """Return the same with the score of novelty as a third output, which `ask` has as its second."""
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    tiny = float(np.finfo(np.float32).tiny)

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def ensemble(pixels):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        first, novelty = ask(pixels)
        joined, each = answer(pixels, first)
        probabilities = op.Softmax(op.Log(op.Max(joined, tiny)) / temperature, axis=1)
        members = op.Transpose(op.Gather(each, places, axis=1), perm=[1, 0, 2])
        return probabilities, members, novelty

    return ensemble


def _answering(asking: Sequence[Any], members: int, stages: Sequence[Stage]) -> tuple[Any, list["onnx.FunctionProto"]]:
    """Return an operator that answers when the first members were asked, and its functions, one for each stage.

    It takes pixels (N, C, H, W) and the probabilities of these members (N, asked, classes), and returns the mean of all
    members that it asks about each image, (N, classes), and the probabilities of each member, (N, members, classes), in
    the order in which they are asked. asking: the operators of the networks, group by group.
    """
    from onnxscript import values

    of_domain = values.Opset(DOMAIN, 1)
    function = _named(_mean_function(), "answer_by_all")
    answer, functions = values.Op(of_domain, function.name), [function]
    for count in range(len(stages), 0, -1):
        step = _stage_function(asking[count], answer, members - count, stages[count - 1].threshold)
        function = _named(step, f"answer_by_{count}_or_more")
        answer = values.Op(of_domain, function.name)
        functions.append(function)
    return answer, functions


def _mean_function() -> Any:
    """Return the last step, when all members were asked.

    The mean is over two axes, one of them of length 1, since pnnx for ncnn loses a single one without a word; see
    findings/pnnx-loses-a-single-axis.sh.
    """
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    after_members, of_members = [2], [1, 2]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def answer_by_all(pixels, each):  # type: ignore[no-untyped-def] # noqa: ARG001 # pragma: no cover - its text is read
        return op.ReduceMean(op.Unsqueeze(each, after_members), of_members, keepdims=0), op.Identity(each)

    return answer_by_all


def _stage_function(ask_next: Any, answer_then: Any, left: int, threshold: float) -> Any:
    """Return a stage of a cascade: the mean answers clear images; of the others further members are asked.

    ask_next: the operator of the next networks; answer_then: see _answering, when they were asked too. left: the number
    of members that were not asked so far.
    """
    import onnxscript
    from onnxscript import script, values

    op: Any = getattr(onnxscript, f"opset{OPSET}")
    axis_of_members, all_but_images, shape_of_left = [1], [1, 2], [1, left, 1]

    @script(values.Opset(DOMAIN, 1), default_opset=op)
    def answer_by_some(pixels, asked):  # type: ignore[no-untyped-def] # pragma: no cover - onnxscript reads its text
        mean = op.ReduceMean(asked, axis_of_members)
        alone, filled = op.Squeeze(mean, axis_of_members), op.Concat(asked, op.Expand(mean, shape_of_left), axis=1)
        rows = op.Transpose(op.NonZero(op.ReduceMax(mean, all_but_images, keepdims=0) < threshold))
        if op.Size(rows) > 0:
            unclear = op.GatherND(pixels, rows)
            both = op.Concat(op.GatherND(asked, rows), ask_next(unclear), axis=1)
            joined_then, each_then = answer_then(unclear, both)
            joined, each = op.ScatterND(alone, rows, joined_then), op.ScatterND(filled, rows, each_then)
        else:
            joined, each = op.Identity(alone), op.Identity(filled)
        return joined, each

    return answer_by_some
