"""Bulk scoring: images/s with one and with two workers, the memory of each, and kills in the middle.

python -m benchmarks.scoring [--run RUN] [--source SOURCE] [--images N] [--parts N] [--folder FOLDER] [--seed N]

N images are made of a source's test images, each moved by up to a pixel, in Parquet parts; where FOLDER holds as many
already, they are taken. A run of the sample is trained where RUN is left out. Then, each as the command that a user
gives: all parts by one worker of one thread, and by two; then by two of which one is killed with SIGKILL, then the
command itself, then to the end. No finished part may be written again, and all answers must be those of the others.
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


def make_parts(folder: Path, source: str | None, images: int, parts: int, seed: int) -> None:
    """Test images of a source, repeated in a random order, each moved by up to a pixel."""
    if len(list(folder.glob("*.parquet"))) == parts:
        return
    test = open_source(source).test
    if test is None:
        raise SystemExit(f"{source}: there are no test images in it.")
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    for part, rows in enumerate(np.array_split(np.arange(images), parts)):
        chosen = moved(test.images[generator.integers(0, len(test), len(rows)), 0], generator)
        pixels = {f"pixel{place}": values for place, values in enumerate(chosen.reshape(len(rows), -1).T)}
        pq.write_table(pa.table({"id": [str(row) for row in rows], **pixels}), folder / f"part-{part:03d}.parquet")


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
    """`hitofude predict` of the parts, and what is seen of it from without."""

    process: "subprocess.Popen[bytes]"
    out: Path
    peaks: dict[int, int] = field(default_factory=dict)
    """Of each worker process, the most memory it had, in bytes."""

    def workers(self) -> list[int]:
        return [pid for pid in family(self.process.pid)[1:] if MODULE in read(pid, "cmdline")]

    def look(self) -> None:
        for pid in self.workers():
            lines = read(pid, "status").splitlines()
            peak = next((1024 * int(line.split()[1]) for line in lines if line.startswith(b"VmHWM:")), 0)
            self.peaks[pid] = max(peak, self.peaks.get(pid, 0))

    def wait_for(self, parts: int) -> None:
        """Until so many parts are finished."""
        while len(finished(self.out)) < parts and self.process.poll() is None:
            time.sleep(0.1)

    def wait(self, expected: int) -> None:
        while self.process.poll() is None:
            self.look()
            time.sleep(0.2)
        if self.process.returncode != expected:
            raise SystemExit(f"The command ended with {self.process.returncode}, expected {expected}.")


def read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@contextmanager
def predicting(run: Path, parts: Path, out: Path, workers: int) -> Iterator[Command]:
    words = ["predict", str(run), str(parts / "*.parquet"), "--out", f"{out}/", "--workers", str(workers)]
    output = subprocess.DEVNULL
    with subprocess.Popen(
        [sys.executable, "-m", "hitofude", *words, "--threads", "1"], stdout=output, stderr=output
    ) as process:
        yield Command(process, out)


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """The answers that are finished, and what changes when they are written again."""
    names = [path.name.removesuffix(".json") for path in (out / "_finished").glob("[!.]*.json")]
    found = {name: (out / name).stat() for name in names}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def measure(run: Path, parts: Path, out: Path, workers: int, images: int) -> float:
    """All parts by so many workers; the most memory that one of them had."""
    started = time.perf_counter()
    with predicting(run, parts, out, workers) as command:
        command.wait(0)
    seconds = time.perf_counter() - started
    peaks = ", ".join(f"{peak / 1e6:,.0f} MB" for peak in command.peaks.values())
    print(
        f"{workers} worker{'s' if workers > 1 else ''} of 1 thread: {images / seconds:,.0f} images/s "
        f"({seconds:,.0f} s, the command whole), at most {peaks}",
        flush=True,
    )
    return max(command.peaks.values())


def kill_and_continue(run: Path, parts: Path, out: Path, count: int, chance: np.random.Generator) -> None:
    """A worker is killed, then the command, each when some more parts are finished, at a random moment."""
    for what, code in (("a worker", KILLED_WORKER), ("the command", KILLED_COMMAND)):
        before = finished(out)
        with predicting(run, parts, out, 2) as command:
            command.wait_for(len(before) + max(1, count // 5))
            time.sleep(chance.uniform(0, 2))
            os.kill(command.workers()[0] if code == KILLED_WORKER else command.process.pid, signal.SIGKILL)
            command.wait(code)
        check_untouched(before, out)
        print(f"SIGKILL of {what} with {len(finished(out))} of {count} parts finished: none was touched", flush=True)
    before = finished(out)
    with predicting(run, parts, out, 2) as command:
        command.wait(0)
    check_untouched(before, out)


def check_untouched(before: dict[str, tuple[int, int]], out: Path) -> None:
    after = finished(out)
    changed = [name for name, found in before.items() if after.get(name) != found]
    if changed:
        raise SystemExit(f"Finished parts were lost or written again: {', '.join(changed)}.")


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
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = arguments.run or trained(Path(name) / "run")
        parts, answers = arguments.folder or Path(name) / "parts", Path(name) / "answers"
        make_parts(parts, arguments.source, arguments.images, arguments.parts, arguments.seed)
        size = sum(path.stat().st_size for path in parts.glob("*.parquet"))
        print(f"{processor_name()}, {processors()} processors; load {os.getloadavg()[0]:.1f} before")
        print(f"{arguments.images:,} images in {arguments.parts} parts of Parquet, {size / 1e6:,.0f} MB", flush=True)
        outs = {workers: answers / str(workers) for workers in (1, 2)}
        peak = max(measure(run, parts, out, workers, arguments.images) for workers, out in outs.items())
        kill_and_continue(run, parts, answers / "killed", arguments.parts, np.random.default_rng(arguments.seed))
        for other in (outs[2], answers / "killed"):
            check_equal(outs[1], other, arguments.parts)
        print(f"all {arguments.parts} files of answers are the same, by one worker, by two, and after the kills")
        shutil.rmtree(answers)
    sys.exit(peak > LIMIT)


if __name__ == "__main__":
    main()
