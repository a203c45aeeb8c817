"""Memory and time of a big CSV file without header, as A-Z Handwritten is, beside Polars; all in one run.

python -m benchmarks.headerless [--rows 372450] [--rounds 3]

By default the file has 372,450 rows of a label and 784 pixels, made from the sample and sorted by label, 699 MB as the
original. Prints the peak memory of the reading process as a multiple of the array, the time of the processor (user and
system, all threads) of both, and their ratio; ends with 1 if a limit is not kept.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

from hitofude.inputs.sources import sample
from hitofude.learning.compute import processor_name

ROWS = 372_450
MEMORY, MORE_BYTES, SPEED = 1.1, 150e6, 2.0
"""At most 1.1 times the array and 150 MB; at least twice as fast as Polars."""
MEASURE = r"""
import json, re, resource, sys
{read}
used = resource.getrusage(resource.RUSAGE_SELF)
peak = int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) * 1024
print(json.dumps([used.ru_utime + used.ru_stime, peak, list(shape)]))
"""
READERS = {
    "hitofude": "from hitofude.inputs.sources import open_source; shape = open_source(sys.argv[1]).train.images.shape",
    "polars": "import polars; shape = polars.read_csv(sys.argv[1], has_header=False).shape",
}


def write_rows(path: Path, rows: int) -> None:
    """Write a label and 784 pixels a row, sorted by label; the images repeat."""
    digits = sample().train
    order = np.argsort(digits.known_labels(), kind="stable")
    pixels, labels = digits.images.reshape(len(digits), -1)[order].tolist(), digits.known_labels()[order].tolist()
    lines = [f"{label},{','.join(map(str, row))}\n" for label, row in zip(labels, pixels, strict=True)]
    with path.open("w") as stream:
        for row in range(rows):
            stream.write(lines[row * len(lines) // rows])


def measured(reader: str, path: Path) -> tuple[float, int, list[int]]:
    """Read in a process of its own; return processor seconds, the peak memory in bytes, and the shape."""
    code = MEASURE.format(read=READERS[reader])
    found = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    seconds, peak, shape = json.loads(found.stdout.splitlines()[-1])
    return seconds, peak, shape


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    readers = [name for name in READERS if name == "hitofude" or find_spec(name)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "A_Z Handwritten Data.csv")
        write_rows(path, arguments.rows)
        megabytes = path.stat().st_size / 1e6
        found: dict[str, list[tuple[float, int, list[int]]]] = {name: [] for name in readers}
        for _ in range(arguments.rounds):
            for name in readers:
                found[name].append(measured(name, path))
    array = float(np.prod(found["hitofude"][0][2]))
    peak = max(bytes for _, bytes, _ in found["hitofude"])
    limit = MEMORY * array + MORE_BYTES
    seconds = {name: median(time for time, _, _ in rounds) for name, rounds in found.items()}
    print(f"{processor_name()}, {arguments.rows:,} rows without header, {megabytes:,.0f} MB")
    print(f"memory    {peak / 1e6:,.0f} MB at most; the array {array / 1e6:,.0f} MB, the limit {limit / 1e6:,.0f} MB")
    print(f"hitofude  {seconds['hitofude']:.2f} s of the processor, {megabytes / seconds['hitofude']:,.0f} MB/s")
    good = peak <= limit
    if "polars" in seconds:
        ratio = seconds["polars"] / seconds["hitofude"]
        print(f"polars    {seconds['polars']:.2f} s of the processor: hitofude is {ratio:.2f} times as fast")
        good = good and ratio >= SPEED
    sys.exit(not good)


if __name__ == "__main__":
    main()
