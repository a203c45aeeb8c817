"""The server: it listens, says where, serves, and ends when it is asked to, after the answers that are under way."""

import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

from hitofude.errors import UserError
from hitofude.web.protocol import LimitedConfig, PatientProtocol
from hitofude.web.settings import Settings, url_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp

Announce = Callable[[str], None]
BACKLOG = 512
HIGHEST_PORT = 65_535


def serve(app: "ASGIApp", settings: Settings, announce: Announce) -> None:
    """Serve until SIGINT or SIGTERM; both are a good end. announce is told the address when it is answered.

    Raises UserError where it cannot listen there.
    """
    with listening(settings.host, settings.port) as listener:
        url = url_of(settings.host, listener.getsockname()[1], settings.token)
        Server(app, settings, lambda: announce(url)).run(sockets=[listener])


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket; port 0 is any free one. Raises UserError with what to do where that cannot be."""
    if not 0 <= port <= HIGHEST_PORT:  # the system would take what is left of it by 65,536
        raise UserError(f"--port {port}: expected a number from 0 to {HIGHEST_PORT}.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(found[4][:2], family=found[0], backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        raise UserError(_why_not(error, host, port)) from None
    with listener:
        yield listener


def _why_not(error: Exception, host: str, port: int) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Choose another with --port, or --port 0 for any that is free."
    if number == errno.EACCES:
        return f"Port {port} is for the system only. Choose one from 1024 up with --port."
    return f"--host {host}: this is no address of this machine. Use 127.0.0.1, one of its own, or 0.0.0.0 for all."


class Server(uvicorn.Server):
    """uvicorn's, patient within limits, and quiet. started: called when requests are answered."""

    def __init__(self, app: "ASGIApp", settings: Settings, started: Callable[[], None]) -> None:
        limits = settings.limits
        config = LimitedConfig(
            app, http=PatientProtocol, ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=limits.idle_seconds,
            timeout_graceful_shutdown=limits.shutdown_seconds,
        )  # fmt: skip
        config.limits = limits
        super().__init__(config)
        self._started = started
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # clients' mistakes; our own are logged by the guard

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn, which then raises the signal again: to end because one was asked to is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
