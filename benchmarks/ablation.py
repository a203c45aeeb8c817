"""Compare recipes with paired seeds and one fixed split of the training rows.

python -m benchmarks.ablation digit-recognizer.zip benchmarks/ablations/optimizers.toml --seeds 3 --out /tmp/ablation

A TOML file has the common settings and those of each variant; the others are compared with the first variant. 8,000
training rows are set aside, a third of the rest is used for validation; test rows are not read. Each variant is trained
with each seed as one member, by one thread; its probabilities are kept in --out, and a second call trains only missing
ones.
"""

import argparse
import hashlib
import tempfile
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.training import LogKeeper
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source
from hitofude.learning.compute import choose_compute, processors
from hitofude.learning.margin import settle_margin
from hitofude.learning.member import EnsembleTask, MemberRunner
from hitofude.learning.speed import training_flops
from hitofude.learning.training import MemberPlan
from hitofude.metrics.calibration import fit_temperature, with_temperature
from hitofude.metrics.metrics import cross_entropy
from hitofude.recipe import Recipe
from hitofude.storage import write_npz

ASIDE, ASIDE_SEED = 8_000, 20_261_125
VALIDATED = 1 / 3


@dataclass(frozen=True)
class Trial:
    """One training: a variant with a seed."""

    source: str
    recipe: Recipe
    folder: Path

    @property
    def path(self) -> Path:
        """The file of its probabilities, named by everything they depend on."""
        return self.folder / f"{hashlib.sha256(self.recipe.to_toml().encode()).hexdigest()[:16]}.npz"


def main() -> None:
    arguments = _parse()
    content = tomllib.loads(arguments.variants.read_text(encoding="utf-8"))
    shared = Recipe.preset(content.get("preset", "fast")).with_settings(content.get("settings", {}))
    variants = {name: shared.with_settings(settings) for name, settings in content["variants"].items()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    trials = [
        Trial(arguments.source, recipe.with_settings({"seed": seed}), arguments.out)
        for seed, recipe in product(range(arguments.seeds), variants.values())
    ]
    with ProcessPoolExecutor(processors(), get_context("spawn")) as pool:
        for trial, seconds in zip(trials, pool.map(_train, trials), strict=True):
            print(f"{trial.recipe.network.name} {trial.path.name} {seconds:.0f} s", flush=True)
    found = {
        name: [_read(trials[seed * len(variants) + place]) for seed in range(arguments.seeds)]
        for place, name in enumerate(variants)
    }
    print(table(found))


def split_rows(images: ImageSet) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the training and validation rows, and 8,000 rows (or a fifth of few images) for no choice."""
    order = np.random.default_rng(ASIDE_SEED).permutation(len(images))
    count = min(ASIDE, len(images) // 5)
    aside, rest = order[:count], order[count:]
    validated = round(len(rest) * VALIDATED)
    return np.sort(rest[validated:]), np.sort(rest[:validated]), np.sort(aside)


@dataclass(frozen=True)
class Outcome:
    """The result of a trial: probabilities (N, classes) of the validation rows, their labels (N,), its cost."""

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    seconds: float
    flops: float

    @property
    def right(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.labels
        return found


def table(found: dict[str, list[Outcome]]) -> str:
    """Return a line for each variant. Standard errors are over rows, differences are paired by row and seed; the log
    loss is at its best temperature; "together" is the mean of the seeds' probabilities.
    """
    lines = [f"{'variant':<24} {'accuracy %':>16} {'difference':>16} {'log loss':>9} {'together %':>11} {'s':>6} TFLOP"]
    base = _shares_right(next(iter(found.values())))
    for name, outcomes in found.items():
        shares, labels = _shares_right(outcomes), outcomes[0].labels
        together = np.mean([outcome.probabilities for outcome in outcomes], axis=0)
        loss = np.mean([_least_loss(outcome) for outcome in outcomes])
        lines.append(
            f"{name:<24} {_percent(shares)} {_percent(shares - base)} {loss:>9.4f}"
            f" {100 * (together.argmax(axis=1) == labels).mean():>11.3f}"
            f" {np.mean([outcome.seconds for outcome in outcomes]):>6.0f} {outcomes[0].flops / 1e12:>6.1f}"
        )
    return "\n".join(lines)


def _least_loss(outcome: Outcome) -> float:
    """Return the mean cross-entropy at the best temperature, since label smoothing lowers all confidences."""
    temperature = fit_temperature(outcome.labels, outcome.probabilities)
    return float(cross_entropy(outcome.labels, with_temperature(outcome.probabilities, temperature)).mean())


def _shares_right(outcomes: list[Outcome]) -> NDArray[np.float64]:
    """Return (N,) shares over the seeds."""
    shares: NDArray[np.float64] = np.mean([outcome.right for outcome in outcomes], axis=0)
    return shares


def _percent(values: NDArray[np.float64]) -> str:
    return f"{100 * values.mean():>8.3f} ± {100 * values.std() / np.sqrt(len(values)):.3f}"


def _train(trial: Trial) -> float:
    """Train a trial unless its file exists; return the seconds this took."""
    started = time.perf_counter()
    if trial.path.exists():
        return 0.0
    images = open_source(trial.source).train
    recipe = settle_margin(trial.recipe, images)
    train, validated, _ = split_rows(images)
    plan = MemberPlan(0, recipe, train, validated)
    compute = replace(choose_compute("cpu", recipe.precision), threads=1)
    keeper = LogKeeper()
    with tempfile.TemporaryDirectory() as folder:
        task = EnsembleTask(compute, (plan,), images, None, Path(folder))
        probabilities = MemberRunner(task, keeper).run(plan)
    recipe.save(trial.path.with_suffix(".toml"))
    write_npz(
        trial.path,
        probabilities=probabilities.held_out,
        labels=images.known_labels()[validated],
        seconds=np.asarray(sum(log.seconds for log in keeper.logs)),
        flops=np.asarray(plan.images * training_flops(plan.network, images.image_shape)),
    )
    return time.perf_counter() - started


def _read(trial: Trial) -> Outcome:
    with np.load(trial.path) as content:
        return Outcome(content["probabilities"], content["labels"], float(content["seconds"]), float(content["flops"]))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("variants", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
