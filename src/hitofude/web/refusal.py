"""Refusals: the same headers on every answer, and time for the client to read it before the connection closes."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Send

LINGER_SECONDS, LINGER_BYTES = 1.0, 8_000_000
"""How long, and how much, the server still reads after a refusal: a client that is only writing would see a reset, and
never the answer."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SAFE_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""On every answer that does not set them itself."""
RETRY_AFTER = "1"
"""Seconds; a full queue is computed in less."""


@dataclass(frozen=True)
class Refusal:
    """An answer without the application. detail: the message for people."""

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def body(self) -> bytes:
        return json.dumps({"detail": self.detail}, ensure_ascii=False).encode()

    @property
    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """The answer closes the connection: the client may be in the middle of a body."""
        own = [(b"content-type", b"application/json"), (b"content-length", str(len(self.body)).encode())]
        return [*own, (b"connection", b"close"), *self.headers, *SAFE_HEADERS]


class RefusedError(Exception):
    """The request is not to be read further."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class OverloadedError(Exception):
    """Too much waits already."""


OVERLOADED = Refusal(503, "The server is overloaded. Try again in a second.", ((b"retry-after", RETRY_AFTER.encode()),))
FAILED = Refusal(500, "The server failed at this request; its terminal shows why.")


async def refuse(refusal: Refusal, receive: "Receive", send: "Send", *, more_comes: bool = True) -> None:
    """Answer, discard the rest of the body for a moment, and close the connection.

    more_comes: whether the body was not read to its end.
    """
    await send({"type": "http.response.start", "status": refusal.status, "headers": refusal.all_headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
    if more_comes:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _discard(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: "Receive") -> None:
    discarded = 0
    while discarded <= LINGER_BYTES:
        message = await receive()
        discarded += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
