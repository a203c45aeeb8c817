"""HTTP as uvicorn speaks it, but with an end to the patience: for the head of a request, and for reading an answer.

uvicorn waits forever for a client that begins a request and does not go on, and for one that does not read.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from hitofude.web.access import OPEN_PATHS
from hitofude.web.refusal import LINGER_BYTES, OVERLOADED, Refusal, refuse
from hitofude.web.settings import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MALFORMED = Refusal(400, "This is no HTTP request.")
NO_HEAD = Refusal(408, "The head of the request did not arrive in time.")


SEND_BUFFER = 128 * 1024
"""Bytes; no answer of the API to a drawing, and no file of the page, is as large."""


class LimitedConfig(uvicorn.Config):
    """uvicorn's settings, and our limits."""

    limits = Limits()


class PatientProtocol(H11Protocol):
    """One connection."""

    _head_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None
    _discarded = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # so that we are told of anything that the client has not read
        # asyncio does so itself only where the socket names its protocol; without it an answer waits 40 ms for an ACK
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # else the system takes megabytes of answers for a client that asks on and on and reads none
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        others = len(self.connections) - 1
        if others >= self._limits.connections + self._limits.spare_connections:
            transport.abort()
            return
        if others >= self._limits.connections:
            self.app = cast("uvicorn._types.ASGI3Application", _only_health(cast("ASGIApp", self.app)))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_awaiting_head()
        self._stop_awaiting_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            self._discarded += len(data)
            if self._discarded > LINGER_BYTES:
                self.transport.abort()
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_awaiting_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._send_timer is None:
            self._send_timer = self.loop.call_later(self._limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_awaiting_reader()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        self._end_with(MALFORMED)

    @property
    def _is_refused(self) -> bool:
        """Whether an answer that ends the connection is under way while the body still comes, which nobody reads."""
        is_answered = self.cycle is not None and self.cycle.response_started and not self.cycle.keep_alive
        return is_answered and self.conn.their_state is h11.SEND_BODY

    @property
    def _limits(self) -> Limits:
        return cast("LimitedConfig", self.config).limits

    def _await_head(self) -> None:
        self._stop_awaiting_head()
        self._head_timer = self.loop.call_later(self._limits.header_seconds, self._end_waiting)

    def _stop_awaiting_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_awaiting_reader(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _end_waiting(self) -> None:
        """A client that has begun a request is told; one that has said nothing is not."""
        if self.conn.trailing_data[0]:
            self._end_with(NO_HEAD)
        else:
            self.transport.close()

    def _end_with(self, refusal: Refusal) -> None:
        """Answer beside the application, and close."""
        if self.transport.is_closing():
            return
        head = h11.Response(status_code=refusal.status, headers=refusal.all_headers)
        events = (head, h11.Data(data=refusal.body), h11.EndOfMessage())
        self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()


def _only_health(app: "ASGIApp") -> "ASGIApp":
    """For a connection beyond those that are served: whether the server lives, it says even then."""

    async def answer(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            await refuse(OVERLOADED, receive, send)
        else:
            await app(scope, receive, send)

    return answer
