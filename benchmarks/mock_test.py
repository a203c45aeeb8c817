"""Does the estimate hold? 8,000 training rows become a test set whose labels the run does not know.

python -m benchmarks.mock_test digit-recognizer.zip --preset fast --run /tmp/mock-fast

The rows are the ones that `benchmarks/ablation.py` sets aside. docs/accuracy.md lists the choices that did see them.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import hitofude
from benchmarks.ablation import split_rows
from hitofude.inputs.sources import Dataset, open_source
from hitofude.metrics.metrics import Accuracy, accuracy
from hitofude.runs.result import RunResult


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--run", type=Path, required=True)
    arguments = parser.parse_args()
    images = open_source(arguments.source).train
    train, validated, aside = split_rows(images)
    known = images.take(np.sort(np.concatenate([train, validated])))
    hidden = images.take(aside)
    dataset = Dataset(f"{len(hidden)} rows aside", known, replace(hidden, labels=None))
    result = hitofude.run(dataset, preset=arguments.preset, run=arguments.run)
    print(result.describe())
    assert result.test_probabilities is not None
    print(verdict(result, accuracy(hidden.known_labels(), result.test_probabilities.argmax(axis=1))))


def verdict(result: RunResult, true: Accuracy) -> str:
    """Say whether the true score lies within the interval of the estimate."""
    assert result.estimate is not None
    low, high = result.estimate.interval
    relation = "within" if low <= true.value <= high else "OUTSIDE"
    return f"true score of the rows aside: {true}, {relation} the interval {low:.4f} to {high:.4f} of the estimate"


if __name__ == "__main__":
    main()
