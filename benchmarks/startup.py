"""The processor time of `hitofude runs` on ten runs and of starting a worker process, two checkouts side by side.

python -m benchmarks.startup OLD_CHECKOUT NEW_CHECKOUT [--rounds 7]

Each checkout's own package is used, by this Python. The two take turns; figures are medians of processor time, user and
system, of the whole process.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hitofude.learning.compute import processor_name

RUNS = 10
TINY = ["--set", "rows=100", "--set", "schedule.epochs=1", "--set", "ensemble.folds=2", "--workers", "1", "--quiet"]
WORKER_MODULES = ("learning/worker.py", "learning/worker_process.py")


class Checkout:
    """A source tree of hitofude, run by this Python."""

    def __init__(self, path: Path) -> None:
        self.package = path.absolute() / "src" / "hitofude"
        worker = next(name for name in WORKER_MODULES if (self.package / name).exists())
        self.worker = f"hitofude.{worker.removesuffix('.py').replace('/', '.')}"

    def seconds(self, *arguments: str) -> float:
        """Processor time of `python ARGUMENTS` with this package, its standard input closed at once."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = os.environ | {"PYTHONPATH": str(self.package.parent), "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [sys.executable, "-P", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def make_runs(self, folder: Path) -> None:
        """Ten finished runs: one trained, nine copies."""
        self.seconds("-m", "hitofude", "run", "--debug", *TINY, "--run", str(folder / "0"))
        for number in range(1, RUNS):
            shutil.copytree(folder / "0", folder / str(number))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    checkouts = {"old": Checkout(arguments.old), "new": Checkout(arguments.new)}
    with tempfile.TemporaryDirectory() as name:
        commands: dict[str, dict[str, list[str]]] = {f"runs, {RUNS} of them": {}, "worker process": {}}
        for which, checkout in checkouts.items():
            checkout.make_runs(Path(name, which))
            commands[f"runs, {RUNS} of them"][which] = ["-m", "hitofude", "runs", str(Path(name, which))]
            commands["worker process"][which] = ["-m", checkout.worker]
        print(f"{processor_name()}; Python {sys.version.split()[0]}; medians of {arguments.rounds} rounds")
        print(f"{'processor time':<20} {'old':>7} {'new':>7} {'new / old':>10}")
        for what, of_each in commands.items():
            found: dict[str, list[float]] = {which: [] for which in checkouts}
            for _ in range(arguments.rounds + 1):
                for which, checkout in checkouts.items():
                    found[which].append(checkout.seconds(*of_each[which]))
            old, new = (statistics.median(values[1:]) for values in found.values())
            print(f"{what:<20} {old:>5.2f} s {new:>5.2f} s {new / old:>10.2f}")


if __name__ == "__main__":
    main()
