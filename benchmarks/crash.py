"""Kill a small real run with SIGKILL at every kind of moment; the same command must finish it with the same bytes.

python -m benchmarks.crash [--seed N]

- at seeded random moments, with one worker and with two;
- at each write, fsync and rename of a checkpoint and of a member's finished weights: in the middle of a write, before
  and after the others;
- the negative control: with random draws that a continued run does not restore, the comparison must fail.

Each run is the command `hitofude run` in a forked process that has already imported PyTorch, so the moments fall into
the run and not into the import. Needs a system that can fork.
"""

import argparse
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import torch
from matplotlib.figure import Figure

import hitofude.runs.pipeline  # noqa: F401  imported before forking, with all that it imports
from hitofude import cli
from hitofude.learning import training
from hitofude.learning.compute import processor_name

RANDOM_KILLS, KILLS_WITH_TWO_WORKERS = 20, 4
COMPARED = ("submission.csv", "oof.npz", "test_probabilities.npz", "members/*/weights.safetensors")
SETTINGS = {
    "rows": 300,
    "schedule.epochs": 3,
    "schedule.min_steps": 0,
    "ensemble.folds": 2,
    "optimizer.batch_size": 32,
}

Prepare = Callable[[], None]


def nothing() -> None:
    """No preparation."""


def import_all() -> None:
    """Import, once for all runs, the modules that PyTorch and Matplotlib import at first use."""
    torch.optim.Adam([torch.zeros(1)], fused=True)
    Figure(layout="constrained").savefig(io.BytesIO(), format="png")


def start(folder: Path, workers: int, prepare: Prepare = nothing) -> int:
    """Fork a process that runs the command; return its id."""
    child = os.fork()
    if child:
        return child
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    try:
        with open(folder.with_suffix(".log"), "a") as log:  # noqa: PTH123
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        prepare()
        sys.argv = ["hitofude", "run", "--run", str(folder), "--workers", str(workers), "--threads", "1", *settings]
        cli.main()
    except SystemExit as ending:
        os._exit(ending.code if isinstance(ending.code, int) else 1)
    finally:
        os._exit(1)


def finish(folder: Path, workers: int, prepare: Prepare = nothing) -> None:
    """Run the command to its end."""
    code = os.waitstatus_to_exitcode(os.waitpid(start(folder, workers, prepare), 0)[1])
    if code:
        raise SystemExit(f"the run ended with {code}:\n{folder.with_suffix('.log').read_text()[-3000:]}")


