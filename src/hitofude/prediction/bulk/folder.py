"""The folder of a bulk prediction.

part-00.parquet …        the predictions for the shard of that name: id, label, probability_…
_predictions.json        the run's classes, weights and settings; once the command has ended, also the number of images,
                         and the shards that could not be predicted, each with the reason
_finished/NAME.json      the record of a finished shard, written after its predictions
.lock .owner.json .token  while a process works here

Tools that read folders of Parquet skip names that begin with _ or . : pandas.read_parquet(FOLDER) reads everything.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import RunFolderError, differences
from hitofude.prediction.bulk.shards import Shard
from hitofude.runs.claim import ClaimedFolder
from hitofude.storage import explaining_os_errors, read_json, write_json
from hitofude.workers.shared_disk import disk_token

FORMAT_VERSION = 1


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

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        return {"part": content.pop("shard"), **content}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Record":
        """Raises TypeError, KeyError or AttributeError if the content is not a record."""
        fields = dict(content)
        return cls(Shard(**fields.pop("part")), **fields)


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

    def finish(self, shard: Shard, images: int, seconds: float, computed_on: str) -> None:
        """Record that a shard's predictions are complete. A worker and its replacement may both do so."""
        record = Record(shard, *_digest(self.output(shard)), images, seconds, computed_on)
        write_json(self._record(shard), record.to_json())

    def _load_model(self) -> dict[str, Any]:
        content = read_json(self.predictions)
        model = content.get("model") if isinstance(content, dict) else None
        if not isinstance(model, dict):
            raise RunFolderError(f"{self.predictions} is damaged. Name a new folder with --out.")
        return model

    def _read_record(self, shard: Shard) -> Record | None:
        """Return the record, or None if it is missing or damaged."""
        try:
            return Record.from_json(json.loads(self._record(shard).read_text(encoding="utf-8")))
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
