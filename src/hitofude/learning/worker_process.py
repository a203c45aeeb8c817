"""A worker process: it is given a job, then members to make, and tells what happens. `workers.py` starts it.

It lives no longer than who started it: at the end of its standard input it ends at once, whatever it does, so that
no training goes on behind the back of a run that was killed.
"""

import logging
import os
import queue
import sys
import threading
import time
import traceback
from dataclasses import asdict
from typing import BinaryIO

import torch

from hitofude.errors import UserError, describe_places
from hitofude.learning.checkpoint import EpochLog
from hitofude.learning.member import MemberProbabilities, MemberRunner
from hitofude.learning.messages import Message, Tensors, receive, send, unpack_job

Requests = queue.Queue[tuple[Message, Tensors]]

SECONDS_BETWEEN_REPORTS = 0.2


class Reporter:
    """An observer that passes everything on as messages; batches now and then, summed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._images = 0
        self._reported = time.monotonic()

    def member_started(self, member: int, epochs: int, epochs_done: int) -> None:
        self._send("member_started", member=member, epochs=epochs, epochs_done=epochs_done)

    def batch_finished(self, images: int) -> None:
        self._images += images
        if time.monotonic() - self._reported > SECONDS_BETWEEN_REPORTS:
            self._report_images()

    def epoch_finished(self, log: EpochLog) -> None:
        self._report_images()
        self._send("epoch_finished", log=asdict(log))

    def warned(self, message: str) -> None:
        self._send("warned", message=message)

    def member_finished(self, member: int, probabilities: MemberProbabilities) -> None:
        tensors = {"held_out": torch.from_numpy(probabilities.held_out)}
        if probabilities.test is not None:
            tensors["test"] = torch.from_numpy(probabilities.test)
        send(self._stream, {"event": "member_finished", "member": member}, tensors)

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


def work(requests: Requests, reporter: Reporter) -> None:
    """Make members, as they are asked for."""
    message, tensors = requests.get()
    _log_to(reporter, message["log_level"])
    job = unpack_job(message, tensors)
    runner = MemberRunner(job, reporter)
    plans = {plan.member: plan for plan in job.plans}
    while True:
        message, _ = requests.get()
        reporter.member_finished(message["member"], runner.run(plans[message["member"]]))


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
    logger.addHandler(_Forwarder(reporter))


def main() -> None:
    """Standard input holds requests, standard output events; what else is printed goes to standard error."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: Requests = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    reporter = Reporter(events)
    try:
        work(requests, reporter)
    except Exception as error:
        reporter.failed(error)
        sys.exit(1)


def _listen(stream: BinaryIO, requests: Requests) -> None:
    while (request := receive(stream)) is not None:
        requests.put(request)
    os._exit(0)


if __name__ == "__main__":
    main()
