"""Does the audit find wrong labels? Swap a share of the sample's labels at random, and audit a run of them.

python -m benchmarks.label_noise [--share 0.02] [--seeds 3] [--preset fast]

Prints, for each seed, the share of the swapped labels that is found (recall), and the share of the listed labels that
is swapped (precision). The embedded sample has 4,000 training images; a swapped label becomes any other, all equally
likely.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hitofude
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.sources import Dataset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="fast")
    arguments = parser.parse_args()
    print(f"{'seed':>4} {'swapped':>8} {'listed':>7} {'found':>7} {'right':>7}")
    for seed in range(arguments.seeds):
        swapped, listed = audit_swapped(arguments.share, seed, arguments.preset)
        both = len(np.intersect1d(swapped, listed))
        found, right = both / len(swapped), both / max(len(listed), 1)
        print(f"{seed:>4} {len(swapped):>8} {len(listed):>7} {found:>7.3f} {right:>7.3f}", flush=True)


def audit_swapped(share: float, seed: int, preset: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows whose labels were swapped, and the rows that the audit of a run lists."""
    dataset, swapped = swap(hitofude.open_source(), share, seed)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"seed": seed}
        result = hitofude.run(dataset, preset=preset, run=Path(folder) / "run", settings=settings, quiet=True)
        listed = [id for _, (id,) in read_text_table(result.folder.label_issues).columns(["id"])]
    return swapped, np.flatnonzero(np.isin(dataset.train.ids, listed))


def swap(dataset: Dataset, share: float, seed: int) -> tuple[Dataset, NDArray[np.int64]]:
    """Return the dataset with this share of the training labels replaced by others, and the rows of these."""
    generator, labels = np.random.default_rng(seed), dataset.train.known_labels().copy()
    rows = np.sort(generator.choice(len(labels), round(share * len(labels)), replace=False))
    classes = len(dataset.train.classes)
    labels[rows] = (labels[rows] + generator.integers(1, classes, len(rows))) % classes
    return replace(dataset, train=replace(dataset.train, labels=labels)), rows


if __name__ == "__main__":
    main()
