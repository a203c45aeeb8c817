"""A worker process that makes members: it receives images and members, and reports events.

On the driver's machine it works in the members' own folders. For a cluster's run it works in a folder of its own, and
sends each state to the driver at the end of an epoch. If it shares the driver's disk, that folder lies within the
run's, and only the states' names are sent. So a worker that was replaced, and still works, cannot change the files of
its successor.
"""

import tempfile
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

from hitofude.learning.checkpoint import FINISHED, MemberFolder
from hitofude.learning.compute import choose_compute, describe_environment
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask, MemberRunner
from hitofude.learning.messages import (
    Images,
    pack_compute,
    pack_probabilities,
    pack_state,
    unpack_images,
    unpack_member,
    unpack_task,
)
from hitofude.workers.answering import Reporter, answering, forward_logs
from hitofude.workers.messages import Event, Message
from hitofude.workers.shared_disk import shares_disk
from hitofude.workers.versions import check_versions

REMOTE = ".remote"
"""In the folder of the members' folders: those of a cluster's workers that share the disk."""


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
            case "images":
                self._images[message["images"]] = unpack_images(message, content)
            case "member":
                self._make(message, content)
            case request:
                raise ValueError(f"unexpected request {request!r}")

    def _make(self, message: Message, content: bytes) -> None:
        if message["folder"] != self._folder:
            self._begin(message)
        plan, state = unpack_member(message, content)
        if state is not None:
            MemberFolder(self._task.member_folder(plan.member)).adopt(state)
        if self._runner is None:
            self._runner = MemberRunner(self._task, self._reporter)
        probabilities = self._runner.run(plan)
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
