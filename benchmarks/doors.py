"""Are the probabilities calibrated that every door of a run gives, and do its prediction sets hold the truth?

python -m benchmarks.doors digit-recognizer.zip fashion-mnist letters [--rows 6000] [--out runs/doors]

Trains a preset on some rows of each source (`letters` are made of fonts), and predicts 10,000 images whose labels
select nothing: the source's own images to predict if it knows their labels, else training images that are left out.
Prints the log loss of the probabilities as they are given, raw, and at the temperature of the out-of-fold rows, and how
much more than at the best temperature, fitted on these very labels, each of them is. Then the share of prediction sets
that hold the label, and their mean size. Runs in --out that are finished are read again.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hitofude
from benchmarks.letters import draw_letters
from hitofude.inputs.sources import Dataset, open_source
from hitofude.metrics.calibration import fit_temperature, join_members
from hitofude.metrics.metrics import cross_entropy
from hitofude.metrics.whole_ensemble import LEVELS
from hitofude.runs.result import RunResult

HIDDEN = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--rows", type=int, default=6_000)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--out", type=Path, default=Path("runs", "doors"))
    arguments = parser.parse_args()
    for source in arguments.sources:
        dataset = with_images_to_predict(source)
        folder = arguments.out / f"{dataset.name}-{Path(arguments.preset).stem}-{arguments.rows}"
        result = hitofude.run(
            dataset, preset=arguments.preset, run=folder, settings={"rows": arguments.rows}, quiet=True
        )
        assert dataset.test is not None
        print(describe(result, dataset.test.known_labels()), flush=True)


def with_images_to_predict(source: str) -> Dataset:
    """Return data whose images to predict have labels, which select nothing."""
    if source == "letters":
        letters = draw_letters(HIDDEN + 6_000, seed=0)
        known = Dataset("letters", letters)
    else:
        known = open_source(source)
    if known.test is not None and known.test.labels is not None:
        return known
    order = np.random.default_rng(0).permutation(len(known.train))
    test, train = (known.train.take(np.sort(rows)) for rows in (order[:HIDDEN], order[HIDDEN:]))
    return Dataset(known.name, train, test)


def describe(result: RunResult, labels: NDArray[np.int64]) -> str:
    """Return a table of log losses, and one of prediction sets. labels: of the images to predict."""
    given, members = result.test_probabilities, result.member_probabilities
    assert given is not None
    assert members is not None
    calibration, raw = result.summary.calibration, join_members(members, None)
    best = fit_temperature(labels, raw)
    least = log_loss(labels, join_members(members, best))
    lines = [f"{result.summary.source}: {len(members)} members, accuracy {(given.argmax(axis=1) == labels).mean():.4f}"]
    for name, temperature, probabilities in (
        ("as given", calibration.temperature, given),
        ("at the temperature of the out-of-fold rows", calibration.out_of_fold_temperature, None),
        ("raw", 1.0, raw),
        ("at the best temperature", best, None),
    ):
        loss = log_loss(labels, join_members(members, temperature) if probabilities is None else probabilities)
        lines.append(f"  {name:<43} T {temperature:.3f}  log loss {loss:.5f}  {100 * (loss / least - 1):+.2f} %")
    for level in LEVELS:
        sets = result.test_sets(level)
        assert sets is not None
        held = sets[np.arange(len(labels)), labels].mean()
        lines.append(f"  sets at {level:.0%}: {held:.2%} hold the label, mean size {sets.sum(axis=1).mean():.3f}")
    return "\n".join(lines)


def log_loss(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float:
    """Return the mean loss in nats. labels: (N,); probabilities: (N, classes)."""
    return float(cross_entropy(labels, probabilities).mean(dtype=np.float64))


if __name__ == "__main__":
    main()
