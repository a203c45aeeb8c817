"""A run in figures: one object, written for machines."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hitofude.learning.metrics import Accuracy
from hitofude.storage import read_json, write_json

FORMAT_VERSION = 1


@dataclass(frozen=True)
class RunSummary:
    """What a finished run knows of itself."""

    source: str
    images_to_train: int
    images_to_predict: int
    classes: int
    network: str
    parameters: int
    members: int
    out_of_fold: Accuracy
    test: Accuracy | None
    """Only where the source holds the labels of its test images; nothing was chosen by it."""
    training_seconds: float


def write_report(path: Path, summary: RunSummary) -> None:
    content = {"format_version": FORMAT_VERSION} | asdict(summary)
    content["out_of_fold"] = _accuracy_to_json(summary.out_of_fold)
    content["test"] = None if summary.test is None else _accuracy_to_json(summary.test)
    write_json(path, content)


def read_report(path: Path) -> RunSummary:
    """Raises RunFolderError when the file is missing or damaged."""
    content = read_json(path)
    del content["format_version"]
    content["out_of_fold"] = _accuracy_from_json(content["out_of_fold"])
    content["test"] = None if content["test"] is None else _accuracy_from_json(content["test"])
    return RunSummary(**content)


def _accuracy_to_json(accuracy: Accuracy) -> dict[str, Any]:
    low, high = accuracy.interval
    return {"accuracy": accuracy.value, "low": low, "high": high, "right": accuracy.right, "total": accuracy.total}


def _accuracy_from_json(content: dict[str, Any]) -> Accuracy:
    return Accuracy(content["right"], content["total"])