def kill_after(folder: Path, workers: int, seconds: float, prepare: Prepare = nothing) -> bool:
    """Kill the command after some seconds; return whether it was still running."""
    child = start(folder, workers, prepare)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files that must not differ."""
    paths = [path for pattern in COMPARED for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Killer:
    """Kills this process at the n-th operation that makes a member's files durable."""

    def __init__(self, at: int | None) -> None:
        self.at, self.done = at, 0
        self.names: list[str] = []

    def install(self) -> None:
        fsync, replace, opened = os.fsync, os.replace, Path.open

        def open_for_killing(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            stream = opened(path, mode, *arguments, **options)
            watched = mode == "wb" and "members" in path.parts
            return KillingWriter(stream, self, path.name) if watched else stream

        def fsync_for_killing(handle: int) -> None:
            self.around("fsync", str(Path(f"/proc/self/fd/{handle}").readlink()), lambda: fsync(handle))

        def replace_for_killing(source: Any, target: Any) -> None:
            self.around("rename", str(target), lambda: replace(source, target))

        Path.open, os.fsync, os.replace = open_for_killing, fsync_for_killing, replace_for_killing  # type: ignore

    def around(self, kind: str, path: str, work: Callable[[], None]) -> None:
        if "members" not in Path(path).parts:
            work()
            return
        self.count(f"before {kind} {Path(path).name}")
        work()
        self.count(f"after {kind} {Path(path).name}")

    def count(self, name: str, first: Callable[[], object] = nothing) -> None:
        self.names.append(name)
        self.done += 1
        if self.done == self.at:
            first()
            os.kill(os.getpid(), signal.SIGKILL)


class KillingWriter(io.RawIOBase):
    """A file of which a write may stop halfway."""

    def __init__(self, stream: IO[bytes], killer: Killer, name: str) -> None:
        self.stream, self.killer, self.name = stream, killer, name

    def write(self, content: Any) -> int:
        def half() -> None:
            self.stream.write(content[: len(content) // 2])
            self.stream.flush()

        self.killer.count(f"half of write {self.name}", half)
        return self.stream.write(content)

    def flush(self) -> None:
        if not self.stream.closed:
            self.stream.flush()

    def fileno(self) -> int:
        return self.stream.fileno()

    def close(self) -> None:
        self.stream.close()
        super().close()


def count_operations(folder: Path) -> list[str]:
    """Return the names of all such operations of an undisturbed run, in order."""
    listing = folder.with_suffix(".operations")

    def prepare() -> None:
        killer = Killer(None)
        killer.install()
        count = killer.count

        def count_and_tell(name: str, first: Callable[[], object] = nothing) -> None:
            count(name, first)
            with open(listing, "a") as stream:  # noqa: PTH123
                stream.write(name + "\n")

        killer.count = count_and_tell  # type: ignore[method-assign]

    finish(folder, 1, prepare)
    return listing.read_text().splitlines()


def kill_at_operation(folder: Path, number: int) -> None:
    child = start(folder, 1, lambda: Killer(number).install())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != -signal.SIGKILL:
        raise SystemExit(f"operation {number} was not reached: the run ended with {code}")


def draw_without_restoring() -> None:
    """The negative control: one shared generator, whose state depends on everything drawn before in this process."""
    shared, original = torch.Generator().manual_seed(0), training.generator_for

    def generator_for(seed: int, member: int, epoch: int, purpose: training.Purpose) -> torch.Generator:
        return original(seed, member, epoch, purpose) if purpose == "weights" else shared

    training.generator_for = generator_for


class Report:
    """Counts the trials and prints the files that differ."""

    def __init__(self, expected: dict[str, bytes]) -> None:
        self.expected = expected
        self.trials = self.failures = 0

    def compare(self, folder: Path, trial: str) -> None:
        self.trials += 1
        found = contents(folder)
        different = [name for name in self.expected | found if self.expected.get(name) != found.get(name)]
        if different:
            self.failures += 1
            print(f"{trial}: {', '.join(different)} differ")
        shutil.rmtree(folder)


def random_kills(root: Path, generator: random.Random, report: Report, durations: dict[int, float]) -> None:
    """Kill at random moments of the run; a run that had already ended does not count."""
    for trial in range(RANDOM_KILLS):
        workers = 2 if trial < KILLS_WITH_TWO_WORKERS else 1
        folder = root / f"random-{trial}"
        moment = generator.uniform(0, durations[workers])
        while not kill_after(folder, workers, moment):
            shutil.rmtree(folder)
            moment = generator.uniform(0, moment)
        finish(folder, workers)
        report.compare(folder, f"killed after {moment:.2f} s, {workers} workers")
    print(f"{RANDOM_KILLS} kills at random moments, {KILLS_WITH_TWO_WORKERS} of them with two workers")


def kills_at_operations(root: Path, report: Report) -> None:
    """Kill at each operation of the first member's second checkpoint and of its finished weights."""
    operations = count_operations(root / "operations")
    chosen = [
        number
        for number, name in enumerate(operations, start=1)
        if "state-0002" in name or "weights" in name or "member.json" in name
    ]
    for number in chosen[: len(chosen) // 2]:
        folder = root / f"operation-{number}"
        kill_at_operation(folder, number)
        finish(folder, 1)
        report.compare(folder, f"killed at operation {number}, {operations[number - 1]}")
    print(f"{len(chosen) // 2} kills at writes, fsyncs and renames of a member's files")


def control_fails(root: Path) -> bool:
    """Whether a killed run whose draws are not restored differs from an undisturbed one."""
    finish(root / "control", 1, draw_without_restoring)
    operations = (root / "operations.operations").read_text().splitlines()
    number = 1 + next(i for i, name in enumerate(operations) if name.startswith("after rename state-0002.json"))

    def prepare() -> None:
        draw_without_restoring()
        Killer(number).install()

    folder = root / "control-killed"
    os.waitpid(start(folder, 1, prepare), 0)
    finish(folder, 1, draw_without_restoring)
    return contents(folder) != contents(root / "control")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    began = time.monotonic()
    import_all()
    durations = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for workers in (1, 2):
            started = time.monotonic()
            finish(root / f"undisturbed-{workers}", workers)
            durations[workers] = time.monotonic() - started
        report = Report(contents(root / "undisturbed-1"))
        report.compare(root / "undisturbed-2", "two workers, undisturbed")
        random_kills(root, random.Random(seed), report, durations)  # noqa: S311
        kills_at_operations(root, report)
        control = control_fails(root)
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    same = report.trials - report.failures
    print(f"{processor_name()}, seed {seed}: {same} of {report.trials} runs ended byte-identical")
    print(f"negative control (draws not restored): {'differs, as it must' if control else 'DOES NOT DIFFER'}")
    print(f"{minutes} min {seconds} s")
    sys.exit(report.failures > 0 or not control)


if __name__ == "__main__":
    main()
