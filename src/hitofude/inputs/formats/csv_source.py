"""CSV files as parts of a source: alone, in a folder, in the zip that Kaggle hands out."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, SubmissionTemplate
from hitofude.inputs.formats.archive import list_members, open_file, open_member, reading
from hitofude.inputs.formats.csv_table import CsvTable, read_csv, stream_csv
from hitofude.inputs.formats.picture import ENDINGS as PICTURES
from hitofude.inputs.layout import ReadOptions, images_of_rows

SAMPLE_SUBMISSION = "sample_submission"
OTHER_FORMATS = (".npz", ".parquet", "-ubyte", "-ubyte.gz", *PICTURES)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file that has not been opened yet."""

    name: str
    open: Callable[[], BinaryIO]

    def read(self, expected: ReadOptions) -> RawImages:
        """Raises InputError saying which line and column."""
        with reading(self.name), self.open() as stream:
            table = read_csv(stream, self.name, label=expected.label)
        return part_of_table(table, self.name, expected)

    def stream(self, expected: ReadOptions) -> Iterator[RawImages]:
        """The same in pieces of some rows each, whose lines are counted from the file's beginning."""
        first = 2
        with reading(self.name), self.open() as stream:
            for table in stream_csv(stream, self.name, label=expected.label):
                yield replace(part_of_table(table, self.name, expected), first_row=first)
                first += len(table.pixels)

    def read_template(self) -> SubmissionTemplate:
        """Of a sample_submission.csv. Raises InputError when it has other than two columns."""
        with reading(self.name), self.open() as stream:
            lines = stream.read().decode("utf-8-sig", errors="replace").splitlines()
        rows = [row for row in csv.reader(lines) if row]
        if not rows or any(len(row) != 2 for row in rows):
            raise InputError(f"{self.name}: expected two columns, an id and a label, on every line.")
        return SubmissionTemplate((rows[0][0], rows[0][1]), tuple(row[0] for row in rows[1:]))


def part_of_table(table: CsvTable, name: str, expected: ReadOptions) -> RawImages:
    """Raises InputError where the pixels are of another number than the size makes."""
    images = images_of_rows(table.pixels, name, expected)
    column = f"there is no column '{expected.label or 'label'}', and training needs one. Name it with --label."
    return RawImages(name, images, table.labels, table.ids, row="line", first_row=2, unlabelled=column)


def csv_file(path: Path) -> CsvFile:
    """A file of the disk, gzipped or not."""
    return CsvFile(str(path), lambda: open_file(path))


def csv_files_in_zip(path: Path) -> dict[str, CsvFile]:
    """`train`, and where they are there `test` and `sample_submission`. Raises InputError where there is no train."""
    with reading(str(path)):
        members = list_members(path)
    files: dict[str, CsvFile] = {}
    for part in ("train", "test", SAMPLE_SUBMISSION):
        candidates = [member for member in members if member.rsplit("/", 1)[-1] == f"{part}.csv"]
        if len(candidates) > 1:
            raise InputError(f"{path}: several files are called {part}.csv: {', '.join(candidates)}. Keep one.")
        if candidates:
            files[part] = _csv_in_zip(path, candidates[0])
    if "train" not in files:
        held = ", ".join(members[:5]) or "nothing"
        raise InputError(f"{path}: there is no train.csv in it. It holds: {held}.{_remedy(members)}")
    return files


def _csv_in_zip(path: Path, member: str) -> CsvFile:
    return CsvFile(f"{path}/{member}", lambda: open_member(path, member))


def _remedy(members: list[str]) -> str:
    if any(member.lower().endswith(".zip") for member in members):
        return " Unpack the zip within it, and name that."
    if any(member.lower().endswith(OTHER_FORMATS) for member in members):
        return " Unpack it, and name the folder or the file."
    return ""
