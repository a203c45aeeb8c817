"""Does a bad file ever pass, or end in a traceback? Is a good one ever read wrongly? Real files through the command.

python -m benchmarks.hostile [--cases 1000] [--seed 0]

Seeded mutations of CSV and zip files have an expected outcome: refused with exit code 2, at its line if it has one, or
accepted with unchanged content. Prints, for each kind, the number of expected outcomes, and all others. Then valid
files of the kinds that people have, see benchmarks.variants: each must be accepted with its right content.
"""

import argparse
import contextlib
import gzip
import io
import re
import struct
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.variants import VARIANTS, fault_of, small_digits
from hitofude.cli import main as command
from hitofude.inputs.sources import open_source, sample

ROWS, SIDE = 60, 28
WRONG_VALUES = [
    "x",
    "NaN",
    "nan",
    "inf",
    "-1",
    "-0",
    "0.5",
    "256",
    "999",
    "1e2",
    "",
    "0x10",
    "１",
    "--",
    "1 2",
    "4294967297",
]
OTHER_FILES = [b"", b"\n", b"\x89PNG\r\n\x1a\n" + bytes(50), b"<html><body>Sign in</body></html>", b"{}", b"PK\3\4"]
EXIT_WRONG_INPUT = 2


@dataclass(frozen=True)
class Case:
    """A file and its expected outcome."""

    name: str
    content: bytes
    line: int | None = None
    """The line in the error; None if it has none, or if the file is valid."""
    is_valid: bool = False


class Table:
    """A real CSV file as fields that a mutation changes."""

    def __init__(self, generator: np.random.Generator) -> None:
        images = sample().train.take(np.arange(ROWS))
        pixels = images.images.reshape(ROWS, -1)
        self.header = ["id", "label", *(f"pixel{number}" for number in range(SIDE * SIDE))]
        self.rows = [
            [f"n{row}", images.classes[int(label)], *map(str, values)]
            for row, (label, values) in enumerate(zip(images.known_labels(), pixels.tolist(), strict=True))
        ]
        self.generator = generator

    def place(self) -> tuple[int, int]:
        """A random row, and a random pixel's column."""
        return int(self.generator.integers(ROWS)), int(self.generator.integers(2, len(self.header)))

    def text(self, delimiter: str = ",", ending: str = "\n", *, last: bool = True) -> str:
        lines = [delimiter.join(fields) for fields in (self.header, *self.rows)]
        return ending.join(lines) + (ending if last else "")

    def csv(self, line: int | None = None, *, is_valid: bool = False) -> Case:
        return Case("train.csv", self.text().encode(), line, is_valid)


def wrong_value(table: Table) -> Case:
    """A field that is not a pixel."""
    row, column = table.place()
    table.rows[row][column] = str(table.generator.choice(WRONG_VALUES))
    return table.csv(row + 2)


def missing_field(table: Table) -> Case:
    row, column = table.place()
    del table.rows[row][column]
    return table.csv(row + 2)


def additional_field(table: Table) -> Case:
    row, column = table.place()
    table.rows[row].insert(column, "7")
    return table.csv(row + 2)


def other_delimiter(table: Table) -> Case:
    """One line with another separator than the header."""
    row, _ = table.place()
    lines = table.text().split("\n")
    lines[row + 1] = lines[row + 1].replace(",", ";")
    return Case("train.csv", "\n".join(lines).encode(), row + 2)


def repeated_column(table: Table) -> Case:
    _, column = table.place()
    table.header[column] = table.header[column - 1] if column > 2 else table.header[column + 1]
    return table.csv(1)


def unknown_column(table: Table) -> Case:
    _, column = table.place()
    table.header[column] = "comment"
    return table.csv(1)


def missing_column(table: Table) -> Case:
    """One column less: the pixels do not make a square."""
    _, column = table.place()
    for fields in (table.header, *table.rows):
        del fields[column]
    return table.csv()


def blank_label(table: Table) -> Case:
    row, _ = table.place()
    table.rows[row][1] = str(table.generator.choice(["", " "]))
    return table.csv(row + 2)


def blank_id(table: Table) -> Case:
    row, _ = table.place()
    table.rows[row][0] = ""
    return table.csv(row + 2)


def repeated_id(table: Table) -> Case:
    first, second = sorted(table.generator.choice(ROWS, 2, replace=False).tolist())
    table.rows[second][0] = table.rows[first][0]
    return table.csv(second + 2)


