"""The files to predict in bulk, the shards, and the folder of their predictions.

part-00.parquet …        the predictions for the shard of that name: id, label, probability_…
_predictions.json        the run's classes, weights and settings; once the command has ended, also the number of images,
                         and the shards that could not be predicted, each with the reason
_finished/NAME.json      the record of a finished shard, written after its predictions
.lock .owner.json .token  while a process works here

Tools that read folders of Parquet skip names that begin with _ or . : pandas.read_parquet(FOLDER) reads everything.
"""

import glob
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import InputError, RecipeError, RunFolderError, differences
from hitofude.inputs.blocks import ENDINGS, check_streams
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.formats.parquet import import_pyarrow
from hitofude.runs.claim import ClaimedFolder
from hitofude.storage import explaining_os_errors, read_json, write_json
from hitofude.workers.handshake import disk_token

FORMAT_VERSION = 1
FORMATS = ("parquet", "csv")
HIDDEN = (".", "_")
"""The beginnings of names that tools which read folders of shards skip."""


@dataclass(frozen=True)
class Shard:
    """A file to predict, as it was when the work was planned."""

    path: str
    output: str
    """The name of its predictions' file."""
    bytes: int
    modified: int
    """Nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path, output: str) -> "Shard":
        """Raises InputError if the file is missing."""
        with reading(str(path)):
            found = path.stat()
        return cls(str(path), output, found.st_size, found.st_mtime_ns)

    def is_unchanged(self, other: "Shard") -> bool:
        """Whether size and time say that these are the same bytes; the file may have moved."""
        return (self.bytes, self.modified) == (other.bytes, other.modified)


@dataclass(frozen=True)
class Record:
    """A finished shard, whose predictions are on the disk."""

    shard: Shard
    bytes: int
    """The size of the predictions' file."""
    sha256: str
    images: int
    seconds: float
    computed_on: str
    unanswered: int = 0
    """The number of images that are not sure, or none of the classes, if that was asked."""


