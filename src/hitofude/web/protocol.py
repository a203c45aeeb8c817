"""uvicorn's HTTP protocol with time limits for the head of a request and for reading an answer.

uvicorn's own settings limit idle connections (timeout_keep_alive) and the shutdown, but it waits forever for a client
that begins a request and does not finish its head, and for one that does not read. Its limit_concurrency would refuse
/healthz as well. What this needs of uvicorn beyond its documentation is `app`, `conn`, `connections`,
`on_response_complete` and `send_400_response`; tests/web/test_protocol.py names the version that was checked.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hitofude.web.safety import OPEN_PATHS, OVERLOADED, Refusal, refuse
from hitofude.web.settings import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn._types import ASGI3Application

MALFORMED = Refusal(400, "This is no HTTP request.")
NO_HEAD = Refusal(408, "The head of the request did not arrive in time.")
SEND_BUFFER = 128 * 1024
"""Bytes; larger than any answer of the API to a drawing, and than any file of the page."""


class LimitedProtocol(H11Protocol):
    """One connection. A server sets its own limits in a subclass."""

    limits = Limits()
    _head_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # pause_writing reports anything that the client has not read
        # asyncio does so itself only if the socket names its protocol; without it an answer waits 40 ms for an ACK
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # else the system buffers megabytes of answers for a client that asks again and again and reads none
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        others = len(self.connections) - 1
        if others >= self.limits.connections + self.limits.spare_connections:
            transport.abort()
            return
        if others >= self.limits.connections:
            self.app = cast("ASGI3Application", _only_health(cast("ASGIApp", self.app)))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        _cancel(self._head_timer)
        _cancel(self._send_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            _cancel(self._head_timer)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._await_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer = self.loop.call_later(self.limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._send_timer)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own message
        self._end_with(MALFORMED)

    def _await_head(self) -> None:
        _cancel(self._head_timer)
        self._head_timer = self.loop.call_later(self.limits.header_seconds, self._give_up_on_head)

    def _give_up_on_head(self) -> None:
        """Answer a client that has begun a request; close the connection of one that has sent nothing."""
        if self.conn.trailing_data[0]:
            self._end_with(NO_HEAD)
        else:
            self.transport.close()

    def _end_with(self, refusal: Refusal) -> None:
        """Answer without the application, unless it has begun to answer, and close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self.transport.is_closing():
            head = h11.Response(status_code=refusal.status, headers=refusal.all_headers)
            events = (head, h11.Data(data=refusal.body), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
        self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _only_health(app: "ASGIApp") -> "ASGIApp":
    """Refuse everything but /healthz, on a connection beyond the limit."""

    async def answer(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            await refuse(OVERLOADED, receive, send)
        else:
            await app(scope, receive, send)

    return answer
