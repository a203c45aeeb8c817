"""What the machine can compute at best, and what networks ask of it."""

import time

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hitofude.inputs.layout import ImageShape
from hitofude.learning.compute import Compute
from hitofude.learning.networks import build_network

MATRIX_SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192), "mps": (2048, 4096)}
SECONDS = 1.5


def matmul_rate(compute: Compute) -> float:
    """FLOP/s of square matrix products in the compute's precision: the best size's best."""
    kind = torch.bfloat16 if compute.precision == "bfloat16" else torch.float32
    with compute.applied(), torch.inference_mode():
        return max(_matmul_rate(size, kind, compute.device) for size in MATRIX_SIZES[compute.device.type])


def training_flops(network_name: str, image_shape: ImageShape, classes: int = 10) -> int:
    """Floating-point operations of a training step an image: products forward, and twice backward."""
    network = build_network(network_name, image_shape, classes, torch.Generator())
    return _flops_of_a_step(network, image_shape)


def multiplications(network_name: str, image_shape: ImageShape, classes: int = 10) -> int:
    """Multiply-accumulate operations of one image's prediction."""
    network = build_network(network_name, image_shape, classes, torch.Generator()).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, *image_shape))
    return int(counter.get_total_flops()) // 2


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _matmul_rate(size: int, kind: torch.dtype, device: torch.device) -> float:
    left, right = (torch.rand(size, size, device=device).to(kind) for _ in "ab")
    product = torch.mm(left, right)
    best, ends = 0.0, time.perf_counter() + SECONDS
    while time.perf_counter() < ends:
        synchronize(device)
        started = time.perf_counter()
        torch.mm(left, right, out=product)
        synchronize(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def _flops_of_a_step(network: nn.Module, image_shape: ImageShape) -> int:
    count = 2  # images: batch norm refuses a single one
    with FlopCounterMode(display=False) as counter:
        logits = network(torch.zeros(count, *image_shape))
        functional.cross_entropy(logits, torch.zeros(count, dtype=torch.int64)).backward()
    return int(counter.get_total_flops()) // count
