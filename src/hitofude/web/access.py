"""Who may ask: the names that the server is asked by, pages of its own only, and a token beyond the loopback.

A page of another site that is open in the same browser can send requests to the loopback address, and by DNS rebinding
can even read the answers under a name of its own. The former says its Origin, the latter its Host; both are refused.
"""

import hmac
import ipaddress
import urllib.parse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hitofude.web.refusal import Refusal
from hitofude.web.settings import Settings

if TYPE_CHECKING:
    from starlette.types import Scope

COOKIE = b"hitofude_token"
OPEN_PATHS = frozenset({"/healthz"})
"""Answered without a token."""
FOREIGN_HOST = Refusal(
    403, "The server is not asked by this name. Start it with --allow-host NAME to allow the Host header's name."
)
FOREIGN_ORIGIN = Refusal(403, "A page of another site asks. Only the server's own pages may.")
NO_TOKEN = Refusal(
    401,
    "A token is needed. Open the address that hitofude serve printed, or send the header Authorization: Bearer TOKEN.",
    ((b"www-authenticate", b"Bearer"),),
)


class Access:
    """Decides on each request before anything of it but its head is read."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.host_names
        self._any_address = settings.is_everywhere
        self._token = None if settings.token is None else settings.token.encode()

    def refusal(self, scope: "Scope", headers: Mapping[bytes, bytes]) -> Refusal | None:
        """Why it may not be answered; None where it may. Also the redirect of a visit that brings the token."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_ours(host):
            return FOREIGN_HOST
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in (f"http://{host}", f"https://{host}"):
            return FOREIGN_ORIGIN
        if self._token is None or scope["path"] in OPEN_PATHS or self._is_known(headers):
            return None
        return self._welcome(scope) or NO_TOKEN

    def _is_ours(self, host: str) -> bool:
        name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.split(":")[0]
        return name in self._names or (self._any_address and _is_address(name))

    def _is_known(self, headers: Mapping[bytes, bytes]) -> bool:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return (scheme.lower() == b"bearer" and self._matches(given.strip())) or self._matches(_cookie(headers))

    def _welcome(self, scope: "Scope") -> Refusal | None:
        """The answer to http://HOST/?token=TOKEN: the token goes into a cookie, and out of the address."""
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        given = query.get("token", [""])[0].encode()
        if scope["method"] != "GET" or not self._matches(given):
            return None
        bare = "/" + urllib.parse.quote(scope["path"].lstrip("/\\"))  # //host would lead to another server
        cookie = COOKIE + b"=" + given + b"; HttpOnly; SameSite=Strict; Path=/"
        return Refusal(303, "Go on without the token.", ((b"location", bare.encode()), (b"set-cookie", cookie)))

    def _matches(self, given: bytes) -> bool:
        return self._token is not None and hmac.compare_digest(given, self._token)


def _is_address(name: str) -> bool:
    """A browser that names a bare address was led there by no foreign name."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _cookie(headers: Mapping[bytes, bytes]) -> bytes:
    for part in headers.get(b"cookie", b"").split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name == COOKIE:
            return value
    return b""
