"""Prediction on the CPU: hitofude against onnxruntime and against plain PyTorch, on the same networks and threads.

python benchmarks/prediction.py
"""

import contextlib
import io
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hitofude.inputs.sources import sample
from hitofude.learning.engine import choose_engine, processor_name, processors
from hitofude.learning.networks import NETWORKS, build_network, images_from_bytes
from hitofude.learning.predicting import predict_probabilities

IMAGES, ROUNDS, SEARCH_ROUNDS = 2_000, 9, 3
ONNXRUNTIME_BATCHES = (16, 64, 250, 1000)
PLAIN_BATCH = 1000

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(N, 1, 28, 28) uint8 → (N, 10) probabilities."""


class WithSoftmax(nn.Module):
    """What onnxruntime gets: the same network, its softmax within."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 1, 28, 28) float 0..1 → (N, 10) probabilities."""
        logits: torch.Tensor = self.network(pixels)
        return logits.softmax(dim=1)


def trained_like(name: str) -> nn.Module:
    """A network whose batch norms, if any, are far from the identity."""
    generator = torch.Generator().manual_seed(0)
    network = build_network(name, (1, 28, 28), 10, generator)
    for key, values in network.state_dict().items():
        if "norm" in key and values.is_floating_point():
            values.uniform_(0.5, 2, generator=generator)
    return network.eval()


def export(network: nn.Module, path: Path) -> None:
    """Write the network as ONNX, for batches of any size; the exporter's own chatter is left out."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        batch = {0: torch.export.Dim("batch")}
        pixels = torch.zeros(2, 1, 28, 28)
        torch.onnx.export(WithSoftmax(network).eval(), (pixels,), path, dynamo=True, dynamic_shapes=(batch,))


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
    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            batches = torch.from_numpy(images).split(PLAIN_BATCH)
            return torch.cat([network(images_from_bytes(batch)).softmax(dim=1) for batch in batches]).numpy()

    return predict


def by_hitofude(network: nn.Module, threads: int) -> Predict:
    engine = choose_engine("cpu", "float32", threads)
    return lambda images: predict_probabilities(network, torch.from_numpy(images), engine)


def seconds(predict: Predict, images: NDArray[np.uint8]) -> float:
    started = time.perf_counter()
    predict(images)
    return time.perf_counter() - started


def fastest_onnxruntime(path: Path, threads: int, images: NDArray[np.uint8]) -> tuple[int, Predict]:
    """The best of a few batch sizes, by its median."""
    candidates = {size: by_onnxruntime(path, threads, size) for size in ONNXRUNTIME_BATCHES}
    rounds = [[seconds(predict, images) for predict in candidates.values()] for _ in range(SEARCH_ROUNDS)]
    medians = [statistics.median(times) for times in zip(*rounds, strict=True)]
    best = list(candidates)[medians.index(min(medians))]
    return best, candidates[best]


def compare(name: str, path: Path, threads: int, images: NDArray[np.uint8]) -> None:
    """Print one line; the contenders take turns, so that a busy moment of the machine meets them all."""
    torch.set_num_threads(threads)
    network = trained_like(name)
    export(network, path)
    batch_size, theirs = fastest_onnxruntime(path, threads, images)
    contenders = by_hitofude(network, threads), theirs, by_plain_pytorch(network)
    first, *others = (predict(images) for predict in contenders)
    if not all(np.allclose(first, other, rtol=0, atol=1e-4) for other in others):
        raise SystemExit(f"{name}: the contenders' probabilities differ.")
    rounds = [[seconds(predict, images) for predict in contenders] for _ in range(ROUNDS)]
    ours, onnx, plain = (len(images) / statistics.median(times) for times in zip(*rounds, strict=True))
    print(
        f"{name:10}  {threads} threads   hitofude {ours:6,.0f}   onnxruntime {onnx:6,.0f} (batch {batch_size})   "
        f"PyTorch {plain:6,.0f}   ratios {ours / onnx:.2f}, {ours / plain:.2f}"
    )


def main() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        print(f"{error}. This comparison needs: pip install onnx onnxscript onnxruntime")
        return
    images = sample().train.images[:IMAGES]
    versions = f"PyTorch {torch.__version__}, onnxruntime {onnxruntime.__version__}"
    print(f"{processor_name()} ({torch.backends.cpu.get_cpu_capability()}), {versions}")
    print(f"{len(images):,} images; images/s, medians of {ROUNDS} rounds; ratios to onnxruntime and to PyTorch")
    with tempfile.TemporaryDirectory() as folder:
        for name in sorted(NETWORKS):
            for threads in sorted({1, processors()}):
                compare(name, Path(folder) / f"{name}-{threads}.onnx", threads, images)


if __name__ == "__main__":
    main()
