"""Import of networks that were trained elsewhere: a run folder to predict with."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import torch
from torch import nn

from hitofude.errors import InputError, WeightsError
from hitofude.inputs.layout import ImageShape
from hitofude.learning.checkpoint import MemberFolder, Origin
from hitofude.learning.networks import build_network
from hitofude.learning.training import describe_task
from hitofude.outputs.report import ImportedMember, ImportSummary, write_summary
from hitofude.runs.chainer_weights import ChainerModel, read_chainer, to_state
from hitofude.runs.folder import FORMAT_VERSION, DataDescription, RunFolder
from hitofude.storage import making_folder, write_json, write_text

NETWORK = "cnn-medium"
PROGRAM = "Chainer"
SHAPE = (28, 28)
RECIPE = f"""\
# How these imported networks predict. How they were trained is not known.
precision = "float32"

[network]
name = "{NETWORK}"

[tta]
shift = 0
"""


def import_chainer(
    files: Sequence[Path],
    run: Path,
    *,
    shape: tuple[int, ...] | None = None,
    command: str = "hitofude import-chainer",
) -> ImportSummary:
    """Make a run folder from files of the tutorial's network: models of save_npz or snapshots, one for each member.

    run: a new or empty folder. shape: (H, W) of the networks' grey images, by default 28×28. The classes are called
    0, 1, 2 … as Chainer numbers them. command: the command that makes this folder again.

    Raises InputError if a file is missing, WeightsError if it is damaged, incomplete, from another network or for other
    classes than the first, RunFolderError if the folder is not empty.
    """
    if shape is not None and len(shape) != 2:
        raise InputError(f"shape {shape}: the tutorial's network takes grey images, (height, width).")
    if not files:
        raise InputError("Nothing to import. Name the files that save_npz or the trainer wrote.")
    models = [read_chainer(path) for path in files]
    classes = _common_classes(models)
    height, width = shape or SHAPE
    image_shape = (1, height, width)
    networks = [_to_network(model, image_shape, classes) for model in models]
    finished = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    members = tuple(ImportedMember(NETWORK, model.path.name, model.sha256, model.iterations) for model in models)
    summary = ImportSummary(PROGRAM, command, finished, members)
    names = tuple(str(number) for number in range(classes))
    data = DataDescription(format_version=FORMAT_VERSION, source=PROGRAM, image_shape=image_shape, classes=names)
    with making_folder(run) as partial:
        _write(RunFolder(partial), networks, summary, data)
    return summary


def describe_import(summary: ImportSummary, run: Path) -> str:
    """Describe the imported networks, and how to predict with them."""
    count = len(summary.members)
    lines = [f"{count} {NETWORK} network{'' if count == 1 else 's'} from {summary.program}"]
    for member in summary.members:
        kind = "model" if member.iterations is None else f"snapshot after {member.iterations:,} iterations"
        lines.append(f"  {member.file}: {kind}")
    lines += [
        "Their accuracy is not known: the files do not say which images the networks were not trained on.",
        f"Predict with them: hitofude predict {shlex.quote(str(run))} FILE",
    ]
    return "\n".join(lines)


def _common_classes(models: Sequence[ChainerModel]) -> int:
    first = models[0]
    for model in models[1:]:
        if model.classes != first.classes:
            raise WeightsError(
                f"{model.path} has {model.classes} classes, {first.path} has {first.classes}. "
                "Import networks for the same classes."
            )
    return first.classes


def _to_network(model: ChainerModel, image_shape: ImageShape, classes: int) -> nn.Module:
    network = build_network(NETWORK, image_shape, classes, torch.Generator())
    state = to_state(model, {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()})
    network.load_state_dict({name: torch.from_numpy(weights) for name, weights in state.items()})
    return network


def _write(folder: RunFolder, networks: Sequence[nn.Module], summary: ImportSummary, data: DataDescription) -> None:
    for number, (network, member) in enumerate(zip(networks, summary.members, strict=True)):
        task = describe_task(member.network, data.image_shape, len(data.classes))
        origin: Origin = {**task, "member": number, "file": member.file, "file_sha256": member.sha256}
        MemberFolder(folder.member(number)).finish(network, origin, [])
    write_json(folder.data, asdict(data))
    write_text(folder.recipe, RECIPE)
    write_summary(folder.imported, summary)