class BulkFolder:
    """The names of a bulk prediction's files, and its state."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.predictions = path / "_predictions.json"
        self.finished = path / "_finished"

    def output(self, shard: Shard) -> Path:
        return self.path / shard.output

    def _record(self, shard: Shard) -> Path:
        return self.finished / f"{shard.output}.json"

    @contextmanager
    def claimed(self, model: dict[str, Any]) -> Iterator[str]:
        """Own the folder inside the block; yield the token by which workers check that they see it (disk_token).

        model: everything that decides the predictions. Raises RunFolderError if another model began the folder, another
        process works here, or the folder holds other things.
        """
        claim = ClaimedFolder(self.path, "bulk prediction", "--out", self.predictions.name)
        with claim.claimed(lambda: None, lambda: differences(self._load_model(), model)):
            self.write_summary(model, None)
            with disk_token(self.path) as token:
                yield token

    def write_summary(self, model: dict[str, Any], summary: dict[str, Any] | None) -> None:
        """Write _predictions.json. summary: the outcome; None while work goes on."""
        content = {"format_version": FORMAT_VERSION, "model": model, "is_complete": summary is not None}
        write_json(self.predictions, content | (summary or {}))

    def find_finished(self, shard: Shard) -> Record | None:
        """Return the record of a shard that is finished as it is now; remove the predictions for an earlier version.

        Raises RunFolderError if the predictions are for another file of that name, which still exists.
        """
        record = self._read_record(shard)
        if record is None:
            return None
        is_same = record.shard.is_unchanged(shard)
        if not is_same and record.shard.path != shard.path and Path(record.shard.path).exists():
            raise RunFolderError(
                f"{self.output(shard)} holds the predictions for {record.shard.path}, not for {shard.path}. "
                "Name another folder with --out."
            )
        if is_same and self._is_whole(record):
            return record
        with explaining_os_errors(self.path):
            self._record(shard).unlink()
            self.output(shard).unlink(missing_ok=True)
        return None

    def finish(self, shard: Shard, images: int, seconds: float, computed_on: str, unanswered: int = 0) -> None:
        """Record that a shard's predictions are complete. A worker and its replacement may both do so."""
        content = asdict(Record(shard, *_digest(self.output(shard)), images, seconds, computed_on, unanswered))
        write_json(self._record(shard), {"part": content.pop("shard"), **content})

    def _load_model(self) -> dict[str, Any]:
        content = read_json(self.predictions)
        model = content.get("model") if isinstance(content, dict) else None
        if not isinstance(model, dict):
            raise RunFolderError(f"{self.predictions} is damaged. Name a new folder with --out.")
        return model

    def _read_record(self, shard: Shard) -> Record | None:
        """Return the record, or None if it is missing or damaged."""
        try:
            content = json.loads(self._record(shard).read_text(encoding="utf-8"))
            return Record(Shard(**content.pop("part")), **content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _is_whole(self, record: Record) -> bool:
        path = self.output(record.shard)
        try:
            return path.stat().st_size == record.bytes and _digest(path) == (record.bytes, record.sha256)
        except OSError:
            return False


def _digest(path: Path) -> tuple[int, str]:
    """Return a file's size and SHA-256."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), sha256


def find_shards(inputs: Sequence[Path], out: Path, format: str | None = None) -> list[Shard]:
    """Find the input files, each once, in order.

    inputs: files, folders (for their files with one of ENDINGS), or patterns such as shards/*.parquet, with ** for
    folders of any depth. format: of the predictions; None means Parquet for Parquet shards, and CSV for all others.

    Raises InputError if nothing is found, a file cannot be read block by block, or two files would have predictions of
    the same name; RecipeError for another format, and if the predictions would lie among the shards.
    """
    if format is not None and format not in FORMATS:
        raise RecipeError(f"--format {format}: expected one of {', '.join(FORMATS)}.")
    paths = list(dict.fromkeys(Path(os.path.abspath(path)) for given in inputs for path in _files(given)))  # noqa: PTH100
    by_output: dict[str, Path] = {}
    for path in paths:
        check_streams(path)
        if path.resolve().is_relative_to(out.resolve()):
            raise RecipeError(f"--out {out}: {path} lies in it. Name a folder for the predictions alone.")
        output = _output_name(path, format)
        other = by_output.setdefault(output, path)
        if other != path:
            raise InputError(
                f"{other} and {path} would both be predicted into {output}. Rename one, or use two folders for --out."
            )
        if output.endswith(".parquet"):
            import_pyarrow(path)
    return [Shard.of(path, output) for output, path in by_output.items()]


def _output_name(path: Path, format: str | None) -> str:
    ending = path.suffix.lower()
    name = path.name[: -len(ending)] if ending == ".gz" else path.name
    known = next((known for known in (".csv", ".parquet", ".npz", ".tsv", ".txt") if name.lower().endswith(known)), "")
    return f"{name[: len(name) - len(known)]}.{format or ('parquet' if ending == '.parquet' else 'csv')}"


def _files(given: Path) -> list[Path]:
    """Return the files that one argument of the command names."""
    if given.is_dir():
        names = [path for path in sorted(given.iterdir()) if not path.name.startswith(HIDDEN)]
        files = [path for path in names if path.is_file() and path.name.lower().endswith(ENDINGS)]
        problem = f"no file in it ends in {', '.join(ENDINGS)}. Name the files to predict."
    elif given.exists():
        return [given]
    elif glob.has_magic(str(given)):
        found = [Path(name) for name in sorted(glob.glob(str(given), recursive=True))]  # noqa: PTH207  of any root
        files, problem = [path for path in found if path.is_file()], "no file matches this pattern. Is the path right?"
    else:
        files, problem = [], "no such file, folder or pattern of files. Is the path right?"
    if not files:
        raise InputError(f"{given}: {problem}")
    return files