def blank_line(table: Table) -> Case:
    """Between the rows."""
    row = int(table.generator.integers(ROWS - 1))
    lines = table.text().split("\n")
    lines.insert(row + 1, "")
    return Case("train.csv", "\n".join(lines).encode(), row + 2)


def no_header(table: Table) -> Case:
    return Case("train.csv", table.text().split("\n", 1)[1].encode(), 1)


def no_rows(table: Table) -> Case:
    return Case("train.csv", (table.text().split("\n", 1)[0] + "\n").encode())


def cut_row(table: Table) -> Case:
    """The file ends within a row."""
    lines = table.text().split("\n")
    last = int(table.generator.integers(1, ROWS)) + 1
    fields = lines[last - 1].split(",")
    kept = fields[: int(table.generator.integers(1, len(fields)))]
    return Case("train.csv", "\n".join([*lines[: last - 1], ",".join(kept)]).encode(), last)


def bad_byte(table: Table) -> Case:
    """A byte that is not UTF-8 text, anywhere."""
    content = bytearray(table.text().encode())
    place = int(table.generator.integers(1, len(content)))
    content[place:place] = bytes([int(table.generator.choice([0x00, 0xFF, 0xC0, 0x80]))])
    return Case("train.csv", bytes(content), content[:place].count(b"\n") + 1)


def utf_16(table: Table) -> Case:
    return Case("train.csv", table.text().encode(str(table.generator.choice(["utf-16", "utf-16-le", "utf-16-be"]))))


def other_file(table: Table) -> Case:
    """Not a table at all."""
    return Case("train.csv", OTHER_FILES[int(table.generator.integers(len(OTHER_FILES)))])


def one_class(table: Table) -> Case:
    for fields in table.rows:
        fields[1] = "7"
    return table.csv()


def cut_gzip(table: Table) -> Case:
    packed = gzip.compress(table.text().encode())
    return Case("train.csv.gz", packed[: int(table.generator.integers(1, len(packed) - 1))])


def flipped_gzip(table: Table) -> Case:
    """A flipped bit of the compressed content."""
    packed = bytearray(gzip.compress(table.text().encode()))
    packed[int(table.generator.integers(10, len(packed)))] ^= 1 << int(table.generator.integers(8))
    return Case("train.csv.gz", bytes(packed))


def zipped(table: Table, name: str = "train.csv") -> bytearray:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, table.text())
    return bytearray(stream.getvalue())


def cut_zip(table: Table) -> Case:
    packed = zipped(table)
    return Case("data.zip", bytes(packed[: int(table.generator.integers(1, len(packed) - 1))]))


def flipped_zip(table: Table) -> Case:
    """A flipped bit of the compressed content, which the checksum must reveal."""
    packed = zipped(table)
    end = packed.index(b"PK\x01\x02")
    packed[int(table.generator.integers(30 + len("train.csv"), end))] ^= 1 << int(table.generator.integers(8))
    return Case("data.zip", bytes(packed))


def unsafe_zip(table: Table) -> Case:
    names = ["../train.csv", "/train.csv", "a/../../train.csv", "..\\train.csv", "C:/train.csv", "C:\\train.csv"]
    return Case("data.zip", bytes(zipped(table, str(table.generator.choice(names)))))


def linked_zip(_: Table) -> Case:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("train.csv")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return Case("data.zip", stream.getvalue())


def encrypted_zip(table: Table) -> Case:
    packed = zipped(table)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = packed.index(signature) + offset
        flags = struct.unpack_from("<H", packed, place)[0]
        struct.pack_into("<H", packed, place, flags | 1)
    return Case("data.zip", bytes(packed))


def nested_zip(table: Table) -> Case:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inner.zip", bytes(zipped(table)))
    return Case("data.zip", stream.getvalue())


