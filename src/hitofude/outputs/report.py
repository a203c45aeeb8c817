"""A run in figures: one object, written for machines, and what the HTML report is made from.

Networks that were trained elsewhere have no figures; what is known of them is an object of its own.
"""

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hitofude.errors import RunFolderError
from hitofude.metrics.estimate import Estimate
from hitofude.metrics.metrics import Accuracy, ClassScore, Reliability
from hitofude.storage import read_json, write_json

FORMAT_VERSION = 4
FORMAT_VERSION_OF_IMPORTS = 1

Content = TypeVar("Content")


@dataclass(frozen=True)
class Calibration:
    """How far the out-of-fold probabilities mean what they say."""

    temperature: float
    """At which they mean it best; see hitofude.metrics.calibration."""
    as_predicted: Reliability
    at_temperature: Reliability


@dataclass(frozen=True)
class MemberSummary:
    """One network of the ensemble."""

    network: str
    trained_on: int
    """Rows."""
    held_out: Accuracy | None
    """On the rows that it never saw; None where it saw all."""


@dataclass(frozen=True)
class AuditSummary:
    """What the audit of the training data found; the files beside the report list it."""

    label_issues: int
    """Labels that are probably wrong."""
    same_images: int
    """Images that repeat an earlier one."""
    near_images: int
    """Images that an earlier one is nearly like."""
    differing_labels: int
    """Of both, training images with another label than the earlier one's."""
    leaks: int
    """Of both, images to predict that are like a training image."""


@dataclass(frozen=True)
class RunSummary:
    """What a finished run knows of itself."""

    source: str
    command: str
    """It makes this run again."""
    finished: str
    """When, by ISO 8601."""
    environment: dict[str, str | int | None]
    """Versions, processor, device, threads, precision."""
    images_to_train: int
    images_to_predict: int
    classes: tuple[str, ...]
    parameters: dict[str, int]
    """Of each network."""
    members: tuple[MemberSummary, ...]
    agreement: tuple[tuple[float, ...], ...] | None
    """The share of the images to predict on which two members agree, of each pair."""
    single: dict[str, Accuracy]
    """Of each network's single members, together, on the rows that they never saw."""
    out_of_fold: Accuracy
    confusion: tuple[tuple[int, ...], ...]
    """Out of fold: rows of each label, down, by their answer, across."""
    class_scores: tuple[ClassScore, ...]
    calibration: Calibration
    estimate: Estimate | None
    """Of the whole ensemble on the images to predict, where there are some."""
    test: Accuracy | None
    """Only where the source holds the labels of its test images; nothing was chosen by it."""
    audit: AuditSummary
    training_seconds: float

    @property
    def networks(self) -> tuple[str, ...]:
        """Each member's."""
        return tuple(member.network for member in self.members)


@dataclass(frozen=True)
class ImportedMember:
    """A network that was trained elsewhere."""

    network: str
    file: str
    """Its name."""
    sha256: str
    """Of the file."""
    iterations: int | None
    """After how many a snapshot was taken; None where the file does not say."""


@dataclass(frozen=True)
class ImportSummary:
    """What is known of networks that were trained elsewhere: nothing of how good they are."""

    program: str
    """It trained them."""
    command: str
    finished: str
    """When they were imported, by ISO 8601."""
    members: tuple[ImportedMember, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """Each member's."""
        return tuple(member.network for member in self.members)


def write_report(path: Path, summary: RunSummary) -> None:
    write_json(path, {"format_version": FORMAT_VERSION} | _to_json(summary))


def read_report(path: Path) -> RunSummary:
    """Raises RunFolderError when the file is missing or damaged, or of another version."""
    return _read(path, RunSummary, FORMAT_VERSION)


def write_import(path: Path, summary: ImportSummary) -> None:
    write_json(path, {"format_version": FORMAT_VERSION_OF_IMPORTS} | _to_json(summary))


def read_import(path: Path) -> ImportSummary:
    """Raises RunFolderError when the file is missing or damaged, or of another version."""
    return _read(path, ImportSummary, FORMAT_VERSION_OF_IMPORTS)


def _read(path: Path, kind: type[Content], version: int) -> Content:
    content = read_json(path)
    if not isinstance(content, dict) or content.pop("format_version", None) != version:
        raise RunFolderError(f"{path} was written by another version of hitofude. Run again into a new folder.")
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise RunFolderError(f"{path} is damaged at {place}. Restore it, or run again into a new folder.") from None


def _to_json(value: Any) -> Any:
    """The fields, and beside them the figures that follow from them, which reading leaves aside."""
    if is_dataclass(value):
        content = {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
        return _derived(value) | content
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [_to_json(inner) for inner in value]
    return value


def _derived(value: Any) -> dict[str, float]:
    match value:
        case Accuracy() | Estimate():
            low, high = value.interval
            return {"accuracy": value.value, "low": low, "high": high}
        case ClassScore():
            return {"f1": value.f1}
        case Reliability():
            return {"expected_calibration_error": value.expected_calibration_error}
        case _:
            return {}
