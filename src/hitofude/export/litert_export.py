"""Export of a finished run as a LiteRT (TensorFlow Lite) file for phones, compared with the run before it appears.

litert-torch, Google's converter, writes the graph of the module below: one image at a time, ordinary operations alone.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from hitofude.errors import InputError, install_command
from hitofude.export.litert_model import LiteRtModel, quiet, with_metadata
from hitofude.export.onnx_export import IMAGES, Views, asking_simply, check_shape, describe_run
from hitofude.export.onnx_graph import exportable
from hitofude.export.outcome import Exported
from hitofude.export.own_answers import compare_own_answers
from hitofude.export.parity import images_to_compare, measure_parity, measure_simple
from hitofude.inputs.sources import Dataset
from hitofude.learning.compute import choose_compute
from hitofude.learning.networks import images_from_bytes
from hitofude.prediction.model import Model
from hitofude.recipe import TtaRecipe
from hitofude.runs.folder import RunFolder
from hitofude.storage import write_bytes

PACKAGES = ("litert_torch", "ai_edge_litert")


def export_litert(
    run: str | Path, path: str | Path, *, source: Dataset | None = None, views: Views = "all", images: int = IMAGES
) -> Exported:
    """Write the networks of a finished run as one LiteRT model.

    Its input `pixels` is (1, H, W, C) uint8 0..255; its outputs are `probabilities` (1, classes), calibrated, and
    `members` (members, 1, classes). All members are asked, with `one` view of the image or `all` that the run has of
    unclear images. source, images: as for hitofude.export.onnx_export.export_onnx, and so are the errors.
    """
    _check_packages()
    folder = RunFolder(Path(run))
    description = replace(describe_run(folder, views), known_thresholds={})  # the file has no score of novelty
    whole = Model.of_run(folder, choose_compute("cpu", "float32"), description.temperature)
    if source is not None:
        check_shape(source, description)
    model = asking_simply(whole, views)
    content = with_metadata(litert_bytes(model.networks, model, description.temperature), description)
    predict = LiteRtModel.of_bytes(content, str(path), model.compute.threads).predict
    parity = measure_parity(predict, model, images_to_compare(source, description.image_shape, images))
    parity.check()
    own = compare_own_answers(predict, lambda: predict, folder, source, images)
    simple = measure_simple(predict, whole, folder, source, images)
    write_bytes(Path(path), content)
    channels, height, width = description.image_shape
    shape = f"(1, {height}, {width}, {channels})"
    return Exported(Path(path), len(content), "LiteRT, one at a time", shape, description, parity, None, simple, own)


def litert_bytes(networks: Sequence[nn.Module], model: Model, temperature: float) -> bytes:
    """Return the model of the networks, without metadata. model: its shape of images and its test-time augmentation."""
    channels, height, width = model.image_shape
    example = torch.zeros(1, height, width, channels, dtype=torch.uint8)
    asked = Answering(networks, model.tta, temperature).eval()
    with quiet(), TemporaryDirectory() as place:
        import litert_torch

        path = Path(place, "model.tflite")
        litert_torch.convert(asked, sample_kwargs={"pixels": example}).export(str(path))
        return path.read_bytes()


class Answering(nn.Module):
    """The members, their mean and its calibration, for one image."""

    def __init__(self, networks: Sequence[nn.Module], tta: TtaRecipe, temperature: float) -> None:
        super().__init__()
        self.networks = nn.ModuleList(map(_in_plain_memory, networks))
        self.tta, self.temperature = tta, temperature

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """(1, H, W, C) uint8 → `probabilities` (1, classes), `members` (members, 1, classes)."""
        images = images_from_bytes(pixels.permute(0, 3, 1, 2))
        members = torch.stack([self._of_member(network, images) for network in self.networks])
        likely = members.mean(dim=0).clamp(min=torch.finfo(torch.float32).tiny)
        return {"probabilities": (likely.log() / self.temperature).softmax(dim=1), "members": members}

    def _of_member(self, network: nn.Module, image: Tensor) -> Tensor:
        """(1, C, H, W) 0..1 → (1, classes) probabilities; the mean of five views if the first is unclear."""
        shift = self.tta.shift
        first: Tensor = network(image).softmax(dim=1)
        if not shift:
            return first
        height, width = image.shape[2:]
        padded = nn.functional.pad(image, [shift] * 4)
        starts = [(2 * shift, shift), (0, shift), (shift, 2 * shift), (shift, 0)]
        views = [padded[:, :, top : top + height, left : left + width] for top, left in starts]
        mean = (first + sum(network(view).softmax(dim=1) for view in views)) / 5
        return torch.where(first.amax(dim=1, keepdim=True) < self.tta.threshold, mean, first)


def _in_plain_memory(network: nn.Module) -> nn.Module:
    """Return a copy with all values in the order of their axes.

    Of networks in channels-last order litert-torch 0.10 gives later ones the weights of others, without a word; see
    findings/litert-torch-channels-last.sh.
    """
    network = exportable(network)
    for values in (*network.parameters(), *network.buffers()):
        values.data = values.data.clone(memory_format=torch.contiguous_format)
    return network


def _check_packages() -> None:
    """Raise InputError naming the extra if a package is missing."""
    if any(find_spec(name) is None for name in PACKAGES):
        raise InputError(f"Exporting for LiteRT needs the package litert-torch: {install_command('litert')}")
