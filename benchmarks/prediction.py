"""Prediction: hitofude against plain PyTorch and onnxruntime, on the same networks and threads."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.timing import Note, Row, against, rates
from hitofude.export.onnx_graph import torch_to_onnx
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.compute import Compute
from hitofude.learning.networks import NETWORKS, build_network, images_from_bytes
from hitofude.learning.predicting import Predictor

IMAGES = 2000
ONNXRUNTIME_BATCHES = (64, 250, 1000)
PLAIN_BATCH = 1000
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(N, 1, H, W) uint8 → (N, classes) probabilities."""


def prediction(compute: Compute, images: ImageSet) -> Iterator[Row | Note]:
    """Images/s, softmax and scaling included, of every network; the others in float32 on the processor.

    onnxruntime gets the best of a few batch sizes. Raises RuntimeError if the probabilities differ.
    """
    pixels = images.images[:IMAGES]
    has_onnx = all(find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    for name in sorted(NETWORKS):
        network = trained_like(name)
        ways = {
            "hitofude": by_hitofude(network.to(compute.device), compute),
            "PyTorch": by_plain_pytorch(trained_like(name)),
        }
        with tempfile.TemporaryDirectory() as folder, compute.applied():
            if has_onnx:
                path = Path(folder, "network.onnx")
                export(trained_like(name), path)
                ways["onnxruntime"] = fastest_onnxruntime(path, compute.threads, pixels)
            _check_agreement(ways, pixels, TOLERANCE[compute.precision])
            works = {way: partial(predict, pixels) for way, predict in ways.items()}
            found = rates(works, len(pixels), rounds=7)
        yield from against(f"prediction {name}", "images/s", found)
    if not has_onnx:
        yield Note("prediction", "pip install onnx onnxscript onnxruntime to compare with onnxruntime")


class WithSoftmax(nn.Module):
    """The network for onnxruntime: the same one, with its softmax."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 1, 28, 28) float 0..1 → (N, 10) probabilities."""
        logits: torch.Tensor = self.network(pixels)
        return logits.softmax(dim=1)


def export(network: nn.Module, path: Path) -> None:
    """Write the network as ONNX, for batches of any size."""
    path.write_bytes(torch_to_onnx(WithSoftmax(network).eval(), torch.zeros(2, 1, 28, 28)).SerializeToString())


def by_onnxruntime(path: Path, threads: int, batch_size: int) -> Predict:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        starts = range(0, len(images), batch_size)
        batches = (images[start : start + batch_size].astype(np.float32) / np.float32(255) for start in starts)
        return np.concatenate([session.run(None, {name: pixels})[0] for pixels in batches])

    return predict


def by_plain_pytorch(network: nn.Module) -> Predict:
    """Predict as a script would: batches of 1,000, the network as it is."""

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            batches = torch.from_numpy(images).split(PLAIN_BATCH)
            return torch.cat([network(images_from_bytes(batch)).softmax(dim=1) for batch in batches]).numpy()

    return predict


def by_hitofude(network: nn.Module, compute: Compute) -> Predict:
    return lambda images: Predictor(network, compute)(torch.from_numpy(images))


def trained_like(name: str) -> nn.Module:
    """A network whose batch norms, if any, are far from the identity."""
    generator = torch.Generator().manual_seed(0)
    network = build_network(name, (1, 28, 28), 10, generator)
    for key, values in network.state_dict().items():
        if "norm" in key and values.is_floating_point():
            values.uniform_(0.5, 2, generator=generator)
    return network.eval()


def fastest_onnxruntime(path: Path, threads: int, images: NDArray[np.uint8]) -> Predict:
    """With the best of a few batch sizes."""
    candidates = {str(size): by_onnxruntime(path, threads, size) for size in ONNXRUNTIME_BATCHES}
    found = rates({size: partial(predict, images) for size, predict in candidates.items()}, 1, rounds=2)
    return candidates[max(found, key=found.__getitem__)]


def _check_agreement(ways: dict[str, Predict], images: NDArray[np.uint8], tolerance: float) -> None:
    first, *others = (predict(images) for predict in ways.values())
    if not all(np.allclose(first, other, rtol=0, atol=tolerance) for other in others):
        raise RuntimeError("The probabilities of the ways to predict differ.")
