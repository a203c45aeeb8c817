"""Do the intervals hold? Hundreds of small real trainings, each with thousands of images whose truth is known.

python -m benchmarks.estimates digit-recognizer.zip fashion-mnist --out /tmp/estimates --trainings 320
python -m benchmarks.estimates --out /tmp/estimates                 # the table again, of the trainings that are there

Each training draws its settings from its number: the images (those of the sources, and letters made of fonts), 200 to
20,000 rows, one to thirty epochs, one to ten members, balanced classes or not. Its probabilities are kept as one .npz,
so that another estimator can be judged without training again; the same command goes on after a kill.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.letters import draw_letters
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source
from hitofude.learning.compute import choose_compute
from hitofude.learning.ensemble import plan_members, train_ensemble
from hitofude.learning.member import EnsembleTask
from hitofude.metrics.estimate import EnsembleAnswers, estimate_ensemble
from hitofude.metrics.metrics import accuracy
from hitofude.metrics.whole_ensemble import fit_temperatures
from hitofude.outputs.display import SilentDisplay
from hitofude.recipe import Recipe
from hitofude.storage import write_npz

LETTERS = 16_000
MOST_IMAGES = 24_000
"""The images that one training learns from, counted once an epoch and member."""
FEWEST_OF_A_CLASS = 10
RAREST = 0.08
"""The share of the rarest class beside the commonest, if the classes are uneven."""


@dataclass(frozen=True)
class Training:
    """The settings of one small training."""

    number: int
    images: str
    """The index of a source, or `letters`."""
    rows: int
    epochs: int
    batch: int
    ensemble: dict[str, Any]
    balanced: bool
    to_predict: int

    @classmethod
    def draw(cls, number: int, sources: Sequence[str]) -> "Training":
        generator = np.random.default_rng([18, number])
        rows = int(200 * 100 ** generator.random() ** 1.7)  # 200 to 20,000, half of them under 900
        ensemble = _ENSEMBLES[generator.integers(len(_ENSEMBLES))]
        trained = rows * _share_trained_on(ensemble)
        epochs = int(np.exp(generator.uniform(0, np.log(30))))
        return cls(
            number=number,
            images=str(generator.choice([*sources, "letters"])),
            rows=rows,
            epochs=max(1, min(epochs, int(MOST_IMAGES / trained))),
            batch=int(generator.choice([16, 32, 64]) if rows < 2_000 else generator.choice([64, 128])),
            ensemble=ensemble,
            balanced=bool(generator.random() < 0.6),
            to_predict=int(generator.choice([500, 1_000, 2_000])),
        )

    def recipe(self) -> Recipe:
        return Recipe.preset("fast").with_settings(
            {
                "seed": self.number,
                "schedule.epochs": self.epochs,
                "schedule.min_steps": 0,
                "optimizer.batch_size": self.batch,
                "augment.no_aug_epochs": min(1, self.epochs - 1),
                **{f"ensemble.{name}": value for name, value in self.ensemble.items()},
            }
        )


_ENSEMBLES: list[dict[str, Any]] = [
    {"split": "holdout"},
    {"folds": 2},
    {"folds": 2},
    {"folds": 3},
    {"folds": 5},
    {"folds": 10},
    {"folds": 2, "repeats": 3},
    {"folds": 5, "repeats": 2},
    {"folds": 3, "full_data_members": 3},
    {"folds": 5, "full_data_members": 5},
]


def _share_trained_on(ensemble: dict[str, Any]) -> float:
    """Return how many times as many images as there are rows the members see in an epoch, all together."""
    if ensemble.get("split") == "holdout":
        return 0.8
    return int(ensemble["folds"] - 1) * float(ensemble.get("repeats", 1)) + float(ensemble.get("full_data_members", 0))


@cache
def _all_images(source: str) -> ImageSet:
    return draw_letters(LETTERS, seed=0) if source == "letters" else open_source(source).train


def train(training: Training, folder: Path) -> Path:
    """Train one ensemble in a temporary folder, and write its probabilities; leave finished ones alone."""
    path = folder / f"{training.number:04d}.npz"
    if path.exists():
        return path
    images, hidden = _split(_all_images(training.images), training)
    recipe = training.recipe()
    plans = tuple(plan_members(recipe, images))
    with tempfile.TemporaryDirectory(prefix="estimates-") as name:
        compute = choose_compute("cpu", "auto", 1)
        task = EnsembleTask(compute, plans, images, hidden, Path(name), unattended=True)
        found = train_ensemble(task, 1, SilentDisplay())
    assert found.test is not None
    held_out = np.zeros((len(plans), len(images)), dtype=np.bool_)
    for plan in plans:
        held_out[plan.member, plan.validation_rows] = True
    write_npz(
        path,
        training=np.array(json.dumps(asdict(training))),
        labels=images.known_labels(),
        out_of_fold=found.out_of_fold,
        held_out=held_out,
        members=found.test,
        hidden=hidden.known_labels(),
    )
    return path


def _split(images: ImageSet, training: Training) -> tuple[ImageSet, ImageSet]:
    """Draw rows to train on and others to predict, both with the same shares of the classes."""
    generator = np.random.default_rng([19, training.number])
    labels, classes = images.known_labels(), len(images.classes)
    shares = np.ones(classes) if training.balanced else generator.permutation(np.geomspace(1, RAREST, classes))
    counts = np.bincount(labels, minlength=classes)
    ratio = training.to_predict / training.rows
    available = (counts / (1 + ratio) - 1).astype(np.int64)
    to_train = (shares / shares.sum() * training.rows).round().astype(np.int64).clip(FEWEST_OF_A_CLASS, available)
    to_predict = (to_train * ratio).round().astype(np.int64)
    chosen: tuple[list[Any], list[Any]] = [], []
    for label, (first, second) in enumerate(zip(to_train, to_predict, strict=True)):
        rows = generator.permutation(np.flatnonzero(labels == label))
        chosen[0].append(rows[:first])
        chosen[1].append(rows[first : first + second])
    learned, hidden = (images.take(generator.permutation(np.concatenate(rows))) for rows in chosen)
    return learned, hidden


@dataclass(frozen=True)
class Outcome:
    """One training's estimate beside the truth."""

    training: Training
    rows: int
    members: int
    out_of_fold: float
    estimate: float
    interval: tuple[float, float]
    true: float
    standard_error: float
    """The standard error of the difference between estimate and truth, from the interval's width."""
    doubt: str | None
    """The reason why no estimate is printed, if there is one."""

    @property
    def covers(self) -> bool:
        return self.interval[0] <= self.true <= self.interval[1]