def doubled_zip(table: Table) -> Case:
    """A zip with two candidates."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in ("a", "b"):
            archive.writestr(f"{folder}/train.csv", table.text())
    return Case("data.zip", stream.getvalue())


def valid(table: Table) -> Case:
    """The same table with other separators, quotes, line ends or packing."""
    generator = table.generator
    delimiter, ending = str(generator.choice([",", ";", "\t"])), str(generator.choice(["\n", "\r\n"]))
    if generator.random() < 0.3:
        order = [0, 1, *(2 + generator.permutation(SIDE * SIDE)).tolist()]
        table.header = [table.header[column] for column in order]
        table.rows = [[fields[column] for column in order] for fields in table.rows]
    if generator.random() < 0.3:
        table.rows = [[f'"{value}"' for value in fields] for fields in table.rows]
    if generator.random() < 0.2:
        table.rows = [[*fields[:2], *(f" {value}" for value in fields[2:])] for fields in table.rows]
    text = table.text(delimiter, ending, last=bool(generator.random() < 0.7))
    mark = "\ufeff" if generator.random() < 0.3 else ""
    content = (mark + text + ending * int(generator.integers(3))).encode()
    kind = str(generator.choice(["csv", "gz", "zip"]))
    if kind == "gz":
        return Case("train.csv.gz", gzip.compress(content), is_valid=True)
    if kind == "csv":
        return Case("train.csv", content, is_valid=True)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(str(generator.choice(["train.csv", "digits/train.csv"])), content)
    return Case("data.zip", stream.getvalue(), is_valid=True)


MUTATIONS: list[Callable[[Table], Case]] = [
    wrong_value, missing_field, additional_field, other_delimiter, repeated_column, unknown_column, missing_column,
    blank_label, blank_id, repeated_id, blank_line, no_header, no_rows, cut_row, bad_byte, utf_16, other_file,
    one_class, cut_gzip, flipped_gzip, cut_zip, flipped_zip, unsafe_zip, linked_zip, encrypted_zip, nested_zip,
    doubled_zip,
]  # fmt: skip


def outcome(case: Case, folder: Path, fingerprint: str) -> str:
    """Return `as expected`, or the fault."""
    path = folder / case.name
    path.write_bytes(case.content)
    code, said = call("data", "check", str(path))
    if "Traceback" in said or code not in (0, EXIT_WRONG_INPUT):
        return f"traceback or exit code {code}: {said.strip()[-200:]}"
    if code == 0:
        same = case.is_valid or open_source(path).train.fingerprint == fingerprint
        return "as expected" if same else "accepted wrongly"
    if case.is_valid:
        return f"refused wrongly: {said.strip()[:200]}"
    if case.line is not None and (found := re.search(r"line (\d+)", said)) and int(found[1]) != case.line:
        return f"line {found[1]} named instead of {case.line}: {said.strip()[:160]}"
    if case.line is not None and "line " not in said:
        return f"no line named, {case.line} expected: {said.strip()[:160]}"
    return "as expected"


def call(*arguments: str) -> tuple[int, str]:
    """The command in this process: its exit code, and what it printed."""
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["hitofude", *arguments]),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            command()
        except SystemExit as ending:
            return int(ending.code or 0), printed.getvalue()
    raise AssertionError("the command returned")


def valid_variants() -> list[str]:
    """Read every valid variant; print the faults, and return the names of the variants that have one."""
    faulty = []
    for name, make in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            variant = make(Path(folder), small_digits())
            code, said = call("data", "check", *variant.command())
            fault = fault_of(variant, said, code)
        if fault is not None:
            faulty.append(name)
            print(f"    {name}: {fault}")
    return faulty


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--variants", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    kinds = [MUTATIONS[number % len(MUTATIONS)] for number in range(arguments.cases)] + [valid] * arguments.variants
    outcomes: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "train.csv").write_bytes(Table(np.random.default_rng(0)).csv().content)
        fingerprint = open_source(folder / "train.csv").train.fingerprint
        for number, mutate in enumerate(kinds):
            case = mutate(Table(np.random.default_rng([arguments.seed, number])))
            outcomes.setdefault(mutate.__name__, Counter())[outcome(case, folder, fingerprint)] += 1
    good = sum(found["as expected"] for found in outcomes.values())
    for kind, found in outcomes.items():
        print(f"{kind:<18} {found['as expected']:>4} of {sum(found.values()):>4} as expected")
        for fault, count in found.items():
            if fault != "as expected":
                print(f"    {count} x {fault}")
    print(f"{good} of {len(kinds)} as expected, in {time.monotonic() - started:.0f} s")
    print("valid variants accepted with the right content:")
    faulty = valid_variants()
    print(f"{len(VARIANTS) - len(faulty)} of {len(VARIANTS)} valid variants as expected")
    sys.exit(good < len(kinds) or bool(faulty))


if __name__ == "__main__":
    main()
