"""Measure the peak memory of a run on a competition's files, and of reading them.

python -m benchmarks.memory [SOURCE] [--whole]

By default SOURCE is 42,000 + 28,000 rows made from the sample. The run has one epoch, which needs as much as many do;
--whole runs the default preset to its end. The peak is the sum over all processes of the run at one time, shared pages
counted once (Linux's proportional set size).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.contests import write_csv
from hitofude.inputs.sources import sample
from hitofude.learning.compute import processor_name

LIMIT = 1.5e9
READ = "import sys; from hitofude.inputs.sources import open_source; open_source(sys.argv[1])"
ONE_EPOCH = ["--set", "schedule.epochs=1", "--set", "schedule.min_steps=0"]


def bytes_of(pid: int) -> int:
    """Return the memory of a process, with its share of common pages; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [pid, *(int(child) for task in tasks for child in (task / "children").read_text().split())]
    except (FileNotFoundError, ProcessLookupError):
        return [pid]


def peak_bytes(command: list[str]) -> int:
    """Run a command; return the peak memory of all its processes together."""
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, sum(bytes_of(pid) for pid in family(process.pid)))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return peak


def make_source(folder: Path) -> Path:
    """Write files of the competition's size."""
    images = sample().train
    write_csv(folder / "train.csv", images, 11)
    rows = (folder / "train.csv").read_text().splitlines()[:42_001]
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    (folder / "test.csv").write_text("\n".join(row.partition(",")[2] for row in rows[:28_001]) + "\n")
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", nargs="?", type=Path)
    parser.add_argument("--whole", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        source = arguments.source or make_source(Path(name))
        run = [sys.executable, "-m", "hitofude", "run", str(source)]
        settings = [] if arguments.whole else ONE_EPOCH
        peaks = {
            "importing PyTorch": peak_bytes([sys.executable, "-c", "import torch"]),
            "reading": peak_bytes([sys.executable, "-c", READ, str(source)]),
            "a run": peak_bytes([*run, "--run", f"{name}/run", *settings]),
            "a run of two workers": peak_bytes([*run, "--run", f"{name}/two", "--workers", "2", *ONE_EPOCH]),
        }
    print(f"{processor_name()}, {source if arguments.source else '42,000 + 28,000 rows of the sample'}")
    for case, peak in peaks.items():
        print(f"{case:<22} {peak / 1e6:7,.0f} MB at most")
    sys.exit(max(peaks.values()) > LIMIT)


if __name__ == "__main__":
    main()
