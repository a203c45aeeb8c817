"""The networks side by side: how large they are, and how fast here."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from hitofude.benchmark.arithmetic import multiplications, synchronize
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.compute import Compute
from hitofude.learning.networks import build_network, count_parameters
from hitofude.learning.predicting import predict_probabilities
from hitofude.learning.training import MemberPlan, Trainer, TrainingData
from hitofude.recipe import DEFAULT_PRESET, Recipe

WARM_UP, STEPS, PREDICTED = 2, 8, 2048


@dataclass(frozen=True)
class NetworkFacts:
    """A line of the list."""

    name: str
    parameters: int
    multiplications: int
    """Of one image's prediction."""
    trained: float
    predicted: float
    """Images a second."""


def measure_network(name: str, images: ImageSet, compute: Compute) -> NetworkFacts:
    """Train it for a few batches of the default preset, as a run does, and predict."""
    recipe = Recipe.preset(DEFAULT_PRESET).with_settings({"network.name": name})
    rows = np.arange((WARM_UP + STEPS) * recipe.optimizer.batch_size) % len(images)
    network = build_network(name, images.image_shape, len(images.classes), torch.Generator().manual_seed(0))
    network = network.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with compute.applied():
        trainer = Trainer(
            MemberPlan(0, name, rows, rows[:0]), TrainingData.on_device(images, compute), recipe, compute, network
        )
        trained = _training_rate(trainer)
        pixels = trainer.data.images[torch.arange(PREDICTED, device=compute.device) % len(images)]
        predict_probabilities(network, pixels[:256], compute)
        started = time.perf_counter()
        predict_probabilities(network, pixels, compute)
        predicted = PREDICTED / (time.perf_counter() - started)
    return NetworkFacts(name, count_parameters(network), multiplications(name, images.image_shape), trained, predicted)


def format_networks(facts: list[NetworkFacts]) -> str:
    """A table, a line a network."""
    lines = [f"{'network':<12} {'parameters':>10} {'MACs an image':>14} {'trained/s':>10} {'predicted/s':>12}"]
    lines += [
        f"{fact.name:<12} {fact.parameters:>10,} {fact.multiplications:>14,} {fact.trained:>10,.0f}"
        f" {fact.predicted:>12,.0f}"
        for fact in facts
    ]
    return "\n".join(lines)


def _training_rate(trainer: Trainer) -> float:
    """Images/s of the steps after the first ones."""
    batches = trainer.draw_batches(1)
    for batch in batches[:WARM_UP]:
        trainer.step(*batch)
    synchronize(trainer.compute.device)
    started = time.perf_counter()
    for batch in batches[WARM_UP:]:
        trainer.step(*batch)
    synchronize(trainer.compute.device)
    return sum(len(rows) for rows, _ in batches[WARM_UP:]) / (time.perf_counter() - started)
