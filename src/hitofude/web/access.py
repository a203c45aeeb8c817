"""Access control: allowed host names, same-origin pages only, and a token beyond the loopback.

A page of another site that is open in the same browser can send requests to the loopback address, and by DNS rebinding
it can even read the answers, under a host name of its own. The former shows in the header Origin, the latter in Host.
"""

import hmac
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import cookie_parser

from hitofude.web.refusal import Refusal
from hitofude.web.settings import Settings, parse_address

if TYPE_CHECKING:
    from starlette.types import Scope

COOKIE = "hitofude_token"
OPEN_PATHS = frozenset({"/healthz"})
"""Paths that need no token."""
FOREIGN_HOST = Refusal(403, "This Host header is not allowed. Start the server with --allow-host NAME to allow it.")
FOREIGN_ORIGIN = Refusal(403, "The request comes from a page of another site. Only the server's own pages may ask.")
NO_TOKEN = Refusal(
    401,
    "A token is needed. Open the address that hitofude serve printed, or send the header Authorization: Bearer TOKEN.",
    ((b"www-authenticate", b"Bearer"),),
)


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
