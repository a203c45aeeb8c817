"""The speed of training, measured by real trainings of the sample, beside this machine's matrix products.

python -m benchmarks.training [NETWORK …] [--elastic STD] [--preset fast] [--rounds 5]

Two processes of one thread each multiply matrices, then train two members of each network; all of it in turn, several
rounds. Printed are the medians of the rounds; the share is that of the FLOP of training in the matmul rate of the same
round. Let the machine rest meanwhile.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import sample
from hitofude.learning.compute import Compute, choose_compute, processors
from hitofude.learning.dispatch import Parallelism, run_members
from hitofude.learning.ensemble import plan_members
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask
from hitofude.learning.speed import describe_machine, matmul_rate, training_flops
from hitofude.recipe import Recipe

MEMBERS, EPOCHS = 2, 5


class LogKeeper:
    """An observer that keeps the epochs."""

    def __init__(self) -> None:
        self.logs: list[EpochLog] = []

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None: ...

    def batch_finished(self, images: int) -> None: ...

    def epoch_finished(self, log: EpochLog) -> None:
        self.logs.append(log)

    def warned(self, message: str) -> None: ...


def benchmark_recipe(network_name: str, preset: str = "fast") -> Recipe:
    """The preset's recipe for that network alone, with few whole epochs and two folds."""
    return Recipe.preset(preset).with_settings(
        {
            "network.name": network_name,
            "optimizer.learning_rate": 0.002,
            "schedule.epochs": EPOCHS,
            "schedule.epoch_share": 1.0,
            "schedule.min_steps": 0,
            "ensemble.split": "folds",
            "ensemble.folds": MEMBERS,
            "ensemble.repeats": 1,
            "ensemble.full_data_members": 0,
            "ensemble.variants": [],
        }
    )


def training_rate(recipe: Recipe, images: ImageSet, compute: Compute, team: Parallelism) -> float:
    """Images/s of all members together, with augmentation, without the first epoch and validation."""
    keeper = LogKeeper()
    with tempfile.TemporaryDirectory() as folder:
        compute = replace(compute, threads=team.threads)
        job = EnsembleTask(compute, tuple(plan_members(recipe, images)), images, None, Path(folder))
        run_members(job, team.workers, keeper)
    return team.workers * statistics.median(log.images_per_second for log in keeper.logs if log.epoch > 1)


def parallelisms() -> dict[str, Parallelism]:
    """One member by all processors, and several side by side."""
    available = processors()
    found = {"one after the other": Parallelism(1, available)}
    if available > 1:
        found["side by side"] = Parallelism(MEMBERS, available // MEMBERS)
    return found


def main() -> None:
    arguments = _parse()
    compute = replace(choose_compute(), threads=1)
    images, team = sample().train, Parallelism(MEMBERS, 1)
    recipes = [_recipe(name, arguments.preset, elastic) for name in arguments.networks for elastic in arguments.elastic]
    print(
        f"{describe_machine(compute)}\n{MEMBERS} processes side by side, median of {arguments.rounds} rounds",
        flush=True,
    )
    products: list[float] = []
    trained: list[list[float]] = [[] for _ in recipes]
    with _side_by_side() as pool:
        for _ in range(arguments.rounds):
            products.append(sum(pool.map(matmul_rate, [compute] * MEMBERS)))
            for rates, recipe in zip(trained, recipes, strict=True):
                rates.append(training_rate(recipe, images, compute, team))
    print(f"matmul {statistics.median(products) / 1e9:,.0f} GFLOP/s in {compute.precision}")
    for rates, recipe in zip(trained, recipes, strict=True):
        print(_line(recipe, rates, products, training_flops(recipe.network.name, images.image_shape)))


def _line(recipe: Recipe, rates: Sequence[float], products: Sequence[float], flops: int) -> str:
    """Describe a network's training. rates: images/s by round; products: FLOP/s of matmul; flops: of an image."""
    shares = [rate * flops / product for rate, product in zip(rates, products, strict=True)]
    rate = statistics.median(rates)
    return (
        f"{recipe.network.name:<10} elastic {recipe.augment.elastic_std:<3g} {rate:>8,.0f} images/s "
        f"{rate * flops / 1e9:>6,.0f} GFLOP/s {statistics.median(shares):>5.0%} of matmul "
        f"({min(shares):.0%} to {max(shares):.0%})"
    )


def _recipe(network: str, preset: str, elastic: float) -> Recipe:
    """The preset's recipe, its learning rate as it is, with every epoch augmented."""
    peak = Recipe.preset(preset).optimizer.learning_rate
    return benchmark_recipe(network, preset).with_settings(
        {
            "optimizer.learning_rate": peak,
            "augment.elastic_std": elastic,
            "augment.no_aug_epochs": 0,
            "schedule.epochs": 3,
        }
    )


def _side_by_side() -> ProcessPoolExecutor:
    """Start processes of one thread that do not wait for each other."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    return ProcessPoolExecutor(MEMBERS, multiprocessing.get_context("spawn"), torch.set_num_threads, (1,))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["cnn-lean", "vgg-24", "vgg-32"])
    parser.add_argument("--elastic", type=float, nargs="+", default=[0.0, 0.8])
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
