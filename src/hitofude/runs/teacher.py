"""The teacher of a distilled run: another finished run, whose members' answers are learned in place of the labels.

A member that holds rows out learns only from the teacher's members that hold them out too. So no label of these rows
reaches it, and its answers to them are as honest as those of a member that learns from labels. Source: G. Hinton, O.
Vinyals, J. Dean 2015, arXiv:1503.02531.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hitofude.errors import InputError, RunFolderError, counted
from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.predicting import Predictor
from hitofude.learning.speed import multiplications
from hitofude.learning.training import MemberPlan, Targets, load_member
from hitofude.runs.folder import RunFolder
from hitofude.runs.kept_plugins import check_plugins
from hitofude.runs.result import RunResult, load_result


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished run to learn from."""

    result: RunResult
    fingerprint: str
    """SHA-256 of all that decides its answers."""

    @classmethod
    def load(cls, run: str | Path) -> "Teacher":
        """Read a run. Raises RunFolderError if it is not finished, was imported, or weights are missing."""
        result = load_result(run)
        check_plugins(result.folder)
        return cls(result, _fingerprint(result))

    @property
    def folder(self) -> RunFolder:
        return self.result.folder

    def check_images(self, train: ImageSet, source: str) -> None:
        """Raise InputError if these are not the teacher's training images with their labels. source: their name."""
        if train.fingerprint != self.folder.load_data().train_fingerprint:
            raise InputError(
                f"{source} has other training images or labels than the teacher {self.folder.path} learned from in\n"
                f"  {self.result.summary.command}\nName the same source, and read it with the same options."
            )

    def check_folds(self, members: Sequence[MemberPlan]) -> None:
        """Raise RunFolderError if a member holds rows out that no member of the teacher holds out together."""
        for member in members:
            if not len(self.teachers_of(member)):
                raise RunFolderError(
                    f"No member of the teacher {self.folder.path} holds out the "
                    f"{counted(len(member.validation_rows), 'row')} that member {member.member + 1} would hold out, "
                    "so their labels would reach it. Give the groups and folds of the teacher; or train a new teacher "
                    "with this version of hitofude."
                )

    def teachers_of(self, member: MemberPlan) -> NDArray[np.int64]:
        """Return the teacher's members that a member learns from: those that hold out all rows that it holds out."""
        return np.flatnonzero(self.result.held_out[member.validation_rows].all(axis=0))

    def answers(self, members: Sequence[MemberPlan], images: torch.Tensor, compute: Compute) -> Mapping[int, Targets]:
        """Return for each member (N, classes), the mean raw probabilities by those that it learns from.

        images: (N, C, H, W) uint8, on any device. Raises RunFolderError if weights are missing or damaged.
        """
        teachers = {member.member: self.teachers_of(member) for member in members}
        (_, channels, height, width), classes = images.shape, len(self.result.classes)
        answers = {member: np.zeros((len(images), classes), dtype=np.float32) for member in teachers}
        with compute.applied():
            for number, name in enumerate(self.result.summary.networks):
                folder = MemberFolder(self.folder.member(number))
                network = load_member(folder, name, (channels, height, width), classes, compute, {"member": number})
                found = Predictor(network, compute, tta=self.result.recipe.tta)(images)
                for member, own in teachers.items():
                    if number in own:
                        answers[member] += found / np.float32(len(own))
        return answers

    def operations(self) -> int:
        """Return the multiply-accumulate operations of the members that predict, for one image."""
        data = self.folder.load_data()
        networks = self.result.summary.predicting.values()
        return sum(multiplications(name, data.image_shape, len(data.classes)) for name in networks)


def _fingerprint(result: RunResult) -> str:
    folders = [MemberFolder(result.folder.member(number)) for number in range(len(result.summary.networks))]
    try:
        weights = [hashlib.sha256(folder.weights_path.read_bytes()).hexdigest() for folder in folders]
    except FileNotFoundError as error:
        raise RunFolderError(f"{error.filename} is missing. Restore it, or train the teacher again.") from None
    decisive = json.dumps([weights, result.recipe.tta.model_dump(mode="json")]).encode()
    return hashlib.sha256(decisive + np.packbits(result.held_out).tobytes()).hexdigest()
