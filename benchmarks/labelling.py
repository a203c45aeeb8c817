"""How many labels do images need that `hitofude next` chooses, and how many if they are taken at random?

python -m benchmarks.labelling [--target 0.97] [--seeds 5] [--batch 50] [--ways random next margin] [--state FILE]

The pool is the 4,000 training digits of the sample. It begins with 50 labels, five a class; each round trains two small
networks on the labels so far, measures them together on the sample's other 1,000 digits, and asks for 50 more. A way of
asking ends when the mean accuracy of the seeds reaches the target; the labels needed are interpolated between its last
two rounds. All ways begin with the same labels and train alike.

Prints the mean accuracy of each round, the labels that each way needs, and their ratio. margin: the most unclear
images, without regard to their kinds. Each training is kept in the state file, by default labelling.json, so an
interrupted benchmark continues.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hitofude
from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.inputs.sources import sample
from hitofude.metrics.acquisition import choose_unclear, unclearness
from hitofude.storage import write_json

SETTINGS = {
    "network.name": "cnn-lean",
    "ensemble.split": "holdout",
    "ensemble.repeats": 2,
    "schedule.epoch_share": 1.0,
    "schedule.epochs": 10,
    "schedule.min_steps": 120,
    "optimizer.batch_size": 32,
    "tta.shift": 0,
}
"""Two networks of four layers, each trained for a few seconds on four fifths of the labels."""
START, MOST = 50, 2000
Ask = Callable[[NDArray[np.float32], int, int], NDArray[np.int64]]
"""(N, classes) probabilities, a count and a seed → the rows to label."""


def at_random(probabilities: NDArray[np.float32], count: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(len(probabilities))[:count]


def by_margin(probabilities: NDArray[np.float32], count: int, _seed: int) -> NDArray[np.int64]:
    return np.argsort(-unclearness(probabilities), kind="stable")[:count]


WAYS: dict[str, Ask] = {"random": at_random, "next": choose_unclear, "margin": by_margin}


class Rounds:
    """The rounds of all seeds so far, in a file: the accuracy by way, seed and labels, and the rows that were asked."""

    def __init__(self, state: Path, batch: int) -> None:
        self._state, self._batch = state, batch
        self._done = json.loads(state.read_text()) if state.exists() else {}
        digits = sample()
        assert digits.test is not None
        self._pool, self._held_out = digits.train, digits.test

    def accuracy(self, way: str, seed: int, labels: int) -> float:
        """Return the accuracy with so many labels; train, unless that was done before."""
        key = f"{way}/{seed}/{labels}"
        if key not in self._done:
            self._done[key] = self._train(way, seed, labels)
            write_json(self._state, self._done)
        return float(self._done[key]["accuracy"])

    def _train(self, way: str, seed: int, labels: int) -> dict[str, object]:
        rows = self._labelled(way, seed, labels)
        network = hitofude.HitofudeClassifier("fast", settings=SETTINGS, seed=seed, workers=1, device="cpu")
        network.fit(self._pool.images[rows], self._pool.known_labels()[rows])
        others = np.setdiff1d(np.arange(len(self._pool)), rows)
        asked = WAYS[way](network.predict_proba(self._pool.images[others]), self._batch, seed + labels)
        found = _accuracy(network, self._held_out)
        print(f"{way} seed {seed}: {labels} labels, accuracy {found:.4f}", flush=True)
        return {"accuracy": found, "asked": others[asked].tolist()}

    def _labelled(self, way: str, seed: int, labels: int) -> NDArray[np.int64]:
        """The rows that are labelled: those to start with, and those that the rounds before asked for."""
        rows = shuffled_evenly(self._pool.known_labels(), seed)[:START]
        before = range(START, labels, self._batch)
        return np.concatenate([rows, *(self._done[f"{way}/{seed}/{count}"]["asked"] for count in before)]).astype(int)


def _accuracy(network: hitofude.HitofudeClassifier, images: ImageSet) -> float:
    return float((network.predict(images.images) == images.known_labels()).mean())


def labels_needed(rounds: Rounds, way: str, seeds: int, batch: int, target: float) -> float:
    """Ask until the mean accuracy of the seeds reaches the target; return the labels, between two rounds."""
    before = 0.0
    for labels in range(START, MOST + 1, batch):
        mean = float(np.mean([rounds.accuracy(way, seed, labels) for seed in range(seeds)]))
        print(f"{way:<6} {labels:>5} labels  {mean:.4f}", flush=True)
        if mean >= target:
            return labels if labels == START else labels - batch * (mean - target) / (mean - before)
        before = mean
    raise SystemExit(f"{way}: {target} was not reached with {MOST} labels.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--target", type=float, default=0.97)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["random", "next"])
    parser.add_argument("--state", type=Path, default=Path("labelling.json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # few images of a class
    rounds = Rounds(arguments.state, arguments.batch)
    seeds, batch, target = arguments.seeds, arguments.batch, arguments.target
    needed = {way: labels_needed(rounds, way, seeds, batch, target) for way in arguments.ways}
    for way, labels in needed.items():
        ratio = f", {labels / needed['random']:.2f} of random's" if "random" in needed and way != "random" else ""
        print(f"{way:<6} needs {labels:.0f} labels for {target} in the mean of {seeds} seeds{ratio}")


if __name__ == "__main__":
    main()
