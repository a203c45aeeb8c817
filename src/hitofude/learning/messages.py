"""The tasks and results of learning, as messages of hitofude.workers: JSON and safetensors."""

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


@dataclass(frozen=True)
class Images:
    """The images of a task; a worker process receives them once."""

    train: ImageSet
    test: ImageSet | None


class EnsembleMessage:
    """An ensemble's task as two messages: its images, which other tasks may share, and the rest."""

    def __init__(self, task: EnsembleTask, token: str | None = None) -> None:
        """token: of hitofude.workers.shared_disk in the task's folder; None if the workers use that folder itself."""
        self.task, self.token = task, token
        self.folder = str(task.folder.absolute())
        """It identifies the task."""

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

    @property
    def rest(self) -> Message:
        task = self.task
        return {
            "ask": "task",
            "folder": self.folder,
            "images": self.images_name,
            "recipe": task.recipe.to_toml(),
            "device": str(task.compute.device),
            "precision": task.compute.precision,
            "threads": task.compute.threads,
            "log_level": logging.getLogger("hitofude").getEffectiveLevel(),
            "unattended": task.unattended,
            "versions": versions(),
            "token": self.token,
        }


def unpack_images(message: Message, content: bytes) -> Images:
    """Unpack images, which have no ids."""
    arrays = unpack_arrays(content)
    no_ids = np.array([], dtype=np.str_)
    train = ImageSet(arrays["train.images"], arrays["train.labels"], no_ids, tuple(message["classes"]))
    test = arrays.get("test.images")
    return Images(train, None if test is None else ImageSet(test, None, no_ids, ()))


def unpack_task(message: Message, images: Images) -> EnsembleTask:
    """Unpack a task without plans: each member is sent with its own."""
    return EnsembleTask(
        recipe=Recipe.from_toml(message["recipe"], "of the run"),
        compute=Compute(torch.device(message["device"]), message["precision"], message["threads"]),
        plans=(),
        train=images.train,
        test=images.test,
        folder=Path(message["folder"]),
        unattended=message["unattended"],
    )


def pack_member(folder: str, plan: MemberPlan, state: SavedState | None) -> tuple[Message, bytes]:
    """Pack a member of the task in `folder`, and the state that it continues from."""
    rows = pack_arrays({"train_rows": plan.train_rows, "validation_rows": plan.validation_rows})
    message, content = pack_state(state)
    plan_message = {"ask": "member", "folder": folder, "member": plan.member, "network": plan.network}
    return plan_message | {"rows": len(rows)} | message, rows + content


def unpack_member(message: Message, content: bytes) -> tuple[MemberPlan, SavedState | None]:
    rows = message["rows"]
    plan = MemberPlan(message["member"], message["network"], **unpack_arrays(content[:rows]))
    return plan, None if message["state"] is None else unpack_state(message, content[rows:])


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
