"""How much faster does a run predict if members are asked one after another, and how many labels change?

python -m benchmarks.cascade RUN SOURCE [--images 2000]

RUN is a finished run of SOURCE with a cascade. Prints the images/s with all members asked about every image, and with
members asked only until an image is clear: in one process, in turn, the median of five, of the first images to predict.
Then, by the run's own probabilities of all of them, the share that each number of members answers, how many labels are
others than those of all members, the looks of a network at an image, of which an unclear one takes five, and what share
of the operations they are.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import rates
from hitofude.inputs.sources import open_source
from hitofude.learning.compute import describe_environment
from hitofude.learning.speed import multiplications
from hitofude.metrics.calibration import join_members
from hitofude.prediction.model import Model
from hitofude.runs.result import load_result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("source")
    parser.add_argument("--images", type=int, default=2_000)
    arguments = parser.parse_args()
    result, test = load_result(arguments.run), open_source(arguments.source).test
    cascade, members = result.summary.cascade, result.member_probabilities
    if cascade is None or members is None or test is None:
        parser.error("expected a run with images to predict and a cascade, and its source")
    model, images = Model.load(arguments.run), torch.from_numpy(test.images[: arguments.images])
    networks = ", ".join(f"{count} {name}" for name, count in Counter(result.summary.networks).items())
    environment = describe_environment(model.compute)
    print(f"{arguments.run.name}: {networks}; {environment['processor']}, {environment['precision']}", flush=True)

    ways = {"all": lambda: model.predict_members(images), "some": lambda: model.ask_members(images)}
    found = rates(ways, len(images))
    print(f"{found['all']:,.0f} images/s with all members asked about every image")
    print(f"{found['some']:,.0f} images/s with members asked in turn, {found['some'] / found['all']:.2f} times as many")

    looks = np.where(members.max(axis=2) < model.tta.threshold, 5, 1) if model.tta.shift else np.ones(members.shape[:2])
    asked, order = cascade.count_asked(members), np.concatenate(cascade.groups(len(members)))
    place = np.argsort(order)[:, None]
    of_asked = np.where(place < asked, looks, 0)  # (members, images)
    shape, classes = model.image_shape, len(model.classes)
    costs = np.array([multiplications(name, shape, classes) for name in result.summary.predicting.values()])[:, None]
    changed = join_members(members, None, cascade).argmax(axis=1) != join_members(members, None).argmax(axis=1)
    shares = ", ".join(f"{count} answer {(asked == count).mean():.2%}" for count in np.unique(asked))
    print(f"of {len(asked):,} images {shares}: {asked.mean():.2f} members an image; {changed.sum()} labels differ")
    print(
        f"{looks.sum() / len(asked):.2f} looks at an image by all members, {of_asked.sum() / len(asked):.2f} by those"
    )
    print(f"asked, which are 1/{(costs * looks).sum() / (costs * of_asked).sum():.1f} of the operations")


if __name__ == "__main__":
    main()
