"""Download published files by pooch from any of several mirrors into a cache, checked by their SHA-256.

pooch and requests are imported when something is fetched, not before.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from hitofude.borrowed import only_from
from hitofude.errors import InputError, RunFolderError
from hitofude.storage import explaining_os_errors, owning
from hitofude.version import __version__

if TYPE_CHECKING:
    from rich.progress import Progress

CACHE_VARIABLE = "HITOFUDE_CACHE"
MINUTES_FOR_ANOTHER_PROCESS = 15
TIMEOUT = 20.0  # seconds to connect, and between two packets
MIN_SPEED, PATIENCE = 20_000, 15.0  # a mirror with fewer bytes a second, after these seconds, is left for the next one
CHUNK = 4096
LOOPBACK = ("127.0.0.1", "::1")

logger = logging.getLogger(__name__)


class MirrorError(Exception):
    """The reason a mirror did not deliver a file."""


class TemporaryError(MirrorError):
    """A second request may succeed."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file and its mirrors."""

    name: str
    size: int  # in bytes
    sha256: str
    urls: tuple[str, ...]  # the mirrors, the preferred ones first

    def is_at(self, path: Path) -> bool:
        """Whether the path holds exactly this file. Raises InputError if it cannot be read."""
        try:
            if not path.is_file() or path.stat().st_size != self.size:
                return False
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None


def cache_folder() -> Path:
    """Return HITOFUDE_CACHE, or a folder in the operating system's cache."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder).expanduser()
    import pooch

    return Path(pooch.os_cache("hitofude"))


def fetch_all(files: Sequence[RemoteFile], folder: Path) -> None:
    """Fetch the files that are missing from the folder, one process at a time, with a progress bar on a terminal.

    Raises InputError if no mirror delivers a file, with the reason of each and the folder to put the file into by hand;
    OutOfResourcesError if the disk is full.
    """
    missing = [file for file in files if not file.is_at(folder / file.name)]
    if not missing:
        return
    try:
        with owning(folder, wait=60 * MINUTES_FOR_ANOTHER_PROCESS) as is_ours, _progress() as progress:
            if not is_ours:
                minutes = f"{MINUTES_FOR_ANOTHER_PROCESS} minutes"
                raise InputError(
                    f"Another process has been fetching into {folder} for {minutes}. Wait for it, or end it."
                )
            for leftover in folder.glob("tmp*"):  # pooch's temporary files, of killed processes
                leftover.unlink()
            for file in missing:
                if not file.is_at(folder / file.name):
                    logger.info("fetching %s, %s bytes", file.name, f"{file.size:,}")
                    _fetch(file, folder, progress)
    except RunFolderError as error:
        raise InputError(
            f"{folder} cannot be written: {error.__cause__}. Name another folder with {CACHE_VARIABLE}."
        ) from error


def check_address(url: str, *, allow_loopback: bool = True) -> None:
    """Raise MirrorError for anything but https, or http to a literal loopback address if that is allowed."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise MirrorError(f"it leads to {parts.scheme or 'no'}://{parts.hostname or ''}, and only https is allowed")


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    is_hidden = not console.is_terminal or console.is_dumb_terminal
    return Progress("fetching {task.description}", *columns, console=console, transient=True, disable=is_hidden)


def _fetch(file: RemoteFile, folder: Path, progress: "Progress") -> None:
    """Try one mirror after the other, and slow or interrupted ones once more."""
    reasons: dict[str, MirrorError] = {}
    report = partial(progress.update, progress.add_task(file.name, total=file.size))
    for hurried in (True, False):
        for url in file.urls:
            if url in reasons and not isinstance(reasons[url], TemporaryError):
                continue
            try:
                return _fetch_from(url, file, folder, _Transfer(file.size, report, hurried=hurried))
            except MirrorError as error:
                reasons[url] = error
    listed = "\n".join(f"  {url}: {reason}" for url, reason in reasons.items())
    raise InputError(
        f"{file.name} could not be fetched:\n{listed}\nTry again later, or put the file ({file.size:,} bytes, SHA-256 "
        f"{file.sha256}) by hand into {folder}"
    )


def _fetch_from(url: str, file: RemoteFile, folder: Path, transfer: "_Transfer") -> None:
    """Fetch the file from one mirror. Raises MirrorError if it does not deliver it."""
    import pooch
    from requests import RequestException

    check_address(url)
    downloader = pooch.HTTPDownloader(
        progressbar=transfer,
        chunk_size=CHUNK,
        timeout=TIMEOUT,
        headers={"User-Agent": f"hitofude/{__version__}", "Accept-Encoding": "identity"},
        hooks={"response": transfer.check},
        proxies={"http": ""},  # http goes to the loopback address only, so through no proxy
    )
    quiet = only_from(logging.WARNING, pooch.get_logger())  # it would print to the standard error
    with quiet, explaining_os_errors(folder / file.name, file.size):
        try:
            pooch.retrieve(url, f"sha256:{file.sha256}", file.name, folder, downloader=downloader)
        except RequestException as error:
            raise TemporaryError(f"the connection failed: {error}") from None
        except ValueError:
            raise MirrorError("its SHA-256 is not the published one") from None
        finally:
            transfer.close()


class _Transfer:
    """One attempt to fetch a file: checks each response for requests, and is a progress bar for pooch."""

    def __init__(self, size: int, report: Callable[..., None], *, hurried: bool) -> None:
        self.size, self.report, self.hurried = size, report, hurried
        self.started, self.received = time.monotonic(), 0
        self.response: Any = None

    def check(self, response: Any, **_: Any) -> None:
        """Raise MirrorError if a redirect may not be followed, or the response is an error or not of the file's size.

        No more than the Content-Length is read, so the download is bounded.
        """
        self.response = response
        if response.is_redirect:
            target = urljoin(response.url, response.headers["Location"])
            check_address(target, allow_loopback=urlsplit(response.url).hostname in LOOPBACK)
        elif response.status_code != 200:
            raise MirrorError(f"it answered {response.status_code} {response.reason}".rstrip())
        elif (length := response.headers.get("Content-Length")) != str(self.size):
            raise MirrorError(f"its Content-Length is {length or 'missing'}, expected {self.size}")

    def update(self, size: int) -> None:
        self.received += size
        self.report(completed=min(self.received, self.size))
        seconds = time.monotonic() - self.started
        if self.hurried and seconds > PATIENCE and self.received < MIN_SPEED * seconds:
            raise TemporaryError(f"too slow: {self.received / seconds:,.0f} bytes a second")

    def reset(self) -> None:
        self.received = 0

    def close(self) -> None:
        if self.response is not None:
            self.response.close()
