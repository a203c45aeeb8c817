"""The speed of this machine: matrix products, and each network's training and prediction."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape
from hitofude.learning.compute import Compute, processor_name, processors
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import NETWORKS, build_network, count_parameters
from hitofude.learning.own_networks import memory_format_of
from hitofude.learning.plugins import PluginSource, registered_names
from hitofude.learning.predicting import Predictor
from hitofude.learning.recipe_plugins import network_source
from hitofude.learning.training import MemberPlan, Trainer, TrainingData
from hitofude.recipe import DEFAULT_PRESET, EnsembleRecipe, Recipe, ScheduleRecipe

MATRIX_SIZES = {"cpu": (1024, 2048), "cuda": (4096, 8192), "mps": (2048, 4096)}
SECONDS = 1.5

BATCHES_AN_EPOCH = {"cpu": 4, "cuda": 64, "mps": 16}
IMAGES_A_PREDICTION = {"cpu": 512, "cuda": 32768, "mps": 8192}
SECONDS_TO_TRAIN, SECONDS_TO_PREDICT = 1.5, 0.4
"""For one kind of member; each comes after a first round that does not count."""


@dataclass(frozen=True)
class MemberSpeed:
    """The images/s of one member, trained and predicted."""

    trained: float
    predicted: float


class _Unwatched:
    """An observer of a training that nobody follows."""

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None: ...

    def epoch_finished(self, log: EpochLog) -> None: ...

    def warned(self, message: str) -> None: ...


def kind_of(member: MemberPlan) -> MemberPlan:
    """Return the member with the least schedule, tiny steps and no rows: the same for all members of one speed."""
    recipe, tiny = member.recipe, {"learning_rate": 1e-6, "adamw_learning_rate": 1e-6}
    epochs, share = 1 + recipe.augment.no_aug_epochs, recipe.schedule.epoch_share
    kind = recipe.model_copy(
        update={
            "rows": None,
            "optimizer": recipe.optimizer.model_copy(update=tiny),
            "schedule": ScheduleRecipe(epochs=epochs, epoch_share=share),
            "ensemble": EnsembleRecipe(),
        }
    )
    no_rows = np.arange(0)
    return replace(
        member, member=0, recipe=kind, train_rows=no_rows, validation_rows=no_rows, teachers=(), teaches=False
    )


def measure_member(member: MemberPlan, images: ImageSet, compute: Compute) -> MemberSpeed:
    """Train and predict for some seconds as a member of this kind does, in short epochs on these images."""
    device = compute.device
    rows = np.arange(BATCHES_AN_EPOCH[device.type] * member.recipe.optimizer.batch_size) % len(images)
    places = torch.arange(IMAGES_A_PREDICTION[device.type], device=device) % len(images)
    generator = torch.Generator().manual_seed(0)
    network = build_network(member.network, images.image_shape, len(images.classes), generator)
    network = network.to(device, memory_format=memory_format_of(network))  # type: ignore[call-overload]
    with compute.applied():
        data = TrainingData.on_device(images, compute)
        trainer = Trainer(replace(member, train_rows=rows), data, compute, network)
        epochs = _rounds_a_second(lambda: trainer.run_epoch(1, _Unwatched()), SECONDS_TO_TRAIN, device)
        predictor, pixels = Predictor(network, compute), data.images[places]
        predictions = _rounds_a_second(lambda: predictor(pixels), SECONDS_TO_PREDICT, device)
    return MemberSpeed(trained=epochs * len(rows), predicted=predictions * len(pixels))


def _rounds_a_second(work: Callable[[], object], seconds: float, device: torch.device) -> float:
    """Repeat the work for at least so long; return its rate without the first round."""
    work()
    _synchronize(device)
    rounds, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        work()
        _synchronize(device)
        rounds += 1
    return rounds / taken


def measure_networks(images: ImageSet, compute: Compute, matmul: float | None = None) -> str:
    """Measure every network; return a table of parameters, MACs of an image's prediction, and images/s.

    matmul: the FLOP/s of matrix products, to add the share of it that training achieves.
    """
    share = "" if matmul is None else f" {'of matmul':>10}"
    lines = [f"{'network':<12} {'parameters':>10} {'MACs an image':>14} {'trained/s':>10} {'predicted/s':>12}{share}"]
    shape, classes = images.image_shape, len(images.classes)
    for name in [*NETWORKS, *registered_names("network")]:
        network = build_network(name, shape, classes, torch.Generator().manual_seed(0))
        size = f"{name:<12} {count_parameters(network):>10,} {multiplications(name, shape):>14,}"
        recipe = Recipe.preset(DEFAULT_PRESET).with_settings({"network.name": name, "network.margin": 0})
        speed = measure_member(kind_of(MemberPlan(0, recipe, np.arange(0), np.arange(0))), images, compute)
        share = "" if matmul is None else f" {speed.trained * training_flops(name, shape) / matmul:>10.0%}"
        lines.append(f"{size} {speed.trained:>10,.0f} {speed.predicted:>12,.0f}{share}")
    return "\n".join(lines)


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
    network = build_network(network_name, image_shape, classes, torch.Generator())
    targets = torch.zeros(2, dtype=torch.int64)  # batch norm refuses a batch of one image
    images = torch.zeros(2, *image_shape)
    return _count_flop(lambda: functional.cross_entropy(network(images), targets).backward()) // 2


def _count_flop(compute: Callable[[], object]) -> int:
    from torch.utils.flop_counter import FlopCounterMode  # takes seconds to load

    with FlopCounterMode(display=False) as counter:
        compute()
    return int(counter.get_total_flops())


def multiplications(network_name: str, image_shape: ImageShape, classes: int = 10) -> int:
    """Return the multiply-accumulate operations (MACs) of convolutions and linear layers to predict one image.

    They are counted by hooks, because PyTorch's FlopCounterMode takes seconds to load. That counts those of a plugin's
    network, which may multiply in other places; they are 1 at least.
    """
    return _multiplications(network_name, image_shape, classes, network_source(network_name))


@cache
def _multiplications(name: str, image_shape: ImageShape, classes: int, own: PluginSource | None) -> int:
    """own: the source of a plugin's network."""
    network = build_network(name, image_shape, classes, torch.Generator()).eval()
    if own is not None:
        with torch.no_grad():
            return max(1, _count_flop(lambda: network(torch.zeros(1, *image_shape))) // 2)
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


def _synchronize(device: torch.device) -> None:
    """Wait until the device has finished its queue."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
