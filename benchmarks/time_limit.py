"""Run `hitofude run SOURCE --time-limit` as a user does: when it ends, what it chose, and that a kill changes no byte.

python -m benchmarks.time_limit [SOURCE] [--limits 1m 3m 10m] [--runs 3] [--busy 1] [--kill] [--out DIR]

The last `--busy` runs of each limit have a process beside them that keeps a processor busy. A run is late if it ends
after 105 % of its limit and 10 s; it is early if it ends before 60 % and gives no reason. With --kill, one more run of
each limit is killed in the middle of its training, continued by one worker, and compared byte by byte with an
uninterrupted run of its recipe by two. By default the embedded sample. Exits with 1 if a run is late or early, or if
bytes differ.
"""

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from hitofude.learning.compute import processor_name, processors
from hitofude.runs.time_limit import TimeLimit

COMPARED = ("submission.csv", "oof.npz", "test_probabilities.npz", "members/*/weights.safetensors")
LATEST, GRACE, EARLIEST = 1.05, 10.0, 0.6
EPOCHS_BEFORE_THE_KILL = 2


@dataclass(frozen=True)
class Outcome:
    """A command that has ended."""

    seconds: float
    output: str

    def line(self, word: str) -> str:
        """Return the line of the output that begins with a word, without it."""
        found = re.search(rf"^{word} +(.*)$", self.output, re.MULTILINE)
        return found[1] if found else ""

    def verdict(self, limit: float) -> str:
        """Return `late`, `early`, the reason of an end that is early, or nothing."""
        if self.seconds > LATEST * limit + GRACE:
            return "late"
        if self.seconds >= EARLIEST * limit:
            return ""
        reasons = [self.line("because")] if "largest" in self.line("because") else []
        reasons += re.findall(r"this machine became .*", self.line("time"))
        return "; ".join(reasons) or "early"


def command(source: str | None, folder: Path, *options: str) -> list[str]:
    words = [sys.executable, "-m", "hitofude", "run", *([] if source is None else [source])]
    return [*words, "--run", str(folder), *options]


def run(words: list[str]) -> Outcome:
    """Run a command to its end. Exits if it fails; it has told why."""
    started = time.monotonic()
    done = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"exit code {done.returncode}: {shlex.join(words)}")
    return Outcome(time.monotonic() - started, done.stdout)


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep a processor busy in the block."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(source: str | None, limit: str, runs: int, busy: int, out: Path) -> bool:
    """Run with a limit several times, printing a line for each; return whether none was late or early."""
    verdicts = []
    for number in range(1, runs + 1):
        is_busy = number > runs - busy
        with busy_process() if is_busy else nullcontext():
            found = run(command(source, out / f"{limit}-{number}", "--time-limit", limit))
        seconds = TimeLimit.parse(limit).seconds
        verdicts.append(found.verdict(seconds))
        beside = "busy" if is_busy else ""
        ended = f"{found.seconds:>6.0f} s {found.seconds / seconds:>5.0%}"
        print(f"{limit:>6} {beside:<5} {ended}  {found.line('choice')}", flush=True)
        if verdicts[-1]:
            print(f"{'':>27}{verdicts[-1]}", flush=True)
    return not {"late", "early"} & set(verdicts)


def survives_a_kill(source: str | None, limit: str, out: Path) -> bool:
    """Kill a run in its training, continue it, and compare it with an uninterrupted one; print whether it is equal."""
    killed, whole = out / f"{limit}-killed", out / f"{limit}-whole"
    words = command(source, killed, "--time-limit", limit)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    log = killed / "log.jsonl"
    while process.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < EPOCHS_BEFORE_THE_KILL):
        time.sleep(0.05)
    if process.poll() is not None:
        sys.exit(f"The run of {limit} ended before it could be killed: give it more epochs, or a longer limit.")
    process.kill()
    process.wait()
    epochs = len(log.read_text().splitlines())
    run([*words, "--workers", "1"])
    threads = str(json.loads((killed / "environment.json").read_text())["threads"])
    run(command(source, whole, "--preset", str(killed / "recipe.toml"), "--workers", "2", "--threads", threads))
    paths = [path.relative_to(whole) for pattern in COMPARED for path in sorted(whole.glob(pattern))]
    differing = [path for path in paths if (killed / path).read_bytes() != (whole / path).read_bytes()]
    equal = len(paths) - len(differing)
    print(f"{limit:>6} killed after {epochs} epochs and continued: {equal} of {len(paths)} files are equal")
    for path in differing:
        print(f"{'':>21}  {path} differs")
    return bool(paths) and not differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--limits", nargs="+", default=["1m", "3m", "10m"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--busy", type=int, default=1)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--out", type=Path, help="a folder to keep the runs in")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="hitofude-limits-"))
    print(f"{processor_name()}, {processors()} processors\n limit         ended  used  choice", flush=True)
    are_good = []
    for limit in options.limits:
        are_good.append(measure(options.source, limit, options.runs, options.busy, out))
        if options.kill:
            are_good.append(survives_a_kill(options.source, limit, out))
    if options.out is None:
        shutil.rmtree(out)
    sys.exit(0 if all(are_good) else 1)


if __name__ == "__main__":
    main()