def judge(path: Path) -> Outcome:
    """Estimate the score from what a run knows, and compare it with the labels that it does not know."""
    with np.load(path) as arrays:
        labels, out_of_fold, members, hidden = (arrays[name] for name in ("labels", "out_of_fold", "members", "hidden"))
        held_out = arrays["held_out"].T
        training = Training(**json.loads(str(arrays["training"])))
    temperatures = fit_temperatures(labels, out_of_fold, held_out, members)
    found = estimate_ensemble(labels, EnsembleAnswers(out_of_fold, held_out, members), temperatures)
    low, high = found.interval
    return Outcome(
        training=training,
        rows=len(labels),
        members=len(members),
        out_of_fold=found.out_of_fold.value,
        estimate=found.value,
        interval=found.interval,
        true=accuracy(hidden, members.mean(axis=0).argmax(axis=1)).value,
        standard_error=(high - low) / (2 * 1.96),
        doubt=found.doubt,
    )


STRATA: dict[str, Callable[[Outcome], bool]] = {
    "all": lambda _: True,
    "under 500 rows": lambda one: one.rows < 500,
    "500 to 3,000 rows": lambda one: 500 <= one.rows < 3_000,
    "3,000 rows and more": lambda one: one.rows >= 3_000,
    "accuracy under 0.9": lambda one: one.true < 0.9,
    "accuracy of 0.9 and more": lambda one: one.true >= 0.9,
    "one member": lambda one: one.members == 1,
    "two members": lambda one: one.members == 2,
    "ten members": lambda one: one.members == 10,
    "digits": lambda one: "fashion" not in one.training.images and one.training.images != "letters",
    "fashion": lambda one: "fashion" in one.training.images,
    "letters": lambda one: one.training.images == "letters",
    "uneven classes": lambda one: not one.training.balanced,
}


def table(outcomes: Sequence[Outcome]) -> str:
    """Coverage of the 95 % interval, mean bias in standard errors, and median width, by kind of training."""
    lines = [
        f"{'trainings':<26}{'number':>7}{'coverage':>10}{'bias (SE)':>11}{'bias':>9}{'width':>8}{'out of fold':>13}"
    ]
    for name, belongs in STRATA.items():
        some = [one for one in outcomes if belongs(one)]
        if not some:
            continue
        covered = np.mean([one.covers for one in some])
        bias = np.mean([one.estimate - one.true for one in some])
        of_fold = np.mean([one.out_of_fold - one.true for one in some])
        relative = np.mean([(one.estimate - one.true) / max(one.standard_error, 1e-9) for one in some])
        width = np.median([one.interval[1] - one.interval[0] for one in some])
        lines.append(
            f"{name:<26}{len(some):>7}{covered:>9.1%}{relative:>+12.2f}{bias:>+9.4f}{width:>8.4f}{of_fold:>+13.4f}"
        )
    return "\n".join([*lines, "bias: estimate less truth; out of fold: out-of-fold accuracy less truth"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", help="such as digit-recognizer.zip; none: only the table")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trainings", type=int, default=320)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.sources:
        drawn = [Training.draw(number, arguments.sources) for number in range(arguments.trainings)]
        with ProcessPoolExecutor(arguments.processes) as pool:
            for done, path in enumerate(pool.map(partial(train, folder=arguments.out), drawn), 1):
                print(f"\r{done} of {len(drawn)}: {path.name}", end="", flush=True)
        print()
    outcomes = [judge(path) for path in sorted(arguments.out.glob("*.npz"))]
    print(table([one for one in outcomes if one.doubt is None]))
    doubted = [one for one in outcomes if one.doubt is not None]
    covered = sum(one.covers for one in doubted)
    print(
        f"{len(doubted)} more have no estimate; {covered} of their intervals, which nobody sees, would hold the truth"
    )


if __name__ == "__main__":
    main()
