"""What stands before the application: every request judged, every body bounded, every answer with its headers.

Plain ASGI: a layer of Starlette's BaseHTTPMiddleware costs as much as all of these together.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from hitofude.web.access import Access
from hitofude.web.refusal import FAILED, SAFE_HEADERS, Refusal, RefusedError, refuse
from hitofude.web.settings import Limits, Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

TOO_SLOW = Refusal(408, "The body of the request did not arrive in time.")
NO_LENGTH = Refusal(400, "The header Content-Length is no number.")
MOST_DIGITS = 18
"""Of a length; Python refuses to read numbers of thousands."""


class Guard:
    """Refuses who may not ask; puts the headers on every answer; what fails is answered without saying how."""

    def __init__(self, app: "ASGIApp", settings: Settings) -> None:
        self._app, self._access = app, Access(settings)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        refusal = self._access.refusal(scope, dict(scope["headers"]))
        if refusal is not None:
            await refuse(refusal, receive, answer.send)
            return
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            logger.exception("a request failed")
            if answer.has_begun:
                raise  # the server then cuts the connection, so that half an answer is not taken for a whole one
            await refuse(FAILED, receive, answer.send, more_comes=False)


class _Answer:
    """An answer on its way out, with the headers of every answer."""

    def __init__(self, send: "Send") -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: "Message") -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = list(message.get("headers", ()))
            named = {name for name, _ in headers}
            headers += [header for header in SAFE_HEADERS if header[0] not in named]
            message = {**message, "headers": headers}
        await self._send(message)


class BodyLimit:
    """Reads a body to its end before the application has it: bounded in bytes and in time, however it is sent."""

    def __init__(self, app: "ASGIApp", limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._too_large = Refusal(
            413, f"The body is larger than {limits.body_bytes:,} bytes. Send less; of a picture, a smaller one."
        )

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(dict(scope["headers"]), receive)
        except RefusedError as error:
            await refuse(error.refusal, receive, send)
            return
        if body is not None:
            await self._app(scope, _replayed(body, receive), send)

    async def _read(self, headers: dict[bytes, bytes], receive: "Receive") -> bytes | None:
        """The body; None where the client went away. Raises RefusedError."""
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit():
            raise RefusedError(NO_LENGTH)
        if len(declared) > MOST_DIGITS or int(declared) > self._limits.body_bytes:
            raise RefusedError(self._too_large)
        if declared == b"0" and b"transfer-encoding" not in headers:
            return b""
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await self._read_to_its_end(receive)
        except TimeoutError:
            raise RefusedError(TOO_SLOW) from None

    async def _read_to_its_end(self, receive: "Receive") -> bytes | None:
        parts, size = [], 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._limits.body_bytes:
                raise RefusedError(self._too_large)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def _replayed(body: bytes, receive: "Receive") -> "Receive":
    """What the application receives: the body at once, then what else comes."""
    left = [body]

    async def again() -> "Message":
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again
