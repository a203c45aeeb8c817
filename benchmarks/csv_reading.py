"""Reading a train.csv of Kaggle's size: ours against pandas.read_csv, in turn, in one process.

python benchmarks/csv_reading.py [train.csv]    without a file, one of 42,000 rows is made from the sample
"""

import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from hitofude.inputs.csv_table import read_csv
from hitofude.inputs.sources import sample

ROWS, REPEATS = 42_000, 9


def make_csv(path: Path) -> None:
    """42,000 rows of sample digits, repeated."""
    train = sample().train
    rows = np.arange(ROWS) % len(train)
    table = np.column_stack([train.known_labels()[rows], train.images[rows].reshape(ROWS, -1)])
    header = ",".join(["label", *(f"pixel{i}" for i in range(784))])
    pd.DataFrame(table).to_csv(path, header=header.split(","), index=False)


def seconds_of_ours(path: Path) -> float:
    started = time.perf_counter()
    with path.open("rb") as stream:
        read_csv(stream, path.name)
    return time.perf_counter() - started


def seconds_of_pandas(path: Path) -> float:
    started = time.perf_counter()
    pd.read_csv(path)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "train.csv")
        if not path.exists():
            make_csv(path)
        pairs = [(seconds_of_ours(path), seconds_of_pandas(path)) for _ in range(REPEATS)]
        megabytes = path.stat().st_size / 1e6
    print(f"{platform.processor() or platform.machine()}, {megabytes:.0f} MB, {REPEATS} pairs")
    for name, choose in (("fastest", min), ("median", statistics.median)):
        ours, pandas = (choose(column) for column in zip(*pairs, strict=True))
        print(f"{name:>8}: hitofude {ours:.2f} s   pandas {pandas:.2f} s   ratio {pandas / ours:.1f}")


if __name__ == "__main__":
    main()
