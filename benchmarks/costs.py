"""The figures that docs/scaling.md uses: bytes of states, messages and images in Parquet; images/s of one thread.

python -m benchmarks.costs RUN [SOURCE]     (a finished run, and a source whose images to predict are taken)
"""

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from pyarrow import parquet

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, open_source
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import choose_compute, processor_name
from hitofude.learning.ensemble import plan_members
from hitofude.learning.member import EnsembleTask
from hitofude.learning.networks import build_network
from hitofude.learning.optimizers import make_optimizer
from hitofude.learning.worker import EnsembleMessage
from hitofude.prediction.model import Model
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder

NETWORKS = (("cnn-lean", "fast"), ("resnet", "best"), ("senet", "best"))
ROUNDS = 3


def state_bytes(name: str, preset: str, folder: Path) -> tuple[int, int]:
    """Return the size of a state after an epoch, and of a finished member."""
    network = build_network(name, (1, 28, 28), 10, torch.Generator().manual_seed(0))
    optimizer = make_optimizer(network, Recipe.preset(preset).optimizer)
    network(torch.ones(8, 1, 28, 28)).square().mean().backward()
    optimizer.step()
    kept = MemberFolder(folder / name)
    kept.path.mkdir()
    kept.save_state({"network": network}, optimizer, {}, [])
    state = kept.newest_saved()
    kept.finish(network, {}, [])
    finished = kept.newest_saved()
    assert state is not None
    assert finished is not None
    return len(state.tensors + state.description), len(finished.tensors + finished.description)


def message_bytes(dataset: Dataset) -> tuple[int, int]:
    """Return the size of the images, sent once to a machine, and of the rows that are sent with a member."""
    recipe = Recipe.preset("fast")
    plans = plan_members(recipe, dataset.train)
    compute = choose_compute("cpu", "float32")
    packed = EnsembleMessage(EnsembleTask(compute, tuple(plans), dataset.train, dataset.test, Path("run"), True), "")
    return len(packed.images[1]), len(packed.member(plans[0], None)[1])


def parquet_bytes(pixels: NDArray[np.uint8], path: Path) -> dict[str, float]:
    """Return the bytes of an image by the type of its pixels' columns."""
    tables = {
        "784 columns": pa.table({f"pixel{i}": pixels[:, i] for i in range(pixels.shape[1])}),
        "a list": pa.table({"image": pa.FixedSizeListArray.from_arrays(pa.array(pixels.ravel()), pixels.shape[1])}),
        "binary": pa.table({"image": [row.tobytes() for row in pixels]}),
    }
    found = {}
    for name, table in tables.items():
        parquet.write_table(table, path, compression="zstd")
        found[name] = path.stat().st_size / len(pixels)
    return found


def images_per_second(run: Path, images: ImageSet, precision: str) -> list[float]:
    """Measure images per second of processor time, by one thread and all members of the run."""
    model = Model.of_run(RunFolder(run), choose_compute("cpu", precision, 1), None)
    pixels, found = torch.from_numpy(images.images), []
    for _ in range(ROUNDS):
        started = time.process_time()
        model.predict_members(pixels)
        found.append(len(images) / (time.process_time() - started))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source", nargs="?")
    options = parser.parse_args()
    dataset = open_source(options.source)
    assert dataset.test is not None, "a source with images to predict is needed"
    print(f"{os.cpu_count()} processors, {processor_name()}")
    with TemporaryDirectory() as folder:
        for name, preset in NETWORKS:
            state, finished = state_bytes(name, preset, Path(folder))
            print(f"{name}: a state {state:,} bytes, a finished member {finished:,}")
        images, plan = message_bytes(dataset)
        print(f"images {images:,} bytes a machine, a member's plan {plan:,} bytes")
        pixels = dataset.test.images.reshape(len(dataset.test), -1)
        for name, size in parquet_bytes(pixels, Path(folder) / "images.parquet").items():
            print(f"Parquet, zstd, {name}: {size:.0f} bytes an image")
    for precision in ("float32", "bfloat16"):
        rounds = ", ".join(f"{speed:,.0f}" for speed in images_per_second(options.run, dataset.test, precision))
        print(f"predicting, {precision}: {rounds} images a second of one thread")


if __name__ == "__main__":
    main()
