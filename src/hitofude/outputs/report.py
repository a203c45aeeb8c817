"""The figures of a run as one object: report.json, from which the HTML report is made too.

Imported networks have no figures; import.json states their origin.
"""

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from hitofude.errors import RunFolderError
from hitofude.metrics.estimate import Estimate
from hitofude.metrics.metrics import Accuracy, ClassScore, Reliability
from hitofude.storage import read_json, validated, write_json

FORMAT_VERSION = 4
FORMAT_VERSION_OF_IMPORTS = 1

Content = TypeVar("Content")


@dataclass(frozen=True)
class Calibration:
    """How well the out-of-fold probabilities agree with the share of right answers."""

    temperature: float
    """The temperature at which they agree best; see hitofude.metrics.calibration."""
    as_predicted: Reliability
    at_temperature: Reliability


@dataclass(frozen=True)
class MemberSummary:
    """One network of the ensemble."""

    network: str
    trained_on: int
    """Rows."""
    held_out: Accuracy | None
    """On the rows it never saw; None if it trained on all rows."""


@dataclass(frozen=True)
class AuditSummary:
    """The counts found by the audit of the training data; the files beside the report list the images."""

    label_issues: int
    """Labels that are probably wrong."""
    same_images: int
    """Images identical to an earlier one."""
    near_images: int
    """Images nearly identical to an earlier one."""
    differing_labels: int
    """Of both, training images whose label differs from that of the earlier one."""
    leaks: int
    """Of both, images to predict that resemble a training image."""


@dataclass(frozen=True)
class RunSummary:
    """The figures of a finished run."""

    source: str
    command: str
    """The command that repeats this run."""
    finished: str
    """ISO 8601."""
    environment: dict[str, str | int | None]
    """Versions, processor, device, threads, precision."""
    images_to_train: int
    images_to_predict: int
    classes: tuple[str, ...]
    parameters: dict[str, int]
    """By network."""
    members: tuple[MemberSummary, ...]
    agreement: tuple[tuple[float, ...], ...] | None
    """The share of the images to predict on which each pair of members agrees."""
    single: dict[str, Accuracy]
    """By network: the accuracy of its single members, pooled, on the rows they never saw."""
    out_of_fold: Accuracy
    confusion: tuple[tuple[int, ...], ...]
    """Out-of-fold counts: labels down, answers across."""
    class_scores: tuple[ClassScore, ...]
    calibration: Calibration
    estimate: Estimate | None
    """The expected accuracy of the whole ensemble on the images to predict, if there are any."""
    test: Accuracy | None
    """The test accuracy, if the source holds the labels; nothing was chosen by it."""
    audit: AuditSummary
    training_seconds: float

    @property
    def networks(self) -> tuple[str, ...]:
        """The network of each member."""
        return tuple(member.network for member in self.members)


@dataclass(frozen=True)
class ImportedMember:
    """A network that was trained elsewhere."""

    network: str
    file: str
    """The file's name."""
    sha256: str
    """The file's digest."""
    iterations: int | None
    """The iterations before the snapshot; None if the file does not say."""


@dataclass(frozen=True)
class ImportSummary:
    """The origin of networks that were trained elsewhere; their accuracy is unknown."""

    program: str
    """The program that trained them."""
    command: str
    finished: str
    """The time of the import, ISO 8601."""
    members: tuple[ImportedMember, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """The network of each member."""
        return tuple(member.network for member in self.members)


def write_report(path: Path, summary: RunSummary) -> None:
    write_json(path, {"format_version": FORMAT_VERSION} | _to_json(summary))


def read_report(path: Path) -> RunSummary:
    """Raises RunFolderError if the file is missing, damaged or of another version."""
    return _read(path, RunSummary, FORMAT_VERSION)


def write_import(path: Path, summary: ImportSummary) -> None:
    write_json(path, {"format_version": FORMAT_VERSION_OF_IMPORTS} | _to_json(summary))


def read_import(path: Path) -> ImportSummary:
    """Raises RunFolderError if the file is missing, damaged or of another version."""
    return _read(path, ImportSummary, FORMAT_VERSION_OF_IMPORTS)


def _read(path: Path, kind: type[Content], version: int) -> Content:
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("format_version", None) != version:
        raise RunFolderError(f"{path} was written by another version of hitofude. Run again into a new folder.")
    return validated(kind, content, path)


def _to_json(value: Any) -> Any:
    """Return the fields, preceded by the figures derived from them, which `_read` ignores."""
    if is_dataclass(value):
        return _derived(value) | {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    return [_to_json(inner) for inner in value] if isinstance(value, tuple) else value


def _derived(value: Any) -> dict[str, float]:
    match value:
        case Accuracy() | Estimate():
            low, high = value.interval
            return {"accuracy": value.value, "low": low, "high": high}
        case ClassScore():
            return {"f1": value.f1}
        case Reliability():
            return {"expected_calibration_error": value.expected_calibration_error}
    return {}
