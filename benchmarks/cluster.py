"""Kill workers and drivers of runs on Dask and Ray clusters; each run must end with the bytes of an undisturbed one.

python -m benchmarks.cluster [--seed N] [--clusters dask ray] [--kills 5] [--overhead ROUNDS]

For each kind of cluster, two workers on this machine, and five members of the sample:
- undisturbed: the bytes of `--workers 1`;
- SIGKILL of a worker of the cluster, or of hitofude's process in it, at seeded moments in the middle of a member;
- SIGKILL of the command itself, which is then run again;
- finally, SIGKILL of the scheduler, or of Ray's head: the command must end with 6, and finished work must be kept.

--overhead kills nothing. It measures on larger members how much longer the command takes on a cluster than with
processes of this machine, in this many rounds.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.clusters import DaskCluster, RayCluster, kill_a_worker, running
from benchmarks.crash import contents
from hitofude.errors import ClusterError
from hitofude.learning.compute import processor_name
from hitofude.runs.claim import saved_epochs
from hitofude.runs.folder import RunFolder

EPOCHS, FOLDS = 5, 5
MEMBERS = {
    "rows": 400,
    "schedule.epochs": EPOCHS,
    "schedule.min_steps": 0,
    "ensemble.folds": FOLDS,
    "optimizer.batch_size": 32,
}
LARGER_MEMBERS = {"schedule.epochs": 8, "schedule.min_steps": 0, "ensemble.folds": 6}
Disturb = Callable[[subprocess.Popen[str]], str]


def command(folder: Path, workers: str, settings: dict[str, int]) -> list[str]:
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    where = ["--run", str(folder), "--workers", workers, "--threads", "1"]
    return [sys.executable, "-m", "hitofude", "run", *where, *options]


def run(folder: Path, workers: str, settings: dict[str, int], disturb: Disturb | None = None) -> tuple[float, str]:
    """Return the seconds that the command took, and what was done to it."""
    started = time.monotonic()
    done = ""
    with open(folder.with_suffix(".log"), "a") as log:  # noqa: PTH123
        process = subprocess.Popen(
            command(folder, workers, settings), stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ
        )
        assert process.stdout is not None
        with process, process.stdout as lines:
            if disturb is not None:
                done = disturb(process)
            log.writelines(lines)
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"the run ended with {process.returncode}:\n{folder.with_suffix('.log').read_text()[-3000:]}")
    return time.monotonic() - started, done


def wait_for_epochs(process: subprocess.Popen[str], count: int) -> None:
    """Read this many lines of epochs."""
    assert process.stdout is not None
    for line in process.stdout:
        count -= f"/{FOLDS} " in line and f"/{EPOCHS} " in line
        if count == 0:
            return
    raise SystemExit("the run ended before it could be disturbed")


class Trials:
    """Runs whose bytes are compared with an undisturbed run's."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self.chance = root, chance
        self.expected: dict[str, bytes] = {}
        self.trials = self.same = 0

    def begin(self) -> None:
        run(self.root / "alone", "1", MEMBERS)
        self.expected = contents(self.root / "alone")

    def compare(self, folder: Path, what: str) -> None:
        found = contents(folder)
        different = [name for name in self.expected | found if self.expected.get(name) != found.get(name)]
        self.trials += 1
        self.same += not different
        print(
            f"{folder.name}: {what}: {', '.join(different) + ' DIFFER' if different else 'the same bytes'}", flush=True
        )
        shutil.rmtree(folder)

    def undisturbed(self, name: str, cluster: DaskCluster | RayCluster) -> None:
        folder = self.root / name
        seconds, _ = run(folder, cluster.address, MEMBERS)
        self.compare(folder, f"undisturbed, {seconds:.0f} s")

    def kill_worker(self, name: str, cluster: DaskCluster | RayCluster) -> None:
        """Kill a worker in the middle of an epoch."""
        epochs = self.chance.randrange(1, EPOCHS * FOLDS - 2)

        def disturb(process: subprocess.Popen[str]) -> str:
            wait_for_epochs(process, epochs)
            time.sleep(self.chance.uniform(0, 0.2))
            return kill_a_worker(cluster, self.chance)

        folder = self.root / name
        seconds, victim = run(folder, cluster.address, MEMBERS, disturb)
        self.compare(folder, f"{victim} killed after {epochs} epochs, {seconds:.0f} s")

    def kill_driver(self, name: str, cluster: DaskCluster | RayCluster) -> None:
        epochs = self.chance.randrange(2, EPOCHS * FOLDS - 2)

        def disturb(process: subprocess.Popen[str]) -> str:
            wait_for_epochs(process, epochs)
            process.kill()
            return "the command"

        folder = self.root / name
        _, victim = run(folder, cluster.address, MEMBERS, disturb)
        assert not (folder / "report.json").exists()
        seconds, _ = run(folder, cluster.address, MEMBERS)
        self.compare(folder, f"{victim} killed after {epochs} epochs and run again, {seconds:.0f} s")


