"""Accuracy and speed of the estimator in cross-validation: the default preset on 1,500 of the sample's digits.

python -m benchmarks.estimator [--rows 1500] [--preset fast] [--seed 0] [--compare]

The goal is a mean of 0.96 within two minutes on two processors. The rows are balanced over the classes.
--compare: instead, compare the estimator's smaller batches with the preset's own, and with half of the steps, by their
out-of-fold accuracy on 1,000 other rows.
"""

import argparse
import os
import time

from sklearn.model_selection import cross_val_score

from hitofude import HitofudeClassifier
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import sample
from hitofude.learning.compute import processor_name, processors

WAYS: dict[str, dict[str, int]] = {
    "smaller batches": {},
    "the preset's batches": {"optimizer.batch_size": 128},
    "smaller batches, half steps": {"schedule.min_steps": 250},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--seed", type=int, default=0, help="chooses the rows")
    parser.add_argument("--compare", action="store_true")
    arguments = parser.parse_args()
    digits = sample().train
    rows = shuffled_evenly(digits.known_labels(), arguments.seed)
    if arguments.compare:
        compare(digits.take(rows[arguments.rows :][:1000]), arguments.preset)
        return
    rows = rows[: arguments.rows]
    X, y = digits.images[rows].reshape(len(rows), -1), digits.known_labels()[rows]  # noqa: N806
    started, busy = time.perf_counter(), processor_seconds()
    scores = cross_val_score(HitofudeClassifier(arguments.preset), X, y, cv=3)
    seconds = time.perf_counter() - started
    print(f"{len(rows):,} digits, cv=3: mean accuracy {scores.mean():.4f} ({', '.join(f'{s:.4f}' for s in scores)})")
    print(
        f"{seconds:.0f} s, {processor_seconds() - busy:.0f} s of processor time, on {processors()} x {processor_name()}"
    )


def compare(digits: ImageSet, preset: str) -> None:
    """Print a line for each way of training, on the same rows."""
    labels = digits.known_labels()
    for name, settings in WAYS.items():
        busy = processor_seconds()
        fitted = HitofudeClassifier(preset, settings=settings, workers=1).fit(digits.images, labels)
        right = (fitted.oof_probabilities_.argmax(axis=1) == labels).mean()
        print(f"{name:<28} out of fold {right:.4f}, {processor_seconds() - busy:.0f} s of processor time", flush=True)


def processor_seconds() -> float:
    """Return the processor time of this process and its finished child processes."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
