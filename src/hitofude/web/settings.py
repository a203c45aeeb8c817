"""The settings of a server: its address, its access control and its limits."""

import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from hitofude.errors import UserError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
TOKEN_FORM = re.compile(r"[A-Za-z0-9._~-]{16,200}")


@dataclass(frozen=True)
class Limits:
    """Limits in size, number and time. A client beyond one is refused or cut off."""

    body_bytes: int = 1_000_000
    header_seconds: float = 10
    """From the beginning of the connection, or the previous answer, to the end of a request's head."""
    idle_seconds: int = 5
    """Between two requests."""
    body_seconds: float = 15
    send_seconds: float = 20
    """For a client to read its answer."""
    shutdown_seconds: int = 10
    """For requests in flight when the server is asked to end."""
    connections: int = 128
    spare_connections: int = 32
    """Further connections, on which only /healthz is answered."""
    waiting_images: int = 512
    batch_images: int = 64
    waiting_pictures: int = 4
    picture_pixels: int = 16_000_000
    picture_digits: int = 100
    waiting_corrections: int = 32
    corrections: int = 10_000


@dataclass(frozen=True)
class Settings:
    """The server's address and access control.

    token: the clients' secret; None asks for none. allowed_hosts: further names of the server, such as a proxy's.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    corrections: Path = Path("corrections")
    limits: Limits = Limits()

    @property
    def host_names(self) -> frozenset[str]:
        """The names that a Host header may have, besides any bare address if the server listens everywhere."""
        own = LOOPBACK_NAMES if is_loopback(self.host) or self.is_everywhere else frozenset()
        return own | {_in_brackets(name.lower()) for name in (self.host, *self.allowed_hosts)}

    @property
    def is_everywhere(self) -> bool:
        """Whether the server listens on all addresses of the machine."""
        address = parse_address(self.host)
        return address is not None and address.is_unspecified


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    address = parse_address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def choose_token(host: str, given: str | None) -> str | None:
    """Return the given token, else a new one if other machines can reach the host, else None.

    Raises UserError for a token that is short, or that a URL cannot hold.
    """
    if given is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    if TOKEN_FORM.fullmatch(given) is None:
        raise UserError(
            "--token: expected 16 to 200 letters, digits and any of . _ ~ -. Leave it out to have a safe one made."
        )
    return given


def url_of(host: str, port: int, token: str | None) -> str:
    """Return the address to open: the loopback's if the server listens everywhere."""
    address = parse_address(host)
    if address is not None and address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    query = "" if token is None else f"?token={token}"
    return f"http://{_in_brackets(host)}:{port}/{query}"


def parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address, or None if the host is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _in_brackets(host: str) -> str:
    """Put an IPv6 address into brackets, as URLs and the Host header do."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
