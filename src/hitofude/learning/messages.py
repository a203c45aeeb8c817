"""Messages between a run and its worker processes: a line of JSON, then tensors as safetensors. Nothing is pickled."""

import json
import logging
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.engine import Engine
from hitofude.learning.member import EnsembleJob
from hitofude.learning.training import MemberPlan
from hitofude.recipe import Recipe

Message = dict[str, Any]
Tensors = dict[str, Tensor]


def send(stream: BinaryIO, message: Message, tensors: Tensors | None = None) -> None:
    """Write a message whole; tensors may share memory. Raises BrokenPipeError when the other side has ended."""
    content = b"" if not tensors else save({name: _copy(tensor) for name, tensor in tensors.items()})
    stream.write(json.dumps(message | {"bytes": len(content)}).encode() + b"\n")
    stream.write(content)
    stream.flush()


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)  # safetensors refuses tensors that share memory


def receive(stream: BinaryIO) -> tuple[Message, Tensors] | None:
    """Wait for the next message; None when the other side has ended, even in the middle of one."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: Message = json.loads(line)
    size = message.pop("bytes")
    content = stream.read(size)
    if len(content) < size:
        return None
    return message, load(content) if size else {}


def pack_job(job: EnsembleJob) -> tuple[Message, Tensors]:
    """A job as a message."""
    tensors = {
        "train.images": torch.from_numpy(job.train.images),
        "train.labels": torch.from_numpy(job.train.known_labels()),
    }
    if job.test is not None:
        tensors["test.images"] = torch.from_numpy(job.test.images)
    for plan in job.plans:
        tensors[f"{plan.member}.train_rows"] = torch.from_numpy(plan.train_rows)
        tensors[f"{plan.member}.validation_rows"] = torch.from_numpy(plan.validation_rows)
    message = {
        "recipe": job.recipe.to_toml(),
        "device": str(job.engine.device),
        "precision": job.engine.precision,
        "threads": job.engine.threads,
        "classes": job.train.classes,
        "members": [{"member": plan.member, "network": plan.network} for plan in job.plans],
        "folder": str(job.folder.absolute()),
        "log_level": logging.getLogger("hitofude").getEffectiveLevel(),
        "unattended": job.unattended,
    }
    return message, tensors


def unpack_job(message: Message, tensors: Tensors) -> EnsembleJob:
    """The job of a message; the images have no ids."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    no_ids = np.array([], dtype=np.str_)
    plans = (
        MemberPlan(
            **named,
            train_rows=arrays[f"{named['member']}.train_rows"],
            validation_rows=arrays[f"{named['member']}.validation_rows"],
        )
        for named in message["members"]
    )
    test = arrays.get("test.images")
    return EnsembleJob(
        recipe=Recipe.from_toml(message["recipe"], "of the run"),
        engine=Engine(torch.device(message["device"]), message["precision"], message["threads"]),
        plans=tuple(plans),
        train=ImageSet(arrays["train.images"], arrays["train.labels"], no_ids, tuple(message["classes"])),
        test=None if test is None else ImageSet(test, None, no_ids, ()),
        folder=Path(message["folder"]),
        unattended=message["unattended"],
    )
