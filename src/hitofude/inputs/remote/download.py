"""A file from any of several mirrors: in the cache whole and as it was published, or not at all.

What arrives lies in `NAME.part` until it is complete, and is kept between attempts, mirrors and processes. Nothing
of it is trusted before the SHA-256 of the whole is the published one.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.remote.mirror import (
    DEFAULT_LIMITS,
    ConnectionCutError,
    Limits,
    MirrorError,
    Report,
    TooSlowError,
    receive,
)
from hitofude.storage import explaining_os_errors, owning, sync_folder

CACHE_VARIABLE = "HITOFUDE_CACHE"
ATTEMPTS = 3
"""At one mirror, where the connection is cut."""
SECONDS_FOR_ANOTHER_PROCESS = 900


@dataclass(frozen=True)
class RemoteFile:
    """A file as it was published, and where it is to be had."""

    name: str
    size: int
    """In bytes."""
    sha256: str
    urls: tuple[str, ...]
    """The same file each, those to be asked first before the others."""

    def is_at(self, path: Path) -> bool:
        """Whether the file at this path is this one to the last bit. Raises InputError when it cannot be read."""
        try:
            if not path.is_file() or path.stat().st_size != self.size:
                return False
            with path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest() == self.sha256
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None


def cache_folder() -> Path:
    """HITOFUDE_CACHE, or the system's place for what can be fetched again."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "hitofude"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "hitofude" / "Cache"
    named = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(named) if Path(named).is_absolute() else home / ".cache") / "hitofude"


def fetch_all(
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    reporting: Callable[[RemoteFile], Report] = lambda _: ignore,
) -> None:
    """Have all files in the folder; no connection is made for those that are there already.

    One process fetches at a time, others wait for it. reporting: gives for each file who is told of its progress.

    Raises InputError when no mirror gives a file, with the reason of each and where to put the file by hand;
    OutOfResourcesError when the disk is full.
    """
    missing = [file for file in files if not file.is_at(folder / file.name)]
    if not missing:
        return
    try:
        with owning(folder, wait=SECONDS_FOR_ANOTHER_PROCESS) as is_ours:
            if not is_ours:
                raise InputError(f"Another process has been fetching into {folder} for long. Wait for it, or end it.")
            for file in missing:
                if not file.is_at(folder / file.name):
                    _fetch(file, folder, limits, reporting(file))
    except RunFolderError as error:
        raise InputError(
            f"{folder} cannot be written: {error.__cause__}. Name another folder with {CACHE_VARIABLE}."
        ) from error


def ignore(_bytes: int) -> None:
    """The report of a file whose progress nobody follows."""


def _fetch(file: RemoteFile, folder: Path, limits: Limits, report: Report) -> None:
    path = folder / file.name
    part = path.with_name(f"{file.name}.part")
    if not file.is_at(part):  # else a process was ended just before it renamed it
        with explaining_os_errors(part):
            if part.exists() and part.stat().st_size >= file.size:
                part.unlink()
        _from_any_mirror(file, part, limits, report)
    with explaining_os_errors(path, file.size):
        with part.open("ab") as stream:
            os.fsync(stream.fileno())
        part.replace(path)
        sync_folder(folder)


def _from_any_mirror(file: RemoteFile, part: Path, limits: Limits, report: Report) -> None:
    """Ask one mirror after the other; slow ones are left, and asked again, with patience, where no other has it."""
    reasons: dict[str, MirrorError] = {}
    for hurried in (True, False):
        for url in file.urls if hurried else [url for url, why in reasons.items() if isinstance(why, TooSlowError)]:
            try:
                return _from_mirror(url, file, part, limits, report, hurried=hurried)
            except MirrorError as error:
                reasons[url] = error
    listed = "\n".join(f"  {url}: {why}" for url, why in reasons.items())
    raise InputError(
        f"{file.name} could not be fetched:\n{listed}\nTry again later: what has arrived is kept. Or put the file, of "
        f"{file.size:,} bytes with the SHA-256 {file.sha256}, by hand into {part.parent}"
    )


def _from_mirror(url: str, file: RemoteFile, part: Path, limits: Limits, report: Report, *, hurried: bool) -> None:
    """Complete `part` from one mirror. Raises MirrorError when it is not the file then."""
    for attempt in range(1, ATTEMPTS + 1):
        begun = part.stat().st_size if part.exists() else 0
        try:
            receive(url, part, file.size, limits, report, hurried=hurried)
        except ConnectionCutError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(limits.pause)
            continue
        if file.is_at(part):
            return
        part.unlink()
        if begun == 0:  # else its beginning may be another mirror's
            break
    raise MirrorError("its file is another one: its SHA-256 is not the published one")
