"""A run's folder: everything a run knows, readable without us.

recipe.toml              every setting, resolved
data.json                the source: sizes, classes, fingerprints
environment.json         versions, device, threads, precision
log.jsonl                a line an epoch of a member
loss.png accuracy.png    the same as pictures
network.dot              the computation graph
members/NN/              weights.safetensors and member.json; while it trains, state-*
oof.npz                  ids, labels, probabilities (N, classes), classes; each row by members that never saw it
test_probabilities.npz   ids, probabilities (members, N, classes), classes
submission.csv           where there are images to predict
hardest.csv hardest.png  training images by out-of-fold loss
report.json              the figures; written last: a run that has it is finished
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hitofude.errors import RunFolderError
from hitofude.inputs.sources import Dataset
from hitofude.learning.checkpoint import EpochLog, MemberFolder
from hitofude.outputs.report import RunSummary, read_report
from hitofude.recipe import Recipe
from hitofude.storage import explaining_os_errors, read_json, write_json, write_text

FORMAT_VERSION = 1


class RunFolder:
    """Names and state of a run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recipe = path / "recipe.toml"
        self.data = path / "data.json"
        self.environment = path / "environment.json"
        self.log = path / "log.jsonl"
        self.loss = path / "loss.png"
        self.accuracy = path / "accuracy.png"
        self.network = path / "network.dot"
        self.members = path / "members"
        self.out_of_fold = path / "oof.npz"
        self.test_probabilities = path / "test_probabilities.npz"
        self.submission = path / "submission.csv"
        self.hardest = path / "hardest.csv"
        self.hardest_picture = path / "hardest.png"
        self.report = path / "report.json"

    @property
    def is_finished(self) -> bool:
        return self.report.exists()

    def member(self, number: int) -> Path:
        return self.members / f"{number:02d}"

    def claim(self, recipe: Recipe, dataset: Dataset, environment: dict[str, Any]) -> None:
        """Begin a run here, or make sure that the run that is here is the same.

        Raises RunFolderError when another recipe or other data were begun here, or the folder is not a run's.
        """
        if self.recipe.exists():
            self._check_same(recipe, dataset)
            return
        expected = {self.data.name, self.environment.name}
        others = sorted(set(self._visible_names()) - expected)
        if others:
            raise RunFolderError(
                f"{self.path} is not a run folder: it holds {', '.join(others[:3])}. "
                "Name a new or empty one with --run."
            )
        write_json(self.data, describe_data(dataset))
        write_json(self.environment, environment)
        recipe.save(self.recipe)

    def load_recipe(self) -> Recipe:
        """Raises RunFolderError when this is not a run folder."""
        if not self.recipe.exists():
            raise RunFolderError(f"{self.path} is not a run folder: there is no {self.recipe.name} in it.")
        return Recipe.load(self.recipe)

    def load_summary(self) -> RunSummary:
        """The finished run's figures. Raises RunFolderError when the run is not finished."""
        if not self.is_finished:
            raise RunFolderError(f"The run in {self.path} is not finished. Run its command again to continue it.")
        return read_report(self.report)

    def load_data(self) -> dict[str, Any]:
        """The content of data.json. Raises RunFolderError when it is missing, damaged, or of a newer version."""
        content: dict[str, Any] = read_json(self.data)
        if content.get("format_version", 0) > FORMAT_VERSION:
            raise RunFolderError(f"{self.data} was written by a newer hitofude. Upgrade with pip install -U hitofude.")
        return content

    def epochs(self, members: Iterable[int]) -> list[EpochLog]:
        """What the members have logged so far."""
        return [log for number in members for log in MemberFolder(self.member(number)).epochs()]

    def restart_log(self, logs: Iterable[EpochLog]) -> None:
        """Begin log.jsonl with what is known to be durable."""
        write_text(self.log, "".join(_log_line(log) for log in logs))

    def append_log(self, log: EpochLog) -> None:
        with explaining_os_errors(self.log), self.log.open("a", encoding="utf-8") as stream:
            stream.write(_log_line(log))

    def _visible_names(self) -> list[str]:
        if not self.path.exists():
            return []
        if not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file. Name a new or empty folder with --run.")
        return [entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")]

    def _check_same(self, recipe: Recipe, dataset: Dataset) -> None:
        differences = self.load_recipe().difference(recipe)
        begun, found = self.load_data(), describe_data(dataset)
        differences += [
            f"{name}: {begun.get(name)} → {found[name]}"
            for name in ("train_fingerprint", "test_fingerprint")
            if begun.get(name) != found[name]
        ]
        if differences:
            listed = "\n  ".join(differences)
            raise RunFolderError(
                f"{self.path} holds a run of another kind (there → here):\n  {listed}\n"
                "Use the same settings and data to continue it, or another folder with --run."
            )


def describe_data(dataset: Dataset) -> dict[str, Any]:
    """What data.json holds."""
    test = dataset.test
    return {
        "format_version": FORMAT_VERSION,
        "source": dataset.name,
        "image_shape": list(dataset.train.image_shape),
        "classes": list(dataset.train.classes),
        "train_images": len(dataset.train),
        "test_images": 0 if test is None else len(test),
        "train_fingerprint": dataset.train.fingerprint,
        "test_fingerprint": None if test is None else test.fingerprint,
    }


def _log_line(log: EpochLog) -> str:
    return json.dumps(asdict(log)) + "\n"
