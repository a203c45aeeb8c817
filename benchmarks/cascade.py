"""How much faster does a run predict if one member answers clear images alone, and how many labels change?

python -m benchmarks.cascade RUN SOURCE [--images 2000]

RUN is a finished run of SOURCE in which one member is asked first. Prints the images/s with all members asked about
every image, and with the first asked alone if an image is clear to it: in one process, in turn, the median of five, of
the first images to predict. Then, by the run's own probabilities of all of them, the share that one member answers, and
how many labels are others than those of all members.
"""

import argparse
from collections import Counter
from pathlib import Path

import torch

from benchmarks.timing import rates
from hitofude.inputs.sources import open_source
from hitofude.learning.compute import describe_environment
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
        parser.error("expected a run with images to predict in which one member is asked first, and its source")
    model, images = Model.load(arguments.run), torch.from_numpy(test.images[: arguments.images])
    networks = ", ".join(f"{count} {name}" for name, count in Counter(result.summary.networks).items())
    environment = describe_environment(model.compute)
    print(f"{arguments.run.name}: {networks}; {environment['processor']}, {environment['precision']}", flush=True)

    ways = {"all": lambda: model.predict_members(images), "first": lambda: model.ask_members(images)}
    found = rates(ways, len(images))
    print(f"{found['all']:,.0f} images/s with all members asked about every image")
    print(f"{found['first']:,.0f} images/s with one asked first, {found['first'] / found['all']:.2f} times as many")

    clear = cascade.is_clear(members[cascade.first])
    changed = join_members(members, None, cascade).argmax(axis=1) != join_members(members, None).argmax(axis=1)
    print(f"{clear.mean():.2%} of {len(clear):,} images are answered by one member; {changed.sum()} labels differ")


if __name__ == "__main__":
    main()
