"""The folder of the answers.

part-00.parquet …        the answers of the part of that name: id, label, probability_…
_predictions.json        what answers here: the run's classes, weights and settings; once all was gone through, how many
                         images there are, and which parts could not be predicted, and why
_finished/NAME.json      a file of answers is whole, and of which part it is; written after it
.lock, .seen             while a process works here

What begins with _ or . is passed over by the tools that read folders of Parquet: pandas.read_parquet(FOLDER) has all.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import RunFolderError
from hitofude.prediction.bulk.shards import Shard
from hitofude.runs.folder import SECONDS_FOR_A_DYING_OWNER
from hitofude.storage import explaining_os_errors, owning, read_json, remove_partial_files, write_json, write_text

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Record:
    """A part is finished: its answers are on the disk, whole."""

    part: Shard
    bytes: int
    """Of the answers."""
    sha256: str
    images: int
    seconds: float
    computed_on: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Record":
        """Raises TypeError, KeyError or AttributeError for what is none."""
        return cls(**{**content, "part": Shard(**content["part"])})


class BulkFolder:
    """Names and state of a folder of answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.predictions = path / "_predictions.json"
        self.finished = path / "_finished"
        self.seen = path / ".seen"

    def output(self, part: Shard) -> Path:
        return self.path / part.output

    def _record(self, part: Shard) -> Path:
        return self.finished / f"{part.output}.json"

    @contextmanager
    def claimed(self, model: dict[str, Any]) -> Iterator[str]:
        """Within it, this process alone shares out work here; what is given is written in .seen, for workers elsewhere.

        model: all that decides the answers. Raises RunFolderError where another model began the folder, another
        process works here, or it holds something else.
        """
        self._check_holds_nothing_else()
        with owning(self.path, wait=SECONDS_FOR_A_DYING_OWNER) as is_ours:
            if not is_ours:
                raise RunFolderError(
                    f"{self.path} is in use by another process. Wait for it to end, or name another folder with --out."
                )
            self._check_same(model)
            remove_partial_files(self.path)  # whoever still writes one of them was replaced, and fails at its end
            self.summarise(model, None)
            token = secrets.token_hex()
            write_text(self.seen, token)
            try:
                yield token
            finally:
                self.seen.unlink(missing_ok=True)

    def summarise(self, model: dict[str, Any], summary: dict[str, Any] | None) -> None:
        """summary: None while it is being worked on."""
        content = {"format_version": FORMAT_VERSION, "model": model, "is_complete": summary is not None}
        write_json(self.predictions, content | (summary or {}))

    def find_finished(self, part: Shard) -> Record | None:
        """What stands in the folder of a part as it is now; what stands there of an earlier one is removed.

        Raises RunFolderError where that is of another file, which is still there.
        """
        record = self._read_record(part)
        if record is None:
            return None
        is_same = record.part.is_as_it_was(part)
        if not is_same and record.part.path != part.path and Path(record.part.path).exists():
            raise RunFolderError(
                f"{self.output(part)} holds the answers of {record.part.path}, not those of {part.path}. "
                "Name another folder with --out."
            )
        if is_same and self._is_whole(record):
            return record
        with explaining_os_errors(self.path):
            self._record(part).unlink()
            self.output(part).unlink(missing_ok=True)
        return None

    def finish(self, part: Shard, images: int, seconds: float, computed_on: str) -> Record:
        """Put down that a part's answers are there. Done twice, by a worker and by its successor, it is the same."""
        size, sha256 = _digest(self.output(part))
        record = Record(part, size, sha256, images, seconds, computed_on)
        write_json(self._record(part), record.to_json())
        return record

    def sees(self, token: str) -> bool:
        """Whether this machine sees the folder in which that was written."""
        try:
            return self.seen.read_text(encoding="utf-8") == token
        except OSError:
            return False

    def _read_record(self, part: Shard) -> Record | None:
        """None where there is none, or what is there is damaged."""
        try:
            return Record.from_json(json.loads(self._record(part).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def _is_whole(self, record: Record) -> bool:
        path = self.output(record.part)
        try:
            return path.stat().st_size == record.bytes and _digest(path) == (record.bytes, record.sha256)
        except OSError:
            return False

    def _check_holds_nothing_else(self) -> None:
        if self.predictions.exists():
            return
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file. Name a new or empty folder with --out.")
        held = sorted(entry.name for entry in self.path.iterdir()) if self.path.exists() else []
        held = [name for name in held if not name.startswith(".")]
        if held:
            raise RunFolderError(
                f"{self.path} holds other things than answers: {', '.join(held[:3])}. "
                "Name a new or empty folder with --out."
            )

    def _check_same(self, model: dict[str, Any]) -> None:
        if not self.predictions.exists():
            return
        content = read_json(self.predictions)
        begun = content.get("model") if isinstance(content, dict) else None
        if not isinstance(begun, dict):
            raise RunFolderError(f"{self.predictions} is damaged. Name a new folder with --out.")
        differences = [f"{name}: {begun.get(name)} → {model[name]}" for name in model if begun.get(name) != model[name]]
        if differences:
            listed = "\n  ".join(differences)
            raise RunFolderError(
                f"{self.path} holds answers of another kind (there → here):\n  {listed}\n"
                "Use what it was begun with to continue it, or another folder with --out."
            )


def _digest(path: Path) -> tuple[int, str]:
    """A file's size and SHA-256."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return stream.tell(), sha256
