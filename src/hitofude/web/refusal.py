"""Saying no: the same headers on every answer, and an answer that a client can read before it is cut."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Send

LINGER_SECONDS, LINGER_BYTES = 1.0, 8_000_000
"""How long, and how much, is still read of a client that was refused: one that only writes would see its connection
reset, and never the answer."""
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
"""Of every answer; one that names one of them itself keeps its own."""
RETRY_AFTER = "1"
"""Seconds; what waits when the server is overloaded is computed in less."""


@dataclass(frozen=True)
class Refusal:
    """An answer without the application. detail: for people."""

    status: int
    detail: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def body(self) -> bytes:
        return json.dumps({"detail": self.detail}, ensure_ascii=False).encode()

    @property
    def all_headers(self) -> list[tuple[bytes, bytes]]:
        """The connection ends with the answer: who was refused may be in the middle of a body."""
        own = [(b"content-type", b"application/json"), (b"content-length", str(len(self.body)).encode())]
        return [*own, (b"connection", b"close"), *self.headers, *SAFE_HEADERS]


class RefusedError(Exception):
    """Raised where a request is read and not to be answered further."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


class OverloadedError(Exception):
    """Too much waits already."""


OVERLOADED = Refusal(
    503, "The server has more to do than it can. Try again in a second.", ((b"retry-after", RETRY_AFTER.encode()),)
)
FAILED = Refusal(500, "The server failed at this; what went wrong stands in its terminal.")


async def refuse(refusal: Refusal, receive: "Receive", send: "Send", *, more_comes: bool = True) -> None:
    """Answer, let the client come to an end of its body for a moment, and close the connection.

    more_comes: whether its body was not read to its end. What still comes is discarded by the protocol.
    """
    await send({"type": "http.response.start", "status": refusal.status, "headers": refusal.all_headers})
    await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
    if more_comes:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _end_of(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _end_of(receive: "Receive") -> None:
    while (message := await receive())["type"] != "http.disconnect" and message.get("more_body", False):
        pass