def lose_head(folder: Path, cluster: DaskCluster | RayCluster) -> bool:
    """Kill the head; return whether the command ends as it should."""
    longer = MEMBERS | {"schedule.epochs": 300}
    with subprocess.Popen(
        command(folder, cluster.address, longer), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "/300 " in line)
        cluster.lose_head()
        started = time.monotonic()
        _, complaints = process.communicate()
    kept = len(saved_epochs(RunFolder(folder), range(FOLDS)))
    ended = f"ended with {process.returncode} after {time.monotonic() - started:.0f} s, {kept} epochs kept"
    print(f"{folder.name}: the head killed, {ended}", flush=True)
    return process.returncode == ClusterError.exit_code and kept > 0 and "to continue:" in complaints


def measure_overhead(root: Path, kinds: Sequence[str], rounds: int) -> int:
    """Time the whole command on larger members, in turn by two processes of this machine and by each cluster."""
    taken: dict[str, list[float]] = {name: [] for name in ("2", *kinds)}
    with ExitStack() as stack:
        folders = {kind: Path(stack.enter_context(tempfile.TemporaryDirectory())) for kind in kinds}
        clusters = {kind: stack.enter_context(running(kind, folder)).address for kind, folder in folders.items()}
        for number in range(rounds):
            for name in sorted(taken, reverse=number % 2 == 1):
                folder = root / f"larger-{name}-{number}"
                taken[name].append(run(folder, clusters.get(name, name), LARGER_MEMBERS)[0])
                shutil.rmtree(folder)
    local = taken.pop("2")
    print(f"{LARGER_MEMBERS['ensemble.folds']} larger members, two processes: {_seconds(local)}")
    for name, found in taken.items():
        ratios = [there / here for there, here in zip(found, local, strict=True)]
        print(f"the same on {name}: {_seconds(found)}, {100 * (statistics.median(ratios) - 1):+.1f} %")
    return 0


def _seconds(found: list[float]) -> str:
    return ", ".join(f"{seconds:.1f} s" for seconds in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clusters", nargs="+", choices=("dask", "ray"), default=["dask", "ray"])
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--overhead", type=int, default=0, metavar="ROUNDS")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        if arguments.overhead:
            failures = measure_overhead(Path(name), arguments.clusters, arguments.overhead)
        else:
            failures = kill(Path(name), arguments.clusters, arguments.kills, arguments.seed)
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"{processor_name()}: {minutes} min {seconds} s")
    sys.exit(failures > 0)


def kill(root: Path, kinds: Sequence[str], kills: int, seed: int) -> int:
    """Return how many runs ended with other bytes, or in another way than they should."""
    trials = Trials(root, random.Random(seed))  # noqa: S311
    trials.begin()
    failures = 0
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder, running(kind, Path(folder)) as cluster:
            trials.undisturbed(f"{kind}-undisturbed", cluster)
            for number in range(1, kills + 1):
                trials.kill_worker(f"{kind}-{number}", cluster)
            trials.kill_driver(f"{kind}-driver", cluster)
            failures += not lose_head(root / f"{kind}-head", cluster)
    print(f"seed {seed}: {trials.same} of {trials.trials} runs ended byte-identical")
    return failures + trials.trials - trials.same


if __name__ == "__main__":
    main()
