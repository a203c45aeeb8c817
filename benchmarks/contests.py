"""hitofude beside other libraries, in pairs measured in turn; a note says which library is not installed.

python -m benchmarks.contests
python -m benchmarks.contests --csv train.csv    only the reading of this file
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.prediction import prediction
from benchmarks.timing import Note, Row, against, format_table, rates
from benchmarks.training import benchmark_recipe, parallelisms, training_rate
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.sources import sample
from hitofude.learning.augment import draw_maps, warp
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.speed import describe_machine, matmul_rate, training_flops
from hitofude.recipe import DEFAULT_PRESET, Recipe

BATCH = 128
CSV_REPEATS = 5


def contests(compute: Compute) -> Iterator[Row | Note]:
    """Yield every pair as soon as it is measured."""
    images = sample().train
    yield from training(compute, images)
    yield from augmentation(compute, images)
    with tempfile.TemporaryDirectory() as folder:
        yield from reading(write_csv(Path(folder, "train.csv"), images, CSV_REPEATS))
    yield from prediction(compute, images)


def training(compute: Compute, images: ImageSet) -> Iterator[Row | Note]:
    """Achieved FLOP/s against the machine's matrix products, and members side by side against one after the other."""
    peak = matmul_rate(compute) / 1e9
    for network in dict.fromkeys(("cnn-medium", Recipe.preset(DEFAULT_PRESET).network.name)):
        recipe = benchmark_recipe(network)
        found = {name: training_rate(recipe, images, compute, team) for name, team in parallelisms().items()}
        best = max(found.values())
        achieved = best * training_flops(network, images.image_shape) / 1e9
        yield Row(f"training {network}: {best:,.0f} images/s", "GFLOP/s", achieved, f"{compute.precision} matmul", peak)
        if len(found) > 1:
            alone, together = found.values()
            yield Row(f"training {network} side by side", "images/s", together, "one after the other", alone)


def augmentation(compute: Compute, images: ImageSet) -> Iterator[Row | Note]:
    """Affine maps of whole batches against scikit-image, image by image, of the same maps; on a CPU one thread each."""
    if find_spec("skimage") is None:
        yield Note("augmentation", "pip install scikit-image to compare with it")
        return
    from skimage.transform import AffineTransform
    from skimage.transform import warp as skimage_warp

    pixels = images.images[:2000].astype(np.float32) / 255
    recipe = Recipe.preset("article").augment.model_copy(update={"probability": 1.0})
    maps = draw_maps(len(pixels), recipe, images.image_shape[1:], torch.Generator().manual_seed(0))
    batches = torch.from_numpy(pixels).to(compute.device)

    def whole_batches() -> None:
        for batch, batch_maps in zip(batches.split(BATCH), maps.to(compute.device).split(BATCH), strict=True):
            warp(batch, batch_maps, some_unwarped=False)

    def one_by_one() -> None:
        for image, matrix in zip(pixels, maps.numpy(), strict=True):
            skimage_warp(image[0], AffineTransform(np.vstack([matrix, [0, 0, 1]])), order=1)

    with replace(compute, threads=1).applied():
        found = rates({"hitofude": whole_batches, "scikit-image": one_by_one}, len(pixels))
    yield from against("augmentation", "images/s", found)


def reading(path: Path) -> Iterator[Row | Note]:
    """A train.csv against pandas.read_csv."""
    if find_spec("pandas") is None:
        yield Note("CSV reading", "pip install pandas to compare with it")
        return
    import pandas as pd

    ours = partial(csv_file(path).read, ReadOptions())
    found = rates({"hitofude": ours, "pandas": lambda: pd.read_csv(path)}, path.stat().st_size / 1e6)
    yield from against("reading CSV", "MB/s", found)


def write_csv(path: Path, images: ImageSet, repeats: int) -> Path:
    """Write the images' rows as Kaggle does, repeated `repeats` times."""
    pixels = images.images.reshape(len(images), -1).tolist()
    labels = images.known_labels().tolist()
    rows = "".join(f"{label},{','.join(map(str, row))}\n" for label, row in zip(labels, pixels, strict=True))
    header = ",".join(["label", *(f"pixel{i}" for i in range(len(pixels[0])))])
    path.write_text(f"{header}\n{rows * repeats}", encoding="utf-8")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--csv", type=Path, help="measure only the reading of this file")
    arguments = parser.parse_args()
    compute = choose_compute(arguments.device)
    print(describe_machine(compute), flush=True)
    print(format_table(contests(compute) if arguments.csv is None else reading(arguments.csv)))


if __name__ == "__main__":
    main()
