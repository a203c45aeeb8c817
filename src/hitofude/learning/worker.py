"""A worker process that makes members, and its messages, which are JSON and safetensors.

It receives images and members, and reports events. On the driver's machine it works in the members' own folders. For a
cluster's run it works in a folder of its own, and sends each state to the driver at the end of an epoch. If it shares
the driver's disk, that folder lies within the run's, and only the states' names are sent. So a worker that was
replaced, and still works, cannot change the files of its successor.
"""

import logging
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.checkpoint import FINISHED, MemberFolder, SavedState
from hitofude.learning.compute import Compute, choose_compute, describe_environment
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask, MemberProbabilities, MemberRunner
from hitofude.learning.recipe_plugins import load_packed, pack_sources, sources_of
from hitofude.learning.speed import measure_member
from hitofude.learning.training import MemberPlan, Targets
from hitofude.recipe import Recipe
from hitofude.workers.answering import Reporter, answering, forward_logs
from hitofude.workers.handshake import check_versions, shares_disk, versions
from hitofude.workers.messages import Event, Message

REMOTE = ".remote"
"""In the folder of the members' folders: those of a cluster's workers that share the disk."""
Arrays = dict[str, NDArray[Any]]
Images = tuple[ImageSet, ImageSet | None]
"""The training and the test images of a task; a worker process receives them once."""


class EnsembleMessage:
    """An ensemble's task as messages: the images, which other tasks may share, and each member."""

    def __init__(self, task: EnsembleTask, token: str | None = None) -> None:
        """token: of hitofude.workers.handshake in the task's folder; None if the workers use that folder itself."""
        self.task, self.token = task, token

    @cached_property
    def images(self) -> tuple[Message, bytes]:
        train, test = self.task.train, self.task.test
        test_images = None if test is None else test.images
        message = {"ask": "images", "images": self.images_name, "classes": train.classes}
        return message, pack_arrays(
            {
                "train.images": train.images,
                "train.labels": train.known_labels(),
                "train.weights": train.weights,
                "test.images": test_images,
            }
        )

    @cached_property
    def images_name(self) -> str:
        train, test = self.task.train, self.task.test
        return f"{train.fingerprint} {'' if test is None else test.fingerprint} {train.weights_fingerprint or ''}"

    def member(
        self, plan: MemberPlan, state: SavedState | None, targets: Targets | None = None, *, ask: str = "member"
    ) -> tuple[Message, bytes]:
        """Pack a member with its recipe and rows, the state that it continues from, and the settings of the task.

        targets: of its rows, if they are not the labels. ask: to make the member, or for its "speed".
        """
        task = self.task
        rows = pack_arrays({"train_rows": plan.train_rows, "validation_rows": plan.validation_rows, "targets": targets})
        message, content = pack_state(state)
        return message | {
            "ask": ask,
            "member": plan.member,
            "teaches": plan.teaches,
            "recipe": plan.recipe.to_toml(),
            "rows": len(rows),
            "folder": str(task.folder.absolute()),
            "images": self.images_name,
            "compute": pack_compute(task.compute),
            "log_level": logging.getLogger("hitofude").getEffectiveLevel(),
            "unattended": task.unattended,
            "versions": versions(),
            "token": self.token,
            "plugins": pack_sources(sources_of(plan.recipe)),
        }, rows + content


def unpack_images(message: Message, content: bytes) -> Images:
    """Unpack images, which have no ids."""
    arrays = unpack_arrays(content)
    no_ids = np.array([], dtype=np.str_)
    labelled = arrays["train.images"], arrays["train.labels"]
    train = ImageSet(*labelled, no_ids, tuple(message["classes"]), weights=arrays.get("train.weights"))
    test = arrays.get("test.images")
    return train, None if test is None else ImageSet(test, None, no_ids, ())


def unpack_task(message: Message, images: Images) -> EnsembleTask:
    """Unpack the task of a member, without plans."""
    return EnsembleTask(
        compute=unpack_compute(message["compute"]),
        plans=(),
        train=images[0],
        test=images[1],
        folder=Path(message["folder"]),
        unattended=message["unattended"],
    )


def unpack_member(message: Message, content: bytes) -> tuple[MemberPlan, SavedState | None, Targets | None]:
    rows, recipe = message["rows"], Recipe.from_toml(message["recipe"], "of the member")
    arrays = unpack_arrays(content[:rows])
    rows_of = arrays["train_rows"], arrays["validation_rows"]
    plan = MemberPlan(message["member"], recipe, *rows_of, teaches=message["teaches"])
    state = None if message["state"] is None else unpack_state(message, content[rows:])
    return plan, state, arrays.get("targets")


def pack_compute(compute: Compute) -> Message:
    return {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads}


def unpack_compute(message: Message, device_name: str | None = None) -> Compute:
    return Compute(torch.device(message["device"]), message["precision"], message["threads"], device_name)


