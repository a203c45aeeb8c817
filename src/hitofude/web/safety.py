"""ASGI middleware before the application: access control, refusals, safe headers on every answer, bounded bodies.

It is plain ASGI: one layer of Starlette's BaseHTTPMiddleware costs as much as all of this.

A page of another site that is open in the same browser can send requests to the loopback address, and by DNS rebinding
it can even read the answers, under a host name of its own. The former shows in the header Origin, the latter in Host.
"""

import asyncio
import hmac
import json
import logging
import urllib.parse
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import cookie_parser

from hitofude.web.settings import Limits, Settings, parse_address

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

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
COOKIE = "hitofude_token"
OPEN_PATHS = frozenset({"/healthz"})
"""Paths that need no token."""
MOST_DIGITS = 18
"""The limit for a length: Python refuses to parse numbers of thousands of digits."""


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
FOREIGN_HOST = Refusal(403, "This Host header is not allowed. Start the server with --allow-host NAME to allow it.")
FOREIGN_ORIGIN = Refusal(403, "The request comes from a page of another site. Only the server's own pages may ask.")
NO_TOKEN = Refusal(
    401,
    "A token is needed. Open the address that hitofude serve printed, or send the header Authorization: Bearer TOKEN.",
    ((b"www-authenticate", b"Bearer"),),
)
TOO_SLOW = Refusal(408, "The body of the request did not arrive in time.")
NO_LENGTH = Refusal(400, "The header Content-Length is no number.")


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


class Access:
    """Decides on a request by its head alone."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.host_names
        self._any_address = settings.is_everywhere
        self._token = None if settings.token is None else settings.token.encode()

    def refusal(self, scope: "Scope", headers: Mapping[bytes, bytes]) -> Refusal | None:
        """Return the reason to refuse a request, or None. A visit that brings the token by URL is redirected."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_allowed(host):
            return FOREIGN_HOST
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}"):
            return FOREIGN_ORIGIN
        if self._token is None or scope["path"] in OPEN_PATHS or self._has_token(headers):
            return None
        return self._redirect(scope) or NO_TOKEN

    def _is_allowed(self, host: str) -> bool:
        """Any bare address is allowed if the server listens everywhere: no foreign name led a browser there."""
        name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.split(":")[0]
        return name in self._names or (self._any_address and parse_address(name.strip("[]")) is not None)

    def _has_token(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        cookie = cookie_parser(headers.get(b"cookie", b"").decode("latin-1")).get(COOKIE, "")
        return (scheme.lower() == b"bearer" and self._matches(given.strip())) or self._matches(cookie.encode())

    def _redirect(self, scope: "Scope") -> Refusal | None:
        """Answer http://HOST/PATH?token=TOKEN: move the token from the address into a cookie."""
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        given = query.get("token", [""])[0].encode()
        if scope["method"] != "GET" or not self._matches(given):
            return None
        bare = "/" + urllib.parse.quote(scope["path"].lstrip("/\\"))  # //host would lead to another server
        cookie = COOKIE.encode() + b"=" + given + b"; HttpOnly; SameSite=Strict; Path=/"
        return Refusal(303, "Continue without the token.", ((b"location", bare.encode()), (b"set-cookie", cookie)))

    def _matches(self, given: bytes) -> bool:
        return self._token is not None and hmac.compare_digest(given, self._token)


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
                names = {name for name, _ in message["headers"]}
                added = [header for header in SAFE_HEADERS if header[0] not in names]
                message = {**message, "headers": [*message["headers"], *added]}
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
