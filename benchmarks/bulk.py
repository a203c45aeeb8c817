"""Bulk prediction: images/s with one and with two workers, the memory of each, and kills in the middle.

python -m benchmarks.bulk [--run RUN] [--source SOURCE] [--images N] [--shards N] [--folder FOLDER] [--seed N]

The images are a source's test images, each moved by up to a pixel, in Parquet shards; FOLDER is used as it is if it has
as many shards. Without RUN, a run of the sample is trained. The user's command predicts all shards, with one worker of
one thread, and with two; then with two, one of which is killed with SIGKILL, then the command itself is killed, then it
runs to its end. No finished shard may be written again, and all predictions must be the same.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.memory import family
from hitofude.inputs.sources import open_source
from hitofude.learning.compute import processor_name, processors

MODULE = b"hitofude.prediction.bulk.worker"
LIMIT = 1e9
KILLED_COMMAND, KILLED_WORKER = -signal.SIGKILL, 4


def make_shards(folder: Path, source: str | None, images: int, shards: int, seed: int) -> None:
    """Write test images of a source, repeated in a random order, each moved by up to a pixel."""
    if len(list(folder.glob("*.parquet"))) == shards:
        return
    test = open_source(source).test
    if test is None:
        raise SystemExit(f"{source}: there are no test images in it.")
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for shard, rows in enumerate(np.array_split(np.arange(images), shards)):
        chosen = moved(test.images[generator.integers(0, len(test), len(rows)), 0], generator)
        pixels = {f"pixel{column}": values for column, values in enumerate(chosen.reshape(len(rows), -1).T)}
        pq.write_table(pa.table({"id": [str(row) for row in rows], **pixels}), folder / f"shard-{shard:03d}.parquet")


def moved(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """(N, H, W), each by -1, 0 or 1 pixels down and right, with black behind it."""
    height, width = images.shape[1:]
    down, right = generator.integers(0, 3, (2, len(images)))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows, columns = down[:, None] + np.arange(height), right[:, None] + np.arange(width)
    found: NDArray[np.uint8] = padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return found


@dataclass
class Command:
    """`hitofude predict` in bulk, observed from outside."""

    process: "subprocess.Popen[bytes]"
    out: Path
    peaks: dict[int, int] = field(default_factory=dict)
    """The peak memory of each worker process, in bytes."""

    def workers(self) -> list[int]:
        return [pid for pid in family(self.process.pid)[1:] if MODULE in read(pid, "cmdline")]

    def update_peaks(self) -> None:
        for pid in self.workers():
            lines = read(pid, "status").splitlines()
            peak = next((1024 * int(line.split()[1]) for line in lines if line.startswith(b"VmHWM:")), 0)
            self.peaks[pid] = max(peak, self.peaks.get(pid, 0))

    def wait_for(self, shards: int) -> None:
        """Wait until this many shards are finished."""
        while len(finished(self.out)) < shards and self.process.poll() is None:
            time.sleep(0.1)

    def wait(self, expected: int) -> None:
        while self.process.poll() is None:
            self.update_peaks()
            time.sleep(0.2)
        if self.process.returncode != expected:
            raise SystemExit(f"The command ended with {self.process.returncode}, expected {expected}.")


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@contextmanager
def predicting(run: Path, shards: Path, out: Path, workers: int) -> Iterator[Command]:
    words = ["predict", str(run), str(shards / "*.parquet"), "--out", f"{out}/", "--workers", str(workers)]
    output = subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, "-m", "hitofude", *words, "--threads", "1"], stdout=output, stderr=output
    ) as process:
        yield Command(process, out)


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Return the finished files of predictions, each with a value that changes when it is written again."""
    names = [path.name.removesuffix(".json") for path in (out / "_finished").glob("[!.]*.json")]
    found = {name: (out / name).stat() for name in names}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def measure(run: Path, shards: Path, out: Path, workers: int, images: int) -> float:
    """Predict all shards; return the peak memory of a worker in bytes."""
    started = time.perf_counter()
    with predicting(run, shards, out, workers) as command:
        command.wait(0)
    seconds = time.perf_counter() - started
    peaks = ", ".join(f"{peak / 1e6:,.0f} MB" for peak in command.peaks.values())
    print(
        f"{workers} worker{'s' if workers > 1 else ''} of 1 thread: {images / seconds:,.0f} images/s "
        f"({seconds:,.0f} s for the whole command), at most {peaks}",
        flush=True,
    )
    return max(command.peaks.values())


def kill_and_continue(run: Path, shards: Path, out: Path, count: int, generator: np.random.Generator) -> None:
    """Kill a worker, then the command, each at a random moment after some more shards are finished; then finish."""
    for victim, code in (("a worker", KILLED_WORKER), ("the command", KILLED_COMMAND)):
        before = finished(out)
        with predicting(run, shards, out, 2) as command:
            command.wait_for(len(before) + max(1, count // 5))
            time.sleep(generator.uniform(0, 2))
            os.kill(command.workers()[0] if code == KILLED_WORKER else command.process.pid, signal.SIGKILL)
            command.wait(code)
        check_untouched(before, out)
        print(f"SIGKILL of {victim} with {len(finished(out))} of {count} shards finished: none was touched", flush=True)
    before = finished(out)
    with predicting(run, shards, out, 2) as command:
        command.wait(0)
    check_untouched(before, out)


def check_untouched(before: dict[str, tuple[int, int]], out: Path) -> None:
    after = finished(out)
    changed = [name for name, found in before.items() if after.get(name) != found]
    if changed:
        raise SystemExit(f"Finished shards were lost or written again: {', '.join(changed)}.")


def check_equal(first: Path, other: Path, count: int) -> None:
    names = sorted(path.name for path in first.glob("*.parquet"))
    different = [name for name in names if (first / name).read_bytes() != (other / name).read_bytes()]
    if different or len(names) != count:
        raise SystemExit(f"{first} and {other} differ: {', '.join(different) or len(names)}.")


def trained(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "hitofude", "--quiet", "run", "--run", str(folder)], check=True)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path)
    parser.add_argument("--source")
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = arguments.run or trained(Path(name) / "run")
        shards, answers = arguments.folder or Path(name) / "shards", Path(name) / "answers"
        make_shards(shards, arguments.source, arguments.images, arguments.shards, arguments.seed)
        size = sum(path.stat().st_size for path in shards.glob("*.parquet"))
        print(f"{processor_name()}, {processors()} processors; load {os.getloadavg()[0]:.1f} before")
        print(f"{arguments.images:,} images in {arguments.shards} shards of Parquet, {size / 1e6:,.0f} MB", flush=True)
        outs = {workers: answers / str(workers) for workers in (1, 2)}
        peak = max(measure(run, shards, out, workers, arguments.images) for workers, out in outs.items())
        kill_and_continue(run, shards, answers / "killed", arguments.shards, np.random.default_rng(arguments.seed))
        for other in (outs[2], answers / "killed"):
            check_equal(outs[1], other, arguments.shards)
        print(f"all {arguments.shards} files are the same, by one worker, by two, and after the kills")
        shutil.rmtree(answers)
    sys.exit(peak > LIMIT)


if __name__ == "__main__":
    main()
