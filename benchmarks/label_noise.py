"""Does the audit find wrong labels, and only these? Change some of the sample's labels, and audit a run of them.

python -m benchmarks.label_noise [--noise uniform|pair|none] [--share 0.02] [--seeds 3] [--preset fast] [--debug]

uniform: a share of the labels becomes any other, all equally likely. pair: a share of the 4s becomes 9. none: all
labels are right, so every label that is called wrong is a false alarm. With --debug the networks are weak: 1,000 rows.

Prints, for each seed, the out-of-fold accuracy, the number of changed labels, the share of them that is listed (found)
and the share of the list that is changed (right); then the same of those that the audit calls probably wrong; and the
number of wrong labels that it expects in its list.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hitofude
from hitofude.inputs.formats.text_table import read_text_table
from hitofude.inputs.sources import Dataset
from hitofude.metrics.label_issues import PROBABLE

Rows = NDArray[np.int64]
HEADER = "seed accuracy changed | listed  found  right expected | probable  found  right"


@dataclass(frozen=True, eq=False)
class Audit:
    """The rows that the audit of a run lists, and the probability that each one's label is wrong."""

    accuracy: float
    changed: Rows
    """The changed rows that the run trained on."""
    listed: Rows
    wrong: NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--noise", choices=CHANGES, default="uniform")
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--debug", action="store_true")
    arguments = parser.parse_args()
    print(HEADER)
    for seed in range(arguments.seeds):
        audit = audit_changed(arguments.noise, arguments.share, seed, arguments.preset, debug=arguments.debug)
        probable = audit.listed[audit.wrong >= PROBABLE]
        print(
            f"{seed:>4} {audit.accuracy:>8.4f} {len(audit.changed):>7} | {len(audit.listed):>6} "
            f"{shares(audit.changed, audit.listed)} {audit.wrong.sum():>8.1f} | "
            f"{len(probable):>8} {shares(audit.changed, probable)}",
            flush=True,
        )


def shares(changed: Rows, called: Rows) -> str:
    """Return the share of the changed rows that is called wrong, and the share of the called that is changed."""
    both = len(np.intersect1d(changed, called))
    return " ".join(f"{both / total:>6.3f}" if total else f"{'-':>6}" for total in (len(changed), len(called)))


def audit_changed(noise: str, share: float, seed: int, preset: str, *, debug: bool) -> Audit:
    """Change labels of the sample, and run and audit it."""
    original = hitofude.open_source()
    labels = original.train.known_labels()
    changed = CHANGES[noise](labels, share, len(original.train.classes), np.random.default_rng(seed))
    dataset = Dataset(original.name, replace(original.train, labels=changed))
    with tempfile.TemporaryDirectory() as folder:
        settings, run = {"seed": seed}, Path(folder) / "run"
        result = hitofude.run(dataset, preset=preset, run=run, settings=settings, debug=debug, quiet=True)
        lines = read_text_table(result.folder.label_issues).columns(["id", "probability_wrong"])
    ids = dataset.train.ids.tolist()
    used = np.flatnonzero((labels != changed) & np.isin(dataset.train.ids, result.ids))
    listed = np.asarray([ids.index(id) for _, (id, _) in lines], dtype=np.int64)
    return Audit(result.accuracy.value, used, listed, np.asarray([float(wrong) for _, (_, wrong) in lines]))


def change_any(labels: Rows, share: float, classes: int, generator: np.random.Generator) -> Rows:
    """Replace this share of the labels by others, all equally likely."""
    changed = labels.copy()
    rows = generator.choice(len(labels), round(share * len(labels)), replace=False)
    changed[rows] = (changed[rows] + generator.integers(1, classes, len(rows))) % classes
    return changed


def change_pair(labels: Rows, share: float, _: int, generator: np.random.Generator) -> Rows:
    """Replace this share of the 4s by 9."""
    changed, fours = labels.copy(), np.flatnonzero(labels == 4)
    changed[generator.choice(fours, round(share * len(fours)), replace=False)] = 9
    return changed


def change_none(labels: Rows, _share: float, _classes: int, _generator: np.random.Generator) -> Rows:
    return labels


CHANGES: dict[str, Callable[[Rows, float, int, np.random.Generator], Rows]] = {
    "uniform": change_any,
    "pair": change_pair,
    "none": change_none,
}


if __name__ == "__main__":
    main()
