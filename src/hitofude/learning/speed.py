"""The speed of this machine: matrix products, and each network's training and prediction."""

import platform
import time
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape
from hitofude.learning.compute import Compute, processor_name, processors
from hitofude.learning.networks import NETWORKS, build_network, count_parameters
from hitofude.learning.predicting import Predictor
from hitofude.learning.training import MemberPlan, Trainer, TrainingData
from hitofude.recipe import DEFAULT_PRESET, Recipe

MATRIX_SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192), "mps": (2048, 4096)}
SECONDS = 1.5
WARM_UP, STEPS, PREDICTED = 2, 8, 2048


def measure_networks(images: ImageSet, compute: Compute, matmul: float | None = None) -> str:
    """Measure every network; return a table of parameters, MACs of an image's prediction, and images/s.

    matmul: the FLOP/s of matrix products, to add the share of it that training achieves.
    """
    share = "" if matmul is None else f" {'of matmul':>10}"
    lines = [f"{'network':<12} {'parameters':>10} {'MACs an image':>14} {'trained/s':>10} {'predicted/s':>12}{share}"]
    shape, classes = images.image_shape, len(images.classes)
    for name in NETWORKS:
        network = build_network(name, shape, classes, torch.Generator().manual_seed(0))
        size = f"{name:<12} {count_parameters(network):>10,} {multiplications(name, shape):>14,}"
        trained, predicted = _measure(name, network, images, compute)
        share = "" if matmul is None else f" {trained * training_flops(name, shape) / matmul:>10.0%}"
        lines.append(f"{size} {trained:>10,.0f} {predicted:>12,.0f}{share}")
    return "\n".join(lines)


def _measure(name: str, network: nn.Module, images: ImageSet, compute: Compute) -> tuple[float, float]:
    """Return the images/s of a few batches of the default preset, trained as in a run, and of prediction."""
    recipe = Recipe.preset(DEFAULT_PRESET).with_settings({"network.name": name})
    rows = np.arange((WARM_UP + STEPS) * recipe.optimizer.batch_size) % len(images)
    network = network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with compute.applied():
        data = TrainingData.on_device(images, compute)
        trained = _training_rate(Trainer(MemberPlan(0, recipe, rows, rows[:0]), data, compute, network))
        pixels = data.images[torch.arange(PREDICTED, device=compute.device) % len(images)]
        Predictor(network, compute)(pixels[:256])
        started = time.perf_counter()
        Predictor(network, compute)(pixels)
        return trained, PREDICTED / (time.perf_counter() - started)


def describe_machine(compute: Compute) -> str:
    """Return the processor, the device and the versions, in one line."""
    machine = f"{processor_name()}, {processors()} processors ({torch.backends.cpu.get_cpu_capability()})"
    return f"{machine}; {compute}; Python {platform.python_version()}, PyTorch {torch.__version__}"


def matmul_rate(compute: Compute) -> float:
    """Return the FLOP/s of square matrix products in this precision: the best run of the best size."""
    kind = torch.bfloat16 if compute.precision == "bfloat16" else torch.float32
    with compute.applied(), torch.inference_mode():
        return max(_matmul_rate(size, kind, compute.device) for size in MATRIX_SIZES[compute.device.type])


def training_flops(network_name: str, image_shape: ImageShape, classes: int = 10) -> int:
    """Return the FLOP of a training step for one image, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode  # takes seconds to load

    network = build_network(network_name, image_shape, classes, torch.Generator())
    count = 2  # batch norm refuses a batch of one image
    with FlopCounterMode(display=False) as counter:
        logits = network(torch.zeros(count, *image_shape))
        functional.cross_entropy(logits, torch.zeros(count, dtype=torch.int64)).backward()
    return int(counter.get_total_flops()) // count


@cache
def multiplications(network_name: str, image_shape: ImageShape, classes: int = 10) -> int:
    """Return the multiply-accumulate operations (MACs) of convolutions and linear layers to predict one image.

    They are counted by hooks, because PyTorch's FlopCounterMode takes seconds to load.
    """
    network = build_network(network_name, image_shape, classes, torch.Generator()).eval()
    found: list[int] = []

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        places = output.numel() // output.shape[1]
        found.append(places * sum(values.numel() for values in module.parameters() if values.ndim > 1))

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, *image_shape))
    return sum(found)


def _matmul_rate(size: int, kind: torch.dtype, device: torch.device) -> float:
    left, right = (torch.rand(size, size, device=device).to(kind) for _ in "ab")
    product = torch.mm(left, right)
    best, ends = 0.0, time.perf_counter() + SECONDS
    while time.perf_counter() < ends:
        _synchronize(device)
        started = time.perf_counter()
        torch.mm(left, right, out=product)
        _synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def _training_rate(trainer: Trainer) -> float:
    """Return the images/s of all steps after the first ones."""
    batches = trainer.draw_batches(1)
    for batch in batches[:WARM_UP]:
        trainer.step(*batch)
    _synchronize(trainer.compute.device)
    started = time.perf_counter()
    for batch in batches[WARM_UP:]:
        trainer.step(*batch)
    _synchronize(trainer.compute.device)
    return sum(len(rows) for rows, _ in batches[WARM_UP:]) / (time.perf_counter() - started)


def _synchronize(device: torch.device) -> None:
    """Wait until the device has finished its queue."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
