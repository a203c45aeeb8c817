"""A file that was exported, and the results of its comparison with the run."""

from dataclasses import dataclass
from pathlib import Path

from hitofude.errors import agree, counted
from hitofude.export.onnx_model import OnnxDescription
from hitofude.export.own_answers import OwnAnswers
from hitofude.export.parity import Cost, Parity


@dataclass(frozen=True)
class Exported:
    """A file that was written, and the results of its comparison."""

    path: Path
    bytes: int
    runtime: str
    """The program that computed it here: onnxruntime or LiteRT."""
    input: str
    """The shape of `pixels`."""
    description: OnnxDescription
    parity: Parity
    """The model in float32."""
    cost: Cost | None
    """The cost of 8 bits, if they were asked for."""
    simple: Cost | None
    """The cost of asking simply, if that was asked for: its labels beside those of the run's own way of asking."""
    own: OwnAnswers | None
    """The difference from the run's own answers; None if the images of its source are not at hand."""


def describe_export(export: Exported) -> str:
    """Describe the file and its comparison for people."""
    parity, description = export.parity, export.description
    count = len(description.networks)
    faster = parity.images_per_second / parity.images_per_second_of_pytorch
    lines = [
        f"{export.path}: {export.bytes:,} bytes, {counted(count, 'member')}, "
        f"pixels {export.input} → probabilities {export.input.partition(',')[0]}, {len(description.classes)})",
        f"parity    {_differ(parity.changed)} of {parity.images:,}, no probability by more than {parity.largest:.1e}",
        f"speed     {parity.images_per_second:,.0f} images/s in {export.runtime}, {faster:.2f} times PyTorch's",
    ]
    unknown = "          not compared with the run's own answers: name its source, hitofude export RUN SOURCE …"
    lines.append(unknown if export.own is None else export.own.describe())
    if parity.border:
        lines.append(f"          {counted(parity.border, 'image')} left out, on the threshold of unclear images")
    if export.simple is not None:
        lines.append(f"simple    {_describe_cost(export.simple)}")
    if export.cost is not None:
        faster = export.cost.images_per_second / export.cost.images_per_second_before
        lines += [f"8 bits    {_describe_cost(export.cost)}", f"          {faster:.2f} times the images/s of float32"]
    return "\n".join(lines)


def _describe_cost(cost: Cost) -> str:
    accuracy = (
        "" if cost.accuracy is None else f"out-of-fold accuracy {cost.accuracy_before:.4f} → {cost.accuracy:.4f}, "
    )
    return f"{accuracy}{_differ(cost.changed)} of {cost.images:,}{cost.of}"


def _differ(count: int) -> str:
    return f"{counted(count, 'label')} {agree(count, 'differ')}"
