"""Owning a folder for one piece of work, and beginning or continuing a run in its folder."""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import RunFolderError, differences
from hitofude.inputs.dataset import Dataset
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute, describe_arithmetic, describe_environment
from hitofude.learning.epoch_log import EpochLog
from hitofude.recipe import Recipe
from hitofude.runs.folder import FORMAT_VERSION, RELATED, DataDescription, RunFolder
from hitofude.runs.kept_plugins import keep_plugins, plugin_differences
from hitofude.storage import owning, remove_partial_files, write_json

SECONDS_FOR_A_DYING_OWNER = 2


@dataclass(frozen=True)
class ClaimedFolder:
    """A folder that holds one piece of work, which one process at a time begins or continues.

    noun: the kind of work, for messages. option: the command's option that names the folder. marker: the file that is
    written when the work has begun; early: files that may exist before it. owns_below: whether the folders below have
    no owners of their own.
    """

    path: Path
    noun: str
    option: str
    marker: str
    early: tuple[str, ...] = ()
    owns_below: bool = True

    @contextmanager
    def claimed(self, begin: Callable[[], object], compare: Callable[[], Sequence[str]]) -> Iterator[None]:
        """Own the folder inside the block. begin: new work; compare: how this work differs from the one begun here.

        Raises RunFolderError if other work was begun here, the folder is in use, or it holds other things.
        """
        self._check_holds_nothing_else()
        with owning(self.path, wait=SECONDS_FOR_A_DYING_OWNER) as is_ours:
            if not is_ours:
                raise RunFolderError(
                    f"{self.path} is in use by {self._describe_owner()}. "
                    f"Wait for it to end, or name another folder with {self.option}."
                )
            remove_partial_files(self.path, below=self.owns_below)
            if (self.path / self.marker).exists():
                self.check_same(compare())
            else:
                begin()
            since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            write_json(self._owner, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
            try:
                yield
            finally:
                self._owner.unlink(missing_ok=True)

    def check_same(self, found: Sequence[str]) -> None:
        """Raise RunFolderError with these differences, unless there are none."""
        if found:
            listed = "\n  ".join(found)
            raise RunFolderError(
                f"{self.path} holds another {self.noun} (there → here):\n  {listed}\n"
                f"Continue it as it was begun, or name another folder with {self.option}."
            )

    @property
    def _owner(self) -> Path:
        return self.path / ".owner.json"

    def _check_holds_nothing_else(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"{self.path} is a file. Name a new or empty folder with {self.option}.")
        if not self.path.exists() or (self.path / self.marker).exists():
            return
        visible = {entry.name for entry in self.path.iterdir() if not entry.name.startswith(".")}
        if others := sorted(visible.difference(self.early)):
            raise RunFolderError(
                f"{self.path} is not a {self.noun} folder: it holds {', '.join(others[:3])}. "
                f"Name a new or empty folder with {self.option}."
            )

    def _describe_owner(self) -> str:
        try:
            owner = json.loads(self._owner.read_text(encoding="utf-8"))
            return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"
        except (OSError, ValueError, KeyError):
            return "another process"


def claim_run(
    folder: RunFolder,
    recipe: Recipe,
    dataset: Dataset,
    compute: Compute,
    environment: Mapping[str, object] | None = None,
    teacher: str | None = None,
) -> AbstractContextManager[None]:
    """Own a run folder inside the block, for a new run or for the same run that was begun here.

    environment: the describe_environment of the machines that train, None if they are this machine. teacher: the
    fingerprint of the teacher of a distilled run. Raises as ClaimedFolder.claimed does; another PyTorch, device,
    precision or number of threads makes another run, too.
    """

    def begin() -> None:
        write_json(folder.data, asdict(describe_data(dataset, teacher)))
        write_json(folder.environment, environment or describe_environment(compute))
        keep_plugins(folder, recipe)
        recipe.save(folder.recipe)

    def compare() -> list[str]:
        arithmetic = differences(folder.load_environment(), describe_arithmetic(compute))
        return _run_differences(folder, recipe, dataset, teacher) + arithmetic

    return _run_claim(folder).claimed(begin, compare)


def check_same_run(folder: RunFolder, recipe: Recipe, dataset: Dataset, teacher: str | None = None) -> None:
    """Raise RunFolderError with the differences, unless the folder's run has this recipe, these data and this teacher.

    teacher: its fingerprint, if the run is distilled.
    """
    _run_claim(folder).check_same(_run_differences(folder, recipe, dataset, teacher))


def saved_epochs(folder: RunFolder, members: Iterable[int]) -> list[EpochLog]:
    """Return the epochs that the members' saved states have behind them."""
    return [log for number in members for log in MemberFolder(folder.member(number)).epochs()]


def describe_data(dataset: Dataset, teacher: str | None = None) -> DataDescription:
    """Return the content of a run's data.json. teacher: its fingerprint, if the run is distilled."""
    train, test = dataset.train, dataset.test
    return DataDescription(
        format_version=FORMAT_VERSION,
        source=dataset.name,
        image_shape=train.image_shape,
        classes=train.classes,
        train_images=len(train),
        test_images=0 if test is None else len(test),
        train_fingerprint=train.fingerprint,
        test_fingerprint=None if test is None else test.fingerprint,
        group_column=dataset.group_column,
        fold_column=dataset.fold_column,
        weight_column=dataset.weight_column,
        label_column=dataset.label_column,
        ignored_columns=dataset.ignored_columns,
        header=dataset.header,
        groups_fingerprint=_fingerprint(train.groups),
        folds_fingerprint=_fingerprint(train.folds),
        weights_fingerprint=train.weights_fingerprint,
        teacher_fingerprint=teacher,
        look=dataset.look,
        transposed=dataset.transposed,
        planes=dataset.planes,
        pixels=dataset.trained_scale,
    )


def _fingerprint(texts: NDArray[np.str_] | None) -> str | None:
    """Return the SHA-256 of the texts; texts: (N,)."""
    return None if texts is None else hashlib.sha256("\0".join(texts.tolist()).encode()).hexdigest()


def _run_claim(folder: RunFolder) -> ClaimedFolder:
    early = folder.data.name, folder.environment.name, folder.plugins.name, folder.plugin_list.name
    return ClaimedFolder(folder.path, "run", "--run", folder.recipe.name, early)


def _run_differences(folder: RunFolder, recipe: Recipe, dataset: Dataset, teacher: str | None) -> list[str]:
    begun, described = folder.load_data(), describe_data(dataset, teacher)
    in_words = [f"{name}_fingerprint" for name in RELATED]
    fingerprints = {
        name: value
        for name, value in asdict(described).items()
        if name.endswith("_fingerprint") and name not in in_words
    }
    found = folder.load_recipe().difference(recipe) + differences(asdict(begun), fingerprints)
    return found + begun.related_differences(described) + plugin_differences(folder, recipe)
