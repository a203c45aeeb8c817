"""A worker process: it is given images and jobs, then members to make, and tells what happens.

It lives no longer than who started it: at the end of its standard input it ends at once, whatever it does, so that
no training goes on behind the back of a run that was killed.

On the machine of the run it works in the members' own folders. Elsewhere it works in a folder of its own, and each
state is sent home at the end of its epoch; where it sees the run's folder too, its own is within that, and only the
states' names are sent. So whoever was replaced, and works on, changes nothing of what its successor makes.
"""

import tempfile
import uuid
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

from hitofude.learning.checkpoint import FINISHED, MemberFolder, SavedState
from hitofude.learning.compute import choose_compute, describe_environment
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.member import EnsembleTask, MemberRunner
from hitofude.learning.messages import Images, pack_probabilities, unpack_images, unpack_job, unpack_plan
from hitofude.learning.training import MemberPlan
from hitofude.workers.answering import Reporter, answering, forward_logs
from hitofude.workers.messages import Event, Message
from hitofude.workers.versions import check_versions

AWAY, SEEN = ".away", ".seen"
"""In the folder that holds the members': where others work, and the file by which they notice that they see it."""


class MemberReporter(Reporter):
    """Reports a member's training as an observer of it, and sends saved states to the run's folder."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self.home: Home | None = None
        """The way to the run's folder; None if this process works in that folder itself."""

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self.send(Event.MEMBER_STARTED, member=member, epochs=epochs, epochs_done=epochs_done)

    def epoch_finished(self, log: EpochLog) -> None:
        self.report_images()
        if self.home is None:
            self.send(Event.EPOCH_FINISHED, log=asdict(log))
        else:
            self.send_home(log.member, log)

    def send_home(self, member: int, log: EpochLog | None = None) -> None:
        """Send the member's newest state, and the epoch that led to it, unless its folder is the run's own."""
        if self.home is not None:
            message, content = self.home.pack_newest({"log": None if log is None else asdict(log)}, member)
            self.send(Event.SAVED, content, **message)


class Home:
    """A folder of its own for members whose run is elsewhere, and the way of their states to it."""

    def __init__(self, job: EnsembleTask, token: str) -> None:
        self._sees_the_run = _read(job.folder / SEEN) == token
        if self._sees_the_run:
            self.folder = job.folder / AWAY / uuid.uuid4().hex
        else:
            self.folder = Path(tempfile.mkdtemp())  # within its host's, which removes it

    def member_folder(self, member: int) -> MemberFolder:
        return MemberFolder(self.folder / f"{member:02d}")

    def bring(self, message: Message, content: bytes) -> None:
        """Put what the run has of a member where it is continued from."""
        name, folder = message["name"], self.member_folder(message["member"])
        if name is not None:
            folder.adopt(SavedState.unpack(name, message["tensors"], content))

    def pack_newest(self, message: Message, member: int) -> tuple[Message, bytes]:
        """The newest state in addition to a message; of a folder that the run sees too, where it is."""
        folder = self.member_folder(member)
        if self._sees_the_run:
            return message | {"name": folder.names()[0], "folder": str(folder.path)}, b""
        return pack_state(message, folder.newest_saved())


def pack_state(message: Message, pair: SavedState | None) -> tuple[Message, bytes]:
    """A state, or that there is none, in addition to a message."""
    if pair is None:
        return message | {"name": None}, b""
    return message | {"name": pair.name, "tensors": len(pair.tensors)}, pair.pack()


class MemberWorker:
    """What a worker process knows: images and jobs by their names, and the data of one job on the device."""

    def __init__(self, reporter: MemberReporter) -> None:
        self._reporter = reporter
        self._images: dict[str, Images] = {}
        self._jobs: dict[str, EnsembleTask] = {}
        self._homes: dict[str, Home | None] = {}
        self._runner: tuple[str, MemberRunner] | None = None
        self._plan: MemberPlan
        """Of the member that is asked for next."""

    def answer(self, message: Message, content: bytes) -> None:
        """Do what is asked for. Raises what a member's training raises."""
        match message["ask"]:
            case "compute":
                self._describe_engine(message)
            case "images":
                self._images[message["images"]] = unpack_images(message, content)
            case "job":
                self._begin(message)
            case "plan":
                self._plan = unpack_plan(message, content)
            case "member":
                self._make(message, content)

    def _describe_engine(self, message: Message) -> None:
        check_versions(message)
        compute = choose_compute(message["device"], message["precision"], message["threads"])
        described = {"device": str(compute.device), "precision": compute.precision, "threads": compute.threads}
        self._reporter.finished(compute=described, environment=describe_environment(compute))

    def _begin(self, message: Message) -> None:
        forward_logs(self._reporter, message["log_level"])
        name, token = message["job"], message["away"]
        job = unpack_job(message, self._images[message["images"]])
        if token is not None:
            check_versions(message)
        home = self._homes[name] = None if token is None else Home(job, token)
        self._jobs[name] = job if home is None else replace(job, folder=home.folder)

    def _make(self, message: Message, content: bytes) -> None:
        name, member = message["job"], message["member"]
        home = self._reporter.home = self._homes[name]
        if home is not None:
            home.bring(message, content)
        probabilities = self._runner_of(name).run(self._plan)
        if message["name"] != FINISHED:
            self._reporter.send_home(member)
        self._reporter.finished(pack_probabilities(probabilities), member=member)

    def _runner_of(self, name: str) -> MemberRunner:
        if self._runner is None or self._runner[0] != name:
            self._runner = None  # first let go of the other's data
            self._runner = name, MemberRunner(self._jobs[name], self._reporter)
        return self._runner[1]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def main() -> None:
    with answering(MemberReporter) as (requests, reporter):
        worker = MemberWorker(reporter)
        while True:
            worker.answer(*requests.get())


if __name__ == "__main__":
    main()
