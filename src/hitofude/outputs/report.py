"""A run in figures: one object, written for machines."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hitofude.errors import RunFolderError
from hitofude.learning.estimate import Estimate
from hitofude.learning.metrics import Accuracy
from hitofude.storage import read_json, write_json

FORMAT_VERSION = 3


@dataclass(frozen=True)
class RunSummary:
    """What a finished run knows of itself."""

    source: str
    images_to_train: int
    images_to_predict: int
    classes: int
    networks: tuple[str, ...]
    """Each member's."""
    parameters: dict[str, int]
    """Of each network."""
    single: dict[str, Accuracy]
    """Of each network's single members, together, on the rows that they never saw."""
    out_of_fold: Accuracy
    estimate: Estimate | None
    """Of the whole ensemble on the images to predict, where there are some."""
    test: Accuracy | None
    """Only where the source holds the labels of its test images; nothing was chosen by it."""
    training_seconds: float


def write_report(path: Path, summary: RunSummary) -> None:
    content = {"format_version": FORMAT_VERSION} | asdict(summary)
    content["single"] = {name: _accuracy_to_json(accuracy) for name, accuracy in summary.single.items()}
    content["out_of_fold"] = _accuracy_to_json(summary.out_of_fold)
    content["estimate"] = None if summary.estimate is None else _estimate_to_json(summary.estimate)
    content["test"] = None if summary.test is None else _accuracy_to_json(summary.test)
    write_json(path, content)


def read_report(path: Path) -> RunSummary:
    """Raises RunFolderError when the file is missing or damaged, or of another version."""
    content = read_json(path)
    if content.pop("format_version") != FORMAT_VERSION:
        raise RunFolderError(f"{path} was written by another version of hitofude. Run again into a new folder.")
    content["networks"] = tuple(content["networks"])
    content["single"] = {name: _accuracy_from_json(accuracy) for name, accuracy in content["single"].items()}
    content["out_of_fold"] = _accuracy_from_json(content["out_of_fold"])
    content["estimate"] = None if content["estimate"] is None else _estimate_from_json(content)
    content["test"] = None if content["test"] is None else _accuracy_from_json(content["test"])
    return RunSummary(**content)


def _accuracy_to_json(accuracy: Accuracy) -> dict[str, Any]:
    low, high = accuracy.interval
    return {"accuracy": accuracy.value, "low": low, "high": high, "right": accuracy.right, "total": accuracy.total}


def _accuracy_from_json(content: dict[str, Any]) -> Accuracy:
    return Accuracy(content["right"], content["total"])


def _estimate_to_json(estimate: Estimate) -> dict[str, Any]:
    low, high = estimate.interval
    return {
        "accuracy": estimate.value,
        "low": low,
        "high": high,
        "gain_of_the_ensemble": estimate.gain,
        "ease_of_the_images": estimate.ease,
    }


def _estimate_from_json(content: dict[str, Any]) -> Estimate:
    estimate = content["estimate"]
    gain, ease = estimate["gain_of_the_ensemble"], estimate["ease_of_the_images"]
    return Estimate(content["out_of_fold"], gain, ease, content["images_to_predict"])
