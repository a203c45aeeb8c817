"""CSV files of images: alone, in a folder, or in a competition's zip."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hitofude.errors import InputError
from hitofude.inputs.dataset import SPLITS, RawImages, SubmissionTemplate
from hitofude.inputs.formats.archive import list_members, open_file, open_member, reading
from hitofude.inputs.formats.csv_table import CsvTable, read_csv, stream_csv
from hitofude.inputs.layout import ReadOptions, images_of_rows

SAMPLE_SUBMISSION = "sample_submission"


@dataclass(frozen=True)
class CsvFile:
    """A CSV file, opened when it is read."""

    name: str
    open: Callable[[], BinaryIO]

    def read(self, options: ReadOptions) -> RawImages:
        """Raise InputError with line and column."""
        with reading(self.name), self.open() as stream:
            return raw_from_table(read_csv(stream, self.name, label=options.label), self.name, options)

    def stream(self, options: ReadOptions) -> Iterator[RawImages]:
        """Read in pieces of some rows each; their lines are counted from the file's beginning."""
        first = 2
        with reading(self.name), self.open() as stream:
            for table in stream_csv(stream, self.name, label=options.label):
                yield replace(raw_from_table(table, self.name, options), first_row=first)
                first += len(table.pixels)

    def read_template(self) -> SubmissionTemplate:
        """Read a sample_submission.csv. Raise InputError if it does not have two columns."""
        with reading(self.name), self.open() as stream:
            lines = stream.read().decode("utf-8-sig", errors="replace").splitlines()
        rows = [row for row in csv.reader(lines) if row]
        if not rows or any(len(row) != 2 for row in rows):
            raise InputError(f"{self.name}: expected two columns, an id and a label, on every line.")
        return SubmissionTemplate((rows[0][0], rows[0][1]), tuple(row[0] for row in rows[1:]))


def raw_from_table(table: CsvTable, name: str, options: ReadOptions) -> RawImages:
    """Raise InputError if the number of pixels does not match the size."""
    images, missing = images_of_rows(table.pixels, name, options), options.missing_labels
    return RawImages(name, images, table.labels, table.ids, row="line", first_row=2, missing_labels=missing)


def csv_file(path: Path) -> CsvFile:
    """A file on the disk, gzipped or not."""
    return CsvFile(str(path), lambda: open_file(path))


def csv_files_in_zip(path: Path) -> dict[str, CsvFile]:
    """Find `train`, `test` and `sample_submission`. Raise InputError if there is no train."""
    with reading(str(path)):
        members = list_members(path)
    files: dict[str, CsvFile] = {}
    for name in (*SPLITS, SAMPLE_SUBMISSION):
        candidates = [member for member in members if member.rsplit("/", 1)[-1] == f"{name}.csv"]
        if len(candidates) > 1:
            raise InputError(f"{path}: several files are called {name}.csv: {', '.join(candidates)}. Keep one.")
        for member in candidates:
            files[name] = CsvFile(f"{path}/{member}", partial(open_member, path, member))
    if "train" not in files:
        held = ", ".join(members[:5]) or "nothing"
        raise InputError(f"{path}: there is no train.csv in it. It holds: {held}. Unpack it, and name what to read.")
    return files
