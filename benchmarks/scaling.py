"""Cost by rows and members: reading, preparing and training steps at 4,000, 42,000 and 420,000 rows.

python -m benchmarks.scaling

The rows of the sample are repeated. Reading is measured up to 42,000 rows.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.contests import write_csv
from benchmarks.training import LogKeeper, benchmark_recipe, parallelisms
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.sources import sample
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.dispatch import run_members
from hitofude.learning.ensemble import plan_members
from hitofude.learning.member import EnsembleTask
from hitofude.learning.networks import build_network
from hitofude.learning.speed import describe_machine
from hitofude.learning.training import Trainer, TrainingData, generator_for

ROWS = (4_000, 42_000, 420_000)
STEPS = 60
MEMBERS = (1, 2, 4)


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def repeated(images: ImageSet, rows: int) -> ImageSet:
    return images.take(np.arange(rows) % len(images))


def cost_of_rows(images: ImageSet, compute: Compute) -> None:
    """Print microseconds per row, which should not depend on the number of rows."""
    recipe = benchmark_recipe("cnn-lean")
    (plan, *_), data = plan_members(recipe, images), TrainingData.on_device(images, compute)
    network = build_network("cnn-lean", images.image_shape, 10, generator_for(0, 0, 0, "weights"))
    trainer = Trainer(plan, data, compute, network)
    with compute.applied():
        drawing = seconds(lambda: trainer.draw_batches(1))
        batches = trainer.draw_batches(1)[: STEPS + 10]
        for batch in batches[:10]:
            trainer.step(*batch)
        stepping = seconds(lambda: [trainer.step(*batch) for batch in batches[10:]])
    images_stepped = sum(len(rows) for rows, _ in batches[10:])
    print(
        f"{len(images):>9,} rows: fingerprint {1e6 * seconds(lambda: replace(images).fingerprint) / len(images):6.2f}, "
        f"folds {1e6 * seconds(lambda: plan_members(recipe, images)) / len(images):6.2f}, "
        f"drawing an epoch {1e6 * drawing / len(plan.train_rows):6.2f}, "
        f"a step {1e6 * stepping / images_stepped:8.1f} µs per row"
    )


def cost_of_reading(images: ImageSet, folder: Path) -> None:
    for repeats in (1, 10):
        path = write_csv(folder / "train.csv", images, repeats)
        taken = seconds(partial(csv_file(path).read, ReadOptions()))
        rows = repeats * len(images)
        print(f"{rows:>9,} rows: reading {1e6 * taken / rows:6.1f} µs per row")


def cost_of_members(images: ImageSet, compute: Compute, folder: Path) -> None:
    """Train numbers of members, each on the same number of rows."""
    for members in MEMBERS:
        recipe = benchmark_recipe("cnn-lean").with_settings({"ensemble.folds": 4, "schedule.epochs": 2})
        plans = tuple(plan_members(recipe, images))[:members]
        for name, parallelism in parallelisms().items():
            workers, compute = min(parallelism.workers, members), replace(compute, threads=parallelism.threads)
            task = EnsembleTask(compute, plans, images, None, folder / f"{members}-{name}")
            taken = seconds(partial(run_members, task, workers, LogKeeper()))
            print(f"{members} members {name}: {taken:5.1f} s, {taken / members:5.1f} s per member")


def main() -> None:
    compute, images = choose_compute(), sample().train
    print(describe_machine(compute))
    for rows in ROWS:
        cost_of_rows(repeated(images, rows), compute)
    with tempfile.TemporaryDirectory() as folder:
        cost_of_reading(images, Path(folder))
        cost_of_members(images, compute, Path(folder))


if __name__ == "__main__":
    main()
