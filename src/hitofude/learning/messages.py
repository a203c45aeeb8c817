"""What a run and those that make its members tell each other, as messages of hitofude.workers."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.compute import Compute
from hitofude.learning.member import EnsembleTask, MemberProbabilities
from hitofude.learning.training import MemberPlan
from hitofude.recipe import Recipe
from hitofude.workers.messages import Message
from hitofude.workers.versions import versions

Arrays = dict[str, NDArray[Any]]


def pack_arrays(arrays: Arrays) -> bytes:
    """Arrays as safetensors has them, which refuses those that share memory."""
    return save({name: torch.from_numpy(np.ascontiguousarray(array)).clone() for name, array in arrays.items()})


def unpack_arrays(content: bytes) -> Arrays:
    return {name: tensor.numpy() for name, tensor in load(content).items()}


@dataclass(frozen=True)
class Images:
    """What is learned from and what is predicted: what is told of a job once a process."""

    train: ImageSet
    test: ImageSet | None


class EnsembleMessage:
    """A job as messages: its images, which other jobs may share, and the rest."""

    def __init__(self, job: EnsembleTask, away: str | None = None) -> None:
        """away: where members are made elsewhere, what is written in a file of the job's folder, by which a machine
        notices that it sees the folder too.
        """
        self.job, self.away = job, away

    @cached_property
    def images(self) -> tuple[Message, bytes]:
        train, test = self.job.train, self.job.test
        arrays: Arrays = {"train.images": train.images, "train.labels": train.known_labels()}
        if test is not None:
            arrays["test.images"] = test.images
        message = {"ask": "images", "images": self.images_name, "classes": train.classes}
        return message, pack_arrays(arrays)

    @cached_property
    def images_name(self) -> str:
        test = self.job.test
        return f"{self.job.train.fingerprint} {'' if test is None else test.fingerprint}"

    @property
    def rest(self) -> Message:
        job = self.job
        return {
            "ask": "job",
            "job": self.name,
            "images": self.images_name,
            "recipe": job.recipe.to_toml(),
            "device": str(job.compute.device),
            "precision": job.compute.precision,
            "threads": job.compute.threads,
            "folder": self.name,
            "log_level": logging.getLogger("hitofude").getEffectiveLevel(),
            "unattended": job.unattended,
            "versions": versions(),
            "away": self.away,
        }

    @property
    def name(self) -> str:
        return str(self.job.folder.absolute())


def unpack_images(message: Message, content: bytes) -> Images:
    """The images have no ids."""
    arrays = unpack_arrays(content)
    no_ids = np.array([], dtype=np.str_)
    train = ImageSet(arrays["train.images"], arrays["train.labels"], no_ids, tuple(message["classes"]))
    test = arrays.get("test.images")
    return Images(train, None if test is None else ImageSet(test, None, no_ids, ()))


def unpack_job(message: Message, images: Images) -> EnsembleTask:
    """The job of a message, without plans: each member comes with its own."""
    return EnsembleTask(
        recipe=Recipe.from_toml(message["recipe"], "of the run"),
        compute=Compute(torch.device(message["device"]), message["precision"], message["threads"]),
        plans=(),
        train=images.train,
        test=images.test,
        folder=Path(message["folder"]),
        unattended=message["unattended"],
    )


def pack_plan(plan: MemberPlan) -> tuple[Message, bytes]:
    message = {"member": plan.member, "network": plan.network}
    return message, pack_arrays({"train_rows": plan.train_rows, "validation_rows": plan.validation_rows})


def unpack_plan(message: Message, content: bytes) -> MemberPlan:
    return MemberPlan(message["member"], message["network"], **unpack_arrays(content))


def pack_probabilities(probabilities: MemberProbabilities) -> bytes:
    arrays: Arrays = {"held_out": probabilities.held_out}
    if probabilities.test is not None:
        arrays["test"] = probabilities.test
    return pack_arrays(arrays)


def unpack_probabilities(content: bytes) -> MemberProbabilities:
    arrays = unpack_arrays(content)
    return MemberProbabilities(arrays["held_out"], arrays.get("test"))
