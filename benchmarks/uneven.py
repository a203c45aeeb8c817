"""Class weights and balanced sampling on uneven classes: what each gains, out of fold and on held-out images.

    python -m benchmarks.uneven fashion-mnist --seeds 3

The rows of the classes fall geometrically from --most to --fewest; another choice of rows and another order of the
classes for each seed. The held-out images are the source's images to predict, all classes alike.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import hitofude
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source
from hitofude.recipe import Metric
from hitofude.runs.result import RunResult

VARIANTS: dict[str, dict[str, Any]] = {
    "neither": {},
    "class weights, balanced": {"optimizer.class_weights": "balanced"},
    "balanced sampling": {"optimizer.sampling": "balanced"},
}
TRAINING = {"optimizer.batch_size": 32, "schedule.epochs": 6, "schedule.min_steps": 200}
"""As many steps as a few hundred rows need, so that the benchmark takes minutes."""

SHOWN: tuple[Metric, ...] = ("accuracy", "balanced-accuracy", "macro-f1", "log-loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", help="as for hitofude run; by default the embedded sample")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=200, help="rows of the commonest class")
    parser.add_argument("--fewest", type=int, default=8, help="rows of the rarest class")
    parser.add_argument("--held-out", type=int, default=1500, help="images held out")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    source = open_source(arguments.source)
    found: dict[str, list[RunResult]] = {name: [] for name in VARIANTS}
    for seed in range(arguments.seeds):
        uneven = make_uneven(source, arguments.most, arguments.fewest, arguments.held_out, seed)
        for name, settings in VARIANTS.items():
            with tempfile.TemporaryDirectory() as folder:
                run = Path(folder) / "run"
                choices = TRAINING | settings | {"seed": seed}
                found[name].append(
                    hitofude.run(uneven, run=run, settings=choices, workers=1, threads=arguments.threads, quiet=True)
                )
            print(f"seed {seed}, {name}: {_describe(found[name][-1])}", flush=True)
    print_table(found)


def make_uneven(source: Dataset, most: int, fewest: int, held_out: int, seed: int) -> Dataset:
    """Return the source with classes of `most` to `fewest` rows to train on, and some of its images to predict."""
    generator = np.random.default_rng(seed)
    labels, classes = source.train.known_labels(), len(source.train.classes)
    sizes = np.geomspace(most, fewest, classes).round().astype(int)
    order = generator.permutation(classes)
    rows = [generator.permutation(np.flatnonzero(labels == c))[:size] for c, size in zip(order, sizes, strict=True)]
    test: ImageSet | None = source.test
    if test is None or test.labels is None:
        raise SystemExit("The source needs images to predict with known labels.")
    kept = generator.permutation(len(test))[:held_out]
    return Dataset("uneven", source.train.take(np.sort(np.concatenate(rows))), test.take(kept))


def print_table(found: Mapping[str, Sequence[RunResult]]) -> None:
    """Print the means over the seeds, and the standard error of the differences from the first variant."""
    columns = [(split, metric) for split in ("out of fold", "held out") for metric in SHOWN]
    print("| variant | " + " | ".join(f"{metric}, {split}" for split, metric in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    first = next(iter(found.values()))
    for name, results in found.items():
        cells = []
        for column in columns:
            values, base = (np.array([value(one, *column) for one in those]) for those in (results, first))
            change = values - base
            error = change.std(ddof=1) / np.sqrt(len(change)) if len(change) > 1 else np.nan
            cells.append(
                f"{values.mean():.4f}" + ("" if results is first else f" ({change.mean():+.4f} ± {error:.4f})")
            )
        print(f"| {name} | " + " | ".join(cells) + " |")


def value(result: RunResult, split: str, metric: Metric) -> float:
    scores = result.scores if split == "out of fold" else result.summary.test_scores
    if scores is None:
        raise SystemExit("The source needs images to predict with known labels.")
    return scores[metric].value


def _describe(result: RunResult) -> str:
    return ", ".join(f"{metric} {value(result, 'held out', metric):.4f}" for metric in SHOWN) + " on held-out images"


if __name__ == "__main__":
    main()