def pack_state(state: SavedState | None) -> tuple[Message, bytes]:
    if state is None:
        return {"state": None}, b""
    return {"state": state.name, "tensors": len(state.tensors)}, state.tensors + state.description


def unpack_state(message: Message, content: bytes) -> SavedState:
    return SavedState(message["state"], content[: message["tensors"]], content[message["tensors"] :])


def pack_probabilities(probabilities: MemberProbabilities) -> bytes:
    return pack_arrays(vars(probabilities))


def unpack_probabilities(content: bytes) -> MemberProbabilities:
    arrays = unpack_arrays(content)
    return MemberProbabilities(arrays["held_out"], arrays.get("test"), arrays.get("train"))


def pack_arrays(arrays: Mapping[str, NDArray[Any] | None]) -> bytes:
    """Pack as safetensors, which refuses arrays that share memory, so they are copied; None is left out."""
    known = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
    return save({name: torch.from_numpy(array).clone() for name, array in known.items()})


def unpack_arrays(content: bytes) -> Arrays:
    return {name: tensor.numpy() for name, tensor in load(content).items()}


class MemberReporter(Reporter):
    """A reporter that observes the training of members."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.remote_task: EnsembleTask | None = None
        """The task, if its folder is this worker's own and not the run's."""
        self.shares_disk = False

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self.send(Event.MEMBER_STARTED, member=member, epochs=epochs, epochs_done=epochs_done)

    def epoch_finished(self, log: EpochLog) -> None:
        self.report_images()
        if self.remote_task is None:
            self.send(Event.EPOCH_FINISHED, log=asdict(log))
        else:
            self.send_state(self.remote_task, log.member, asdict(log))

    def send_state(self, task: EnsembleTask, member: int, log: dict[str, Any] | None = None) -> None:
        """Send the member's newest state, or only its name and folder if the driver can link it.

        log: of the epoch that led to it.
        """
        folder = MemberFolder(task.member_folder(member))
        if self.shares_disk:
            self.send(Event.SAVED, log=log, state=folder.names()[0], folder=str(folder.path))
        else:
            message, content = pack_state(folder.newest_saved())
            self.send(Event.SAVED, content, log=log, **message)


class MemberWorker:
    """The state of a worker process: images by name, and the data of one task on the device."""

    def __init__(self, reporter: MemberReporter) -> None:
        self._reporter = reporter
        self._images: dict[str, Images] = {}
        self._folder: str | None = None
        """The run's folder for the task."""
        self._task: EnsembleTask
        self._runner: MemberRunner | None = None

    def answer(self, message: Message, content: bytes) -> None:
        """Do what is requested. Raises the errors of a member's training."""
        match message["ask"]:
            case "compute":
                check_versions(message)
                compute = choose_compute(message["device"], message["precision"], message["threads"])
                self._reporter.finished(compute=pack_compute(compute), environment=describe_environment(compute))
            case "speed":
                self._measure(message, content)
            case "images":
                self._images[message["images"]] = unpack_images(message, content)
            case "member":
                self._make(message, content)
            case request:
                raise ValueError(f"unexpected request {request!r}")

    def _measure(self, message: Message, content: bytes) -> None:
        """Measure the speed of a member."""
        load_packed(message["plugins"])
        (member, _, _), (images, _) = unpack_member(message, content), self._images[message["images"]]
        self._reporter.finished(**asdict(measure_member(member, images, unpack_compute(message["compute"]))))

    def _make(self, message: Message, content: bytes) -> None:
        load_packed(message["plugins"])
        if message["folder"] != self._folder:
            self._begin(message)
        plan, state, targets = unpack_member(message, content)
        if state is not None:
            MemberFolder(self._task.member_folder(plan.member)).adopt(state)
        if self._runner is None:
            self._runner = MemberRunner(self._task, self._reporter)
        probabilities = self._runner.run(plan, targets)
        if self._reporter.remote_task is not None and message["state"] != FINISHED:
            self._reporter.send_state(self._task, plan.member)
        self._reporter.finished(pack_probabilities(probabilities))

    def _begin(self, message: Message) -> None:
        """Begin with another task."""
        forward_logs(self._reporter, message["log_level"])
        self._folder = message["folder"]
        self._runner = None  # before the next task's data is loaded
        self._task = unpack_task(message, self._images[message["images"]])
        self._reporter.remote_task = None
        if (token := message["token"]) is not None:
            check_versions(message)
            is_shared = self._reporter.shares_disk = shares_disk(self._task.folder, token)
            own = self._task.folder / REMOTE / uuid.uuid4().hex if is_shared else Path(tempfile.mkdtemp())
            self._task = self._reporter.remote_task = replace(self._task, folder=own)


def main() -> None:
    with answering(MemberReporter) as (requests, reporter):
        worker = MemberWorker(reporter)
        while True:
            worker.answer(*requests.get())


if __name__ == "__main__":
    main()
