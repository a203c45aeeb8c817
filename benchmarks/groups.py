"""Do groups keep the out-of-fold accuracy honest? Train on digits of few writers, and of copied rows, with and without.

python -m benchmarks.groups [--seeds 5] [--writers 40]

Writers: each writes eight digits, four of them twice, in a font, slant, weight and distortion of their own. The truth
is the accuracy of the same members on digits of 200 other writers. Random folds put a writer's two sevens on both sides
and flatter; folds by `groups=` must hold the truth within their 95 % interval. Beside it stands the flattery that the
report estimates, from nearest neighbours, without a second training.

Copies: 300 of the sample's digits, each there three times, against the same digits once and as many steps of training.
The truth is the accuracy of the same members on the sample's 1,000 test images.
"""

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import hitofude
from benchmarks.written_digits import FONTS
from hitofude.inputs.image_set import ImageSet, row_numbers
from hitofude.inputs.sources import Dataset, sample
from hitofude.metrics.metrics import Accuracy
from hitofude.runs.result import RunResult

SIDE, IMAGES, NEW_WRITERS, COPIED = 28, 8, 200, 300
DIGITS = tuple("0123456789")
SETTINGS: dict[str, Any] = {
    "schedule.epochs": 12,
    "schedule.min_steps": 0,
    "optimizer.batch_size": 32,
    "ensemble.folds": 2,
    "tta.shift": 0,
    "augment.no_aug_epochs": 0,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--writers", type=int, default=40)
    arguments = parser.parse_args()
    print(
        f"{'seed':>4} {'split':<16} {'out of fold, 95 % interval':<28} {'truth':>7} {'flatters':>8}  report's estimate"
    )
    for seed in range(arguments.seeds):
        data, writers = writers_data(arguments.writers, seed)
        report(seed, "random", train(data, seed, {"ensemble.group_copies": False}))
        report(seed, "groups=", train(data, seed, {}, groups=writers))
    for seed in range(arguments.seeds):
        once, tripled = copied_data(seed)
        report(seed, "once", train(once, seed, {"schedule.epochs": 3 * SETTINGS["schedule.epochs"]}))
        report(seed, "tripled, random", train(tripled, seed, {"ensemble.group_copies": False}))
        report(seed, "tripled", train(tripled, seed, {}))


@dataclass(frozen=True)
class Outcome:
    """The out-of-fold accuracy of a run, the accuracy of its members on other images, and the estimated flattery."""

    out_of_fold: Accuracy
    truth: float
    flattery: float | None


def train(data: Dataset, seed: int, settings: dict[str, Any], groups: NDArray[np.str_] | None = None) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        every = SETTINGS | settings | {"seed": seed}
        result = hitofude.run(
            data, run=Path(folder) / "run", settings=every, groups=groups, workers=1, threads=1, quiet=True
        )
        related = result.summary.related
        return Outcome(result.accuracy, truth_of(result, data), None if related is None else related.flattery)


def truth_of(result: RunResult, data: Dataset) -> float:
    """Return the mean accuracy of single members on the test images: each trained on as many rows as out of fold."""
    assert result.member_probabilities is not None
    assert data.test is not None
    return float((result.member_probabilities.argmax(axis=2) == data.test.known_labels()).mean())


def report(seed: int, split: str, outcome: Outcome) -> None:
    found, (low, high) = outcome.out_of_fold, outcome.out_of_fold.interval
    holds = "" if low <= outcome.truth <= high else "  the truth is outside"
    estimated = "" if outcome.flattery is None else f"{outcome.flattery:+.3f}"
    print(
        f"{seed:>4} {split:<16} {found.value:.4f} ({low:.4f} to {high:.4f})    {outcome.truth:>7.4f} "
        f"{found.value - outcome.truth:>+8.4f}  {estimated}{holds}",
        flush=True,
    )


def writers_data(writers: int, seed: int) -> tuple[Dataset, NDArray[np.str_]]:
    """Return digits of some writers, digits of others to predict, and the writer of each training row."""
    generator = np.random.default_rng(seed)
    written = [write(generator) for _ in range(writers + NEW_WRITERS)]
    images = np.concatenate([images for images, _ in written])
    labels = np.concatenate([labels for _, labels in written])
    rows = np.arange(len(labels))
    data = ImageSet(images, labels, row_numbers(len(labels)), DIGITS)
    train, test = data.take(rows[: writers * IMAGES]), data.take(rows[writers * IMAGES :])
    return Dataset("writers", train, test), np.repeat(np.arange(writers).astype(np.str_), IMAGES)


def write(generator: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return (8, 1, 28, 28) digits of one writer, and their labels."""
    font = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{generator.choice(FONTS)}.ttf")
    slant, turn, weight = generator.normal(0, 0.25), generator.normal(0, 0.15), generator.uniform(0.4, 1.3)
    digits = np.repeat(generator.choice(10, IMAGES // 2, replace=False), 2)
    ways = {digit: _distortion(generator, 2.5) for digit in digits.tolist()}
    images = [_draw(str(d), font, slant, turn, weight, ways[d] + _distortion(generator, 0.6)) for d in digits.tolist()]
    noisy = np.stack(images) + generator.normal(0, 8, (IMAGES, SIDE, SIDE))
    return noisy.clip(0, 255).round().astype(np.uint8)[:, None], digits.astype(np.int64)


def _distortion(generator: np.random.Generator, pixels: float) -> NDArray[np.float64]:
    """(2, 28, 28) smooth random displacements of this standard deviation."""
    smooth = ndimage.gaussian_filter(generator.normal(size=(2, SIDE, SIDE)), (0, 5, 5))
    found: NDArray[np.float64] = pixels * smooth / smooth.std()
    return found


def _draw(
    digit: str, font: Path, slant: float, turn: float, weight: float, distortion: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(28, 28) light on dark, 0..255."""
    canvas = Image.new("L", (SIDE, SIDE))
    draw = ImageDraw.Draw(canvas)
    draw.text((SIDE / 2, SIDE / 2), digit, fill=255, font=ImageFont.truetype(font, 24), anchor="mm")
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    places = np.stack([np.cos(turn) * rows - np.sin(turn) * columns, np.sin(turn) * rows + np.cos(turn) * columns])
    places[1] += slant * places[0]
    ink = ndimage.map_coordinates(np.asarray(canvas, dtype=np.float64), places + SIDE / 2 + distortion, order=1)
    blurred = ndimage.gaussian_filter(ink, weight)
    drawn: NDArray[np.float64] = 255 * blurred / max(blurred.max(), 1)
    return drawn


def copied_data(seed: int) -> tuple[Dataset, Dataset]:
    """Return some of the sample's digits, and the same three times over; both with the test images."""
    data = sample()
    rows = np.random.default_rng(seed).permutation(len(data.train))[:COPIED]
    once, tripled = data.train.take(rows), data.train.take(np.tile(rows, 3))
    tripled = replace(tripled, ids=row_numbers(len(tripled)))
    return replace(data, name="once", train=once), replace(data, name="tripled", train=tripled)


if __name__ == "__main__":
    main()
