"""One file from one address: over HTTPS, its rest where a part is there, bounded in size, time and slowness.

What arrives is not trusted here: who asked checks the whole.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from hitofude.storage import explaining_os_errors
from hitofude.version import __version__

BUFFER = 1 << 16
LOOPBACK = ("127.0.0.1", "::1")
HEADERS = {"User-Agent": f"hitofude/{__version__}", "Accept-Encoding": "identity"}

Report = Callable[[int], None]
"""Told how many bytes of the file are there."""


class MirrorError(Exception):
    """Why a mirror did not give the file."""


class ConnectionCutError(MirrorError):
    """The connection ended before the file; another attempt may bring the rest."""


class TooSlowError(MirrorError):
    """Another mirror may be quicker."""


@dataclass(frozen=True)
class Limits:
    """How long a mirror may take."""

    timeout: float = 20
    """Seconds to connect, and between two pieces."""
    slowest: float = 20_000
    """Bytes a second, on average over `patience` seconds."""
    patience: float = 15
    pause: float = 1
    """Seconds before another attempt at the same mirror."""


DEFAULT_LIMITS = Limits()


def receive(url: str, part: Path, size: int, limits: Limits, report: Report, *, hurried: bool) -> None:
    """Append to `part` what is missing of the file's `size` bytes; never more.

    Only https is spoken, and http with a literal loopback address, which goes through no proxy; a redirect may not lead
    from the one to the other. hurried: a mirror slower than the limits is left.

    Raises MirrorError when the file is not whole then; OutOfResourcesError or RunFolderError when it cannot be written.
    """
    with explaining_os_errors(part, size):
        have = part.stat().st_size if part.exists() else 0
    with _connected(url, have, limits.timeout) as response:
        have = _first_byte(response, have, size)
        with explaining_os_errors(part, size), part.open("ab") as stream:
            stream.truncate(have)
            for piece in _pieces(response, limits, hurried=hurried):
                if have + len(piece) > size:
                    raise MirrorError(f"it sends more than the file's {size:,} bytes")
                stream.write(piece)
                stream.flush()  # so that it outlives this process
                have += len(piece)
                report(have)
                if have == size:
                    return
    raise ConnectionCutError(f"the connection ended after {have:,} of {size:,} bytes")


def check_address(url: str, *, on_loopback: bool) -> None:
    """Raises MirrorError for anything but https, or, on a loopback address, http."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (on_loopback and parts.scheme == "http" and is_loopback(url)):
        raise MirrorError(f"it leads to {parts.scheme or 'no'}://{parts.hostname or ''}, and only https is allowed")


def is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in LOOPBACK


class _Redirects(HTTPRedirectHandler):
    """Follows a few redirects, none to an address that may not be asked."""

    max_redirections = 5

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            check_address(newurl, on_loopback=is_loopback(req.full_url))
        except MirrorError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(*, on_loopback: bool) -> OpenerDirector:
    """Speaks http and https and nothing else, through the proxies that the environment names."""
    opener = OpenerDirector()
    proxies = ProxyHandler({}) if on_loopback else ProxyHandler()
    for handler in (
        proxies, HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), _Redirects(), HTTPErrorProcessor()
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener


@contextmanager
def _connected(url: str, have: int, timeout: float) -> Iterator[HTTPResponse]:
    """The answer to a request for all bytes from `have` on. Raises MirrorError where there is none."""
    check_address(url, on_loopback=True)
    asked = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    try:
        request = Request(url, headers=asked)  # noqa: S310 - the address is checked
        response = _opener(on_loopback=is_loopback(url)).open(request, timeout=timeout)
    except HTTPError as error:
        with error:
            raise MirrorError(f"it answered {error.code} {error.reason}".rstrip()) from None
    except URLError as error:
        raise MirrorError(f"no connection: {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ConnectionCutError(f"no answer: {_describe(error)}") from None
    with response:
        yield response


def _first_byte(response: HTTPResponse, have: int, size: int) -> int:
    """Where in the file the answer begins: at `have`, or at 0 from a server that knows no ranges."""
    begins = have if response.status == 206 else 0
    if response.status not in (200, 206):
        raise MirrorError(f"it answered {response.status} {response.reason}")
    if response.status == 206:
        found = response.headers.get("Content-Range", "")
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", found)
        if part is None or int(part[1]) != have or part[2] not in ("*", str(size)):
            raise MirrorError(f"asked for the bytes from {have:,} of {size:,} on, it answered with '{found}'")
    announced = response.headers.get("Content-Length", str(size - begins))
    if announced != str(size - begins):
        raise MirrorError(f"it announces {announced} bytes, expected {size - begins}")
    return begins


def _pieces(response: HTTPResponse, limits: Limits, *, hurried: bool) -> Iterator[bytes]:
    """What arrives, as it arrives."""
    started, received = time.monotonic(), 0
    while True:
        try:
            piece = response.read1(BUFFER)
        except (OSError, HTTPException, ValueError) as error:
            raise ConnectionCutError(f"the connection broke: {_describe(error)}") from None
        if not piece:
            return
        yield piece
        received += len(piece)
        seconds = time.monotonic() - started
        if seconds >= limits.patience:
            if hurried and received < limits.slowest * seconds:
                raise TooSlowError(f"too slow: {received / seconds:,.0f} bytes a second")
            started, received = time.monotonic(), 0


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__
