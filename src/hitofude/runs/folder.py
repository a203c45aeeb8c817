"""A run's folder: everything a run knows, readable without us.

recipe.toml              every setting, resolved
data.json                the source: sizes, classes, fingerprints
environment.json         versions, device, threads, precision
log.jsonl                a line an epoch of a member
loss.png accuracy.png    the same as pictures
network.dot              the computation graph
members/NN/              weights.safetensors and member.json; while it trains, state-*
oof.npz                  ids, labels, probabilities (N, classes), classes; each row by members that never saw it;
                         disagreement (N,) among those members
test_probabilities.npz   ids, probabilities (members, N, classes), classes
submission.csv           where there are images to predict
hardest.csv hardest.png  training images by out-of-fold loss
label_issues.csv         labels that are probably wrong
duplicates.csv           images that an earlier one is like
model.onnx               the ensemble to serve, once it was served
report.html              all of it to look at, one file
report.json              the figures; written last: a run that has it is finished
imported.json            in place of it where the networks were trained elsewhere: from which files they are. Such a
                         folder holds recipe.toml (only how it predicts), data.json and members/ beside it
.owner.json              while a process works here: who; .lock, which stays, is what it holds
"""

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from hitofude.errors import OutOfResourcesError, RecipeError, RunFolderError
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.sources import Dataset
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, describe_arithmetic, describe_environment
from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.report import ImportSummary, RunSummary, read_import, read_report
from hitofude.recipe import Recipe
from hitofude.storage import (
    explaining_os_errors,
    free_bytes,
    owning,
    read_json,
    remove_partial_files,
    write_json,
    write_text,
)

