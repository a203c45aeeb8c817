"""The tasks and results of learning, as messages of hitofude.workers: JSON and safetensors."""

import logging
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import SavedState
from hitofude.learning.compute import Compute
from hitofude.learning.member import EnsembleTask, MemberProbabilities
from hitofude.learning.training import MemberPlan
from hitofude.recipe import Recipe
from hitofude.workers.messages import Message
from hitofude.workers.versions import versions

Arrays = dict[str, NDArray[Any]]


def pack_arrays(arrays: Arrays) -> bytes:
    """Pack as safetensors, which refuses arrays that share memory; so they are copied."""
    return save({name: torch.from_numpy(np.ascontiguousarray(array)).clone() for name, array in arrays.items()})


def unpack_arrays(content: bytes) -> Arrays:
    return {name: tensor.numpy() for name, tensor in load(content).items()}


Images = tuple[ImageSet, ImageSet | None]
"""The training and the test images of a task; a worker process receives them once."""


class EnsembleMessage:
    """An ensemble's task as messages: the images, which other tasks may share, and each member."""

    def __init__(self, task: EnsembleTask, token: str | None = None) -> None:
        """token: of hitofude.workers.shared_disk in the task's folder; None if the workers use that folder itself."""
        self.task, self.token = task, token

    @cached_property
    def images(self) -> tuple[Message, bytes]:
        train, test = self.task.train, self.task.test
        arrays: Arrays = {"train.images": train.images, "train.labels": train.known_labels()}
        if test is not None:
            arrays["test.images"] = test.images
        message = {"ask": "images", "images": self.images_name, "classes": train.classes}
        return message, pack_arrays(arrays)

    @cached_property
    def images_name(self) -> str:
        test = self.task.test
        return f"{self.task.train.fingerprint} {'' if test is None else test.fingerprint}"

    def member(self, plan: MemberPlan, state: SavedState | None) -> tuple[Message, bytes]:
        """Pack a member with its rows, the state that it continues from, and the settings of the task."""
        task = self.task
        rows = pack_arrays({"train_rows": plan.train_rows, "validation_rows": plan.validation_rows})
        message, content = pack_state(state)
        return message | {
            "ask": "member",
            "member": plan.member,
            "network": plan.network,
            "rows": len(rows),
            "folder": str(task.folder.absolute()),
            "images": self.images_name,
            "recipe": task.recipe.to_toml(),
            "compute": pack_compute(task.compute),
            "log_level": logging.getLogger("hitofude").getEffectiveLevel(),
            "unattended": task.unattended,
            "versions": versions(),
            "token": self.token,
        }, rows + content


def unpack_images(message: Message, content: bytes) -> Images:
    """Unpack images, which have no ids."""
    arrays = unpack_arrays(content)
    no_ids = np.array([], dtype=np.str_)
    train = ImageSet(arrays["train.images"], arrays["train.labels"], no_ids, tuple(message["classes"]))
    test = arrays.get("test.images")
    return train, None if test is None else ImageSet(test, None, no_ids, ())


def unpack_task(message: Message, images: Images) -> EnsembleTask:
    """Unpack the task of a member, without plans."""
    return EnsembleTask(
        recipe=Recipe.from_toml(message["recipe"], "of the run"),
        compute=unpack_compute(message["compute"]),
        plans=(),
        train=images[0],
        test=images[1],
        folder=Path(message["folder"]),
        unattended=message["unattended"],
    )


def unpack_member(message: Message, content: bytes) -> tuple[MemberPlan, SavedState | None]:
    rows = message["rows"]
    plan = MemberPlan(message["member"], message["network"], **unpack_arrays(content[:rows]))
    return plan, None if message["state"] is None else unpack_state(message, content[rows:])


def pack_compute(compute: Compute) -> Message:
    return {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads}


def unpack_compute(message: Message, device_name: str | None = None) -> Compute:
    return Compute(torch.device(message["device"]), message["precision"], message["threads"], device_name)


def pack_state(state: SavedState | None) -> tuple[Message, bytes]:
    if state is None:
        return {"state": None}, b""
    return {"state": state.name, "tensors": len(state.tensors)}, state.pack()


def unpack_state(message: Message, content: bytes) -> SavedState:
    return SavedState.unpack(message["state"], message["tensors"], content)


def pack_probabilities(probabilities: MemberProbabilities) -> bytes:
    arrays: Arrays = {"held_out": probabilities.held_out}
    if probabilities.test is not None:
        arrays["test"] = probabilities.test
    return pack_arrays(arrays)


def unpack_probabilities(content: bytes) -> MemberProbabilities:
    arrays = unpack_arrays(content)
    return MemberProbabilities(arrays["held_out"], arrays.get("test"))
