"""The server: it listens, and ends on a signal, after the answers in progress."""

import contextlib
import errno
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from hitofude.errors import UserError
from hitofude.web.protocol import LimitedProtocol
from hitofude.web.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

BACKLOG = 512
HIGHEST_PORT = 65_535


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a socket; port 0 is any free one. Raises UserError with a remedy if that is impossible."""
    if not 0 <= port <= HIGHEST_PORT:  # the system would take it modulo 65,536
        raise UserError(f"--port {port}: expected a number from 0 to {HIGHEST_PORT}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(found[4][:2], family=found[0], backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise UserError(_explain(error, host, port)) from None
    with listener:
        yield listener


def _explain(error: Exception, host: str, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Choose another with --port, or --port 0 for any that is free."
    if number == errno.EACCES:
        return f"Port {port} is reserved for the system. Choose one from 1024 up with --port."
    return f"--host {host}: this is no address of this machine. Use 127.0.0.1, one of its own, or 0.0.0.0 for all."


class Server(uvicorn.Server):
    """uvicorn's server with our limits, and quiet. started: called when requests are answered."""

    def __init__(self, app: "ASGIApp", settings: Settings, started: Callable[[], None]) -> None:
        class Protocol(LimitedProtocol):
            limits = settings.limits

        super().__init__(
            uvicorn.Config(
                app, http=Protocol, ws="none", lifespan="off", log_config=None, access_log=False,
                server_header=False, proxy_headers=False, timeout_keep_alive=settings.limits.idle_seconds,
                timeout_graceful_shutdown=settings.limits.shutdown_seconds,
            )
        )  # fmt: skip
        self._started = started
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # clients' mistakes; the guard logs our own

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Do as uvicorn does, but do not raise the signal again at the end: an end on request is no failure."""
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True