FORMAT_VERSION = 1
SECONDS_FOR_A_DYING_OWNER = 2


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
        self.label_issues = path / "label_issues.csv"
        self.duplicates = path / "duplicates.csv"
        self.model = path / "model.onnx"
        self.page = path / "report.html"
        self.report = path / "report.json"
        self.imported = path / "imported.json"
        self.owner = path / ".owner.json"

    @property
    def is_finished(self) -> bool:
        return self.report.exists()

    @property
    def is_imported(self) -> bool:
        """Whether its networks were trained elsewhere."""
        return self.imported.exists()

    def member(self, number: int) -> Path:
        return self.members / f"{number:02d}"

    @contextmanager
    def claimed(
        self, recipe: Recipe, dataset: Dataset, compute: Compute, environment: Mapping[str, object] | None = None
    ) -> Iterator[None]:
        """Within it, this process alone works here: on a new run, or on the same run that was begun here.

        environment: of the machines that train, as describe_environment has it, where they are not this one.

        Raises RunFolderError when another recipe, other data or another PyTorch began it, when another process
        works here, or when the folder is not a run's.
        """
        self._check_holds_nothing_else()
        with owning(self.path, wait=SECONDS_FOR_A_DYING_OWNER) as is_ours:
            if not is_ours:
                raise RunFolderError(
                    f"{self.path} is in use by {self._describe_owner()}. "
                    "Wait for it to end, or name another folder with --run."
                )
            remove_partial_files(self.path)
            if self.recipe.exists():
                self.check_same(recipe, dataset, compute)
            else:
                write_json(self.data, describe_data(dataset))
                write_json(self.environment, environment or describe_environment(compute))
                recipe.save(self.recipe)
            write_json(self.owner, _describe_this_process())
            try:
                yield
            finally:
                self.owner.unlink(missing_ok=True)

    def check_same(self, recipe: Recipe, dataset: Dataset, compute: Compute | None = None) -> None:
        """Raises RunFolderError showing what differs from the run that was begun here.

        compute: what would continue an unfinished run; its arithmetic must be the same too.
        """
        differences = self.load_recipe().difference(recipe)
        differences += _differences(self.load_data(), describe_data(dataset), ("train_fingerprint", "test_fingerprint"))
        if compute is not None:
            arithmetic = describe_arithmetic(compute)
            differences += _differences(self.load_environment(), arithmetic, arithmetic)
        if differences:
            listed = "\n  ".join(differences)
            raise RunFolderError(
                f"{self.path} holds a run of another kind (there → here):\n  {listed}\n"
                "Use what it was begun with to continue it, or another folder with --run."
            )

    def threads_begun_with(self) -> int | None:
        """The threads a member of the run that was begun here; None when none was."""
        return self.load_environment().get("threads") if self.recipe.exists() else None

    def check_disk(self, needed: int) -> None:
        """Raises OutOfResourcesError when the disk has no room for a run of so many bytes, some of them here."""
        here = sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())
        free = free_bytes(self.path)
        if here + free < needed:
            raise OutOfResourcesError(
                f"The run needs about {needed - here:,} bytes more on the disk of {self.path}; {free:,} are free. "
                "Free some space, or name a folder on another disk with --run."
            )

    def load_recipe(self) -> Recipe:
        """Raises RunFolderError when this is not a run folder."""
        if not self.recipe.exists():
            raise RunFolderError(f"{self.path} is not a run folder: there is no {self.recipe.name} in it.")
        try:
            return Recipe.load(self.recipe)
        except RecipeError as error:
            raise RunFolderError(f"{error} Restore it, or run again into a new folder.") from None

    def load_summary(self) -> RunSummary:
        """The finished run's figures. Raises RunFolderError when the run is not finished, or was imported."""
        self.check_trained_here()
        if not self.is_finished:
            raise RunFolderError(f"The run in {self.path} is not finished. Run its command again to continue it.")
        return read_report(self.report)

    def load_import(self) -> ImportSummary:
        """Where imported networks come from. Raises RunFolderError when that is missing or damaged."""
        return read_import(self.imported)

    def load_networks(self) -> tuple[str, ...]:
        """Each member's network. Raises RunFolderError when the run is not finished."""
        return self.load_import().networks if self.is_imported else self.load_summary().networks

    def check_trained_here(self) -> None:
        """Raises RunFolderError when the networks were imported: of them nothing but their weights is known."""
        if self.is_imported:
            raise RunFolderError(
                f"{self.path} holds imported networks, which were trained elsewhere: there are no out-of-fold rows to "
                "audit, compare or calibrate by, and no training to continue. Predict with them by hitofude predict, "
                "without --calibrated; to train, name another folder with --run."
            )

    def load_data(self) -> "DataDescription":
        """The content of data.json. Raises RunFolderError when it is missing, damaged, or of a newer version."""
        try:
            content = TypeAdapter(DataDescription).validate_python(read_json(self.data))
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"])) or "its beginning"
            raise RunFolderError(
                f"{self.data} is damaged at {place}. Restore it, or run again into a new folder."
            ) from None
        if content["format_version"] > FORMAT_VERSION:
            raise RunFolderError(f"{self.data} was written by a newer hitofude. Upgrade with pip install -U hitofude.")
        return content

    def load_environment(self) -> dict[str, Any]:
        """The content of environment.json. Raises RunFolderError when it is missing or damaged."""
        content = read_json(self.environment)
        if not isinstance(content, dict) or not isinstance(content.get("threads", 1), int):
            raise RunFolderError(f"{self.environment} is damaged. Restore it, or run again into a new folder.")
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

    def _check_holds_nothing_else(self) -> None:
        expected = {self.data.name, self.environment.name}
        others = [] if self.recipe.exists() else sorted(set(self._visible_names()) - expected)
        if others:
            raise RunFolderError(
                f"{self.path} is not a run folder: it holds {', '.join(others[:3])}. "
                "Name a new or empty one with --run."
            )

    def _describe_owner(self) -> str:
        try:
            owner = json.loads(self.owner.read_text(encoding="utf-8"))
            return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
        except (OSError, ValueError, KeyError):
            return "another process"


class DataDescription(TypedDict):
    """What data.json holds."""

    format_version: int
    source: str
    image_shape: tuple[int, int, int]  # (C, H, W)
    classes: list[str]
    train_images: int | None  # None where networks were imported
    test_images: int
    train_fingerprint: str | None
    test_fingerprint: str | None


def describe_data(dataset: Dataset) -> DataDescription:
    test = dataset.test
    return {
        "format_version": FORMAT_VERSION,
        "source": dataset.name,
        "image_shape": dataset.train.image_shape,
        "classes": list(dataset.train.classes),
        "train_images": len(dataset.train),
        "test_images": 0 if test is None else len(test),
        "train_fingerprint": dataset.train.fingerprint,
        "test_fingerprint": None if test is None else test.fingerprint,
    }


def describe_unknown_data(source: str, image_shape: ImageShape, classes: int) -> DataDescription:
    """What data.json holds where the training images are not known, nor what the classes are called."""
    return {
        "format_version": FORMAT_VERSION,
        "source": source,
        "image_shape": image_shape,
        "classes": [str(number) for number in range(classes)],
        "train_images": None,
        "test_images": 0,
        "train_fingerprint": None,
        "test_fingerprint": None,
    }


def _describe_this_process() -> dict[str, Any]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _differences(begun: Mapping[str, Any], found: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [f"{name}: {begun.get(name)} → {found[name]}" for name in names if begun.get(name) != found[name]]


def _log_line(log: EpochLog) -> str:
    return json.dumps(asdict(log)) + "\n"
