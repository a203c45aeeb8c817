"""The worker process's side of the protocol: requests arrive on standard input, events leave on standard output.

A worker process ends as soon as its standard input ends, so no work goes on after the driver was killed.
"""

import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

from hitofude.errors import UserError, describe_places
from hitofude.workers.messages import Event, Message, receive, send

Requests = queue.Queue[tuple[Message, bytes]]

SECONDS_BETWEEN_REPORTS = 0.2


class Reporter:
    """A sender of events to the driver. Images are summed up and reported a few times a second."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._images = 0
        self._reported = time.monotonic()

    def send(self, event: Event, content: bytes = b"", **fields: object) -> None:
        """Send an event with its fields and its content."""
        send(self._stream, {"event": event} | fields, content)

    def batch_finished(self, images: int) -> None:
        """Count the images of a batch."""
        self._images += images
        if time.monotonic() - self._reported > SECONDS_BETWEEN_REPORTS:
            self.report_images()

    def report_images(self) -> None:
        """Report the images counted since the last report."""
        self.send(Event.BATCH_FINISHED, images=self._images)
        self._images, self._reported = 0, time.monotonic()

    def warned(self, message: str) -> None:
        self.send(Event.WARNED, message=message)

    def finished(self, content: bytes = b"", **fields: object) -> None:
        """Report that the task is done, with its result."""
        self.send(Event.FINISHED, content, **fields)

    def failed(self, error: Exception) -> None:
        """Report a user's error by its kind, any other error as a bug."""
        if isinstance(error, UserError):
            self.send(Event.FAILED, kind=type(error).__name__, message=str(error))
        else:
            text = "A worker process failed:\n" + "".join(traceback.format_exception(error))
            self.send(Event.FAILED, kind=None, message=text, places=describe_places(error))


SomeReporter = TypeVar("SomeReporter", bound=Reporter)


class _Forwarder(logging.Handler):
    """A handler that sends log records to the driver."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        self._reporter.send(Event.LOGGED, logger=record.name, level=record.levelno, text=record.getMessage())


def forward_logs(reporter: Reporter, level: int) -> None:
    """Send this process's log records from `level` up to the driver."""
    logger = logging.getLogger("hitofude")
    logger.setLevel(level)
    if not any(isinstance(handler, _Forwarder) for handler in logger.handlers):
        logger.addHandler(_Forwarder(reporter))


@contextmanager
def answering(make_reporter: Callable[[BinaryIO], SomeReporter]) -> Iterator[tuple[Requests, SomeReporter]]:
    """Yield the queue of requests and the reporter of events; other output goes to standard error.

    An error in the block is reported, and the process ends with exit code 1.
    """
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests: Requests = queue.Queue()
    threading.Thread(target=_read_requests, args=(sys.stdin.buffer, requests), daemon=True).start()
    reporter = make_reporter(events)
    try:
        yield requests, reporter
    except Exception as error:
        reporter.failed(error)
        sys.exit(1)


def _read_requests(stream: BinaryIO, requests: Requests) -> None:
    while (request := receive(stream)) is not None:
        requests.put(request)
    os._exit(0)
