"""A worker process: it is given images and jobs, then members to make, and tells what happens.

It lives no longer than who started it: at the end of its standard input it ends at once, whatever it does, so that
no training goes on behind the back of a run that was killed.

On the machine of the run it works in the members' own folders. Elsewhere it works in a folder of its own, and each
state is sent home at the end of its epoch; where it sees the run's folder too, its own is within that, and only the
states' names are sent. So whoever was replaced, and works on, changes nothing of what its successor makes.
"""

import logging
import os
import platform
import queue
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

from hitofude.errors import ClusterError, UserError, describe_places
from hitofude.learning.checkpoint import FINISHED, EpochLog, MemberFolder, Pair
from hitofude.learning.engine import choose_engine, describe_environment
from hitofude.learning.member import EnsembleJob, MemberRunner
from hitofude.learning.messages import Images, pack_probabilities, unpack_images, unpack_job, unpack_plan, versions
from hitofude.learning.training import MemberPlan
from hitofude.workers.messages import Message, receive, send

Requests = queue.Queue[tuple[Message, bytes]]

SECONDS_BETWEEN_REPORTS = 0.2
AWAY, SEEN = ".away", ".seen"
"""In the folder that holds the members': where others work, and the file by which they notice that they see it."""


class Reporter:
    """An observer that passes everything on as messages; batches now and then, summed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._images = 0
        self._reported = time.monotonic()
        self.home: Home | None = None
        """Who sends the states home, where the members' folders are not here."""

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self._send("member_started", member=member, epochs=epochs, epochs_done=epochs_done)

    def batch_finished(self, images: int) -> None:
        self._images += images
        if time.monotonic() - self._reported > SECONDS_BETWEEN_REPORTS:
            self._report_images()

    def epoch_finished(self, log: EpochLog) -> None:
        self._report_images()
        if self.home is None:
            self._send("epoch_finished", log=asdict(log))
        else:
            self.send_home(log.member, log)

    def send_home(self, member: int, log: EpochLog | None = None) -> None:
        """The member's newest state, and the epoch that led to it, where its folder is not here."""
        if self.home is not None:
            of_it: Message = {"event": "kept", "log": None if log is None else asdict(log)}
            send(self._stream, *self.home.pack_newest(of_it, member))

    def warned(self, message: str) -> None:
        self._send("warned", message=message)

    def finished(self, content: bytes = b"", **of_it: object) -> None:
        """What was asked for is done."""
        send(self._stream, {"event": "finished"} | of_it, content)

    def failed(self, error: Exception) -> None:
        """A user's error by its kind; any other as the bug that it is."""
        if isinstance(error, UserError):
            self._send("failed", kind=type(error).__name__, message=str(error))
        else:
            text = "A worker process failed:\n" + "".join(traceback.format_exception(error))
            self._send("failed", kind=None, message=text, places=describe_places(error))

    def logged(self, record: logging.LogRecord) -> None:
        self._send("logged", logger=record.name, level=record.levelno, text=record.getMessage())

    def _report_images(self) -> None:
        self._send("batch_finished", images=self._images)
        self._images, self._reported = 0, time.monotonic()

    def _send(self, event: str, **content: object) -> None:
        send(self._stream, {"event": event} | content)


class Home:
    """A folder of its own for members whose run is elsewhere, and the way of their states to it."""

    def __init__(self, job: EnsembleJob, token: str) -> None:
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
            folder.adopt(Pair.unpack(name, message["tensors"], content))

    def pack_newest(self, message: Message, member: int) -> tuple[Message, bytes]:
        """The newest state in addition to a message; of a folder that the run sees too, where it is."""
        folder = self.member_folder(member)
        if self._sees_the_run:
            return message | {"name": folder.names()[0], "folder": str(folder.path)}, b""
        return pack_pair(message, folder.newest_pair())


def pack_pair(message: Message, pair: Pair | None) -> tuple[Message, bytes]:
    """A state, or that there is none, in addition to a message."""
    if pair is None:
        return message | {"name": None}, b""
    return message | {"name": pair.name, "tensors": len(pair.tensors)}, pair.pack()


class Worker:
    """What a worker process knows: images and jobs by their names, and the data of one job on the device."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._images: dict[str, Images] = {}
        self._jobs: dict[str, EnsembleJob] = {}
        self._homes: dict[str, Home | None] = {}
        self._runner: tuple[str, MemberRunner] | None = None
        self._plan: MemberPlan
        """Of the member that is asked for next."""

    def answer(self, message: Message, content: bytes) -> None:
        """Do what is asked for. Raises what a member's training raises."""
        match message["ask"]:
            case "engine":
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
        engine = choose_engine(message["device"], message["precision"], message["threads"])
        described = {"device": str(engine.device), "precision": engine.precision, "threads": engine.threads}
        self._reporter.finished(engine=described, environment=describe_environment(engine))

    def _begin(self, message: Message) -> None:
        _log_to(self._reporter, message["log_level"])
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


def check_versions(message: Message) -> None:
    """Raises ClusterError where this machine has another hitofude or PyTorch than the run."""
    here, there = versions(), message["versions"]
    if here != there:
        found = ", ".join(f"{name} {here[name]} instead of {there[name]}" for name in here if here[name] != there[name])
        raise ClusterError(f"{platform.node()} has {found}. Install the same versions there as here.")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


class _Forwarder(logging.Handler):
    """Passes records on to the run, which knows where its log goes."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self._reporter.logged(record)


def _log_to(reporter: Reporter, level: int) -> None:
    logger = logging.getLogger("hitofude")
    logger.setLevel(level)
    if not any(isinstance(handler, _Forwarder) for handler in logger.handlers):
        logger.addHandler(_Forwarder(reporter))


@contextmanager
def answering() -> Iterator[tuple[Requests, Reporter]]:
    """Standard input holds requests, standard output events; what else is printed goes to standard error.

    An error within it is told, and the process ends with 1.
    """
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: Requests = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    reporter = Reporter(events)
    try:
        yield requests, reporter
    except Exception as error:
        reporter.failed(error)
        sys.exit(1)


def _listen(stream: BinaryIO, requests: Requests) -> None:
    while (request := receive(stream)) is not None:
        requests.put(request)
    os._exit(0)


def main() -> None:
    with answering() as (requests, reporter):
        worker = Worker(reporter)
        while True:
            worker.answer(*requests.get())


if __name__ == "__main__":
    main()
