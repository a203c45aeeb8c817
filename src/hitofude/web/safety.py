"""ASGI middleware before the application: access control, safe headers on every answer, bounded bodies.

It is plain ASGI: one layer of Starlette's BaseHTTPMiddleware costs as much as all of this.
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
"""The limit for a length: Python refuses to parse numbers of thousands of digits."""


class Guard:
    """Refuses forbidden requests, adds the headers of every answer, and answers a failure without its reason."""

    def __init__(self, app: "ASGIApp", settings: Settings) -> None:
        self._app, self._access = app, Access(settings)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def send_safely(message: "Message") -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                message = {
                    **message,
                    "headers": headers + [header for header in SAFE_HEADERS if header[0] not in names],
                }
            await send(message)

        refusal = self._access.refusal(scope, dict(scope["headers"]))
        if refusal is not None:
            await refuse(refusal, receive, send_safely)
            return
        try:
            await self._app(scope, receive, send_safely)
        except Exception:
            logger.exception("a request failed")
            if has_begun:
                raise  # the server then cuts the connection, so that half an answer is not taken for a whole one
            await refuse(FAILED, receive, send_safely, more_comes=False)


class BodyLimit:
    """Reads the whole body before the application does, bounded in bytes and time, however it is sent."""

    def __init__(self, app: "ASGIApp", limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._too_large = Refusal(
            413, f"The body is larger than {limits.body_bytes:,} bytes. Send fewer images, or a smaller picture."
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
        """Return the body, or None if the client has gone. Raises RefusedError."""
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
        body = bytearray()
        while (message := await receive())["type"] != "http.disconnect":
            body += message.get("body", b"")
            if len(body) > self._limits.body_bytes:
                raise RefusedError(self._too_large)
            if not message.get("more_body", False):
                return bytes(body)
        return None


def _replayed(body: bytes, receive: "Receive") -> "Receive":
    """Return a channel that gives the application the whole body first, and then what else the client sends."""
    left = [body]

    async def receive_again() -> "Message":
        return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

    return receive_again
