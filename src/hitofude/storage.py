"""Durable files, each complete and on the disk or absent, and folders that one process owns at a time."""

import csv
import errno
import io
import json
import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from hitofude.errors import OutOfResourcesError, RunFolderError

PARTIAL_FILES = ".*.tmp"
DAMAGED_ARRAY = (ValueError, TypeError, SyntaxError, EOFError, TokenError)
"""The errors NumPy raises for an invalid array header; its fallback parser goes through Python's tokenizer."""
LOCK = ".lock"

Content = TypeVar("Content")


@contextmanager
def writing(path: Path, size: int | None = None) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when complete and on the disk.

    It is written under a temporary name in the same folder, flushed, fsynced and renamed; then the folder is synced.
    size: the size of the file in bytes, if known, for the message of a full disk.

    Raises OutOfResourcesError if the disk is full, RunFolderError if the path cannot be written.
    """
    partial = _partial(path)
    with explaining_os_errors(path, size):
        try:
            make_folder(path.parent)
            with partial.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    """Return a unique temporary name: containers that share a disk can have equal process ids."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def write_bytes(path: Path, content: bytes) -> None:
    with writing(path, len(content)) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_rows(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file, whose header is the first row."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_text(path, text.getvalue())


def to_json(content: Any) -> str:
    """Return indented JSON with a final newline, the form of every JSON file here."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, content: Any) -> None:
    write_text(path, to_json(content))


def link(source: Path, target: Path) -> bool:
    """Hard-link target to source, or copy it if the disk cannot; return whether the source exists.

    Raises as `writing` does.
    """
    partial = _partial(target)
    with explaining_os_errors(target):
        make_folder(target.parent)
        try:
            os.link(source, partial)
        except FileNotFoundError:
            return False
        except OSError:  # another disk, or one without hard links
            write_bytes(target, source.read_bytes())
            return True
        partial.replace(target)
        partial.unlink(missing_ok=True)  # POSIX keeps it if both names are the same file already
        sync_folder(target.parent)
    return True


def write_npz(path: Path, **arrays: NDArray[Any]) -> None:
    with writing(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_npz(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file, never unpickling any.

    Raises RunFolderError if the file is missing or damaged, or lacks one of these names.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:  # np.load leaves a bad zip open
            found = dict(arrays)
    except (OSError, AttributeError, zipfile.BadZipFile, zlib.error, *DAMAGED_ARRAY) as error:
        raise RunFolderError(
            f"{path} is missing or damaged ({error}). Restore it, or run again into a new folder."
        ) from None
    missing = sorted(set(names) - found.keys())
    if missing:
        raise RunFolderError(f"{path} lacks {', '.join(missing)}. Restore it, or run again into a new folder.")
    return found


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises RunFolderError if it is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing: the run folder is incomplete. Run again into a new folder.") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read ({error}). Restore it, or run again into a new folder.") from None


def validated(kind: type[Content], content: Any, path: Path) -> Content:
    """Return the content of a JSON file as a dataclass or TypedDict. Raises RunFolderError if it does not fit."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"])) or "its beginning"
        raise RunFolderError(f"{path} is damaged at {key}. Restore it, or run again into a new folder.") from None


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each synced to the folder above it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill, which appears under its name only when complete; an existing empty one is replaced.

    Raises RunFolderError if the name is taken or the path cannot be written.
    """
    with explaining_os_errors(folder):
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"{folder} is a file. Name a new or empty folder with --run.")
        if held := sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []:
            raise RunFolderError(
                f"{folder} is not empty: it holds {', '.join(held[:3])}. Name a new or empty folder with --run."
            )
        folder = folder.resolve()
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a killed process with this id
        make_folder(partial)
    try:
        yield partial
        with explaining_os_errors(folder):
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove_partial_files(folder: Path, *, below: bool = True) -> None:
    """Remove the unfinished files of killed processes in a folder that the caller owns, and in the folders below it."""
    for partial in folder.glob(f"**/{PARTIAL_FILES}" if below else PARTIAL_FILES):
        partial.unlink(missing_ok=True)


@contextmanager
def owning(folder: Path, wait: float = 0, name: str = LOCK) -> Iterator[bool]:
    """Own a folder within the block; yield whether that succeeded.

    The system frees the lock when its owner ends, even if it is killed. wait: seconds to wait for another owner. name:
    of the lock's file; another one stands for a part of the folder.
    """
    lock = FileLock(folder / name)
    with explaining_os_errors(folder), suppress(Timeout):
        make_folder(folder)
        lock.acquire(timeout=wait)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def free_bytes(path: Path) -> int:
    """Return the free bytes of the disk that holds the path, or would hold it."""
    existing = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    return shutil.disk_usage(existing).free


def check_disk(path: Path, needed: int, work: str, option: str) -> None:
    """Raise OutOfResourcesError if the path's disk has no room for this many bytes; work: the words before them."""
    free = free_bytes(path)
    if free < needed:
        raise OutOfResourcesError(
            f"{work} about {needed:,} bytes more on the disk of {path}; {free:,} are free. "
            f"Free some space, or name a folder on another disk with {option}."
        )


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable, if the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explaining_os_errors(path: Path, size: int | None = None) -> Iterator[None]:
    """Turn the system's write errors on `path`, a file of `size` bytes, into UserErrors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            needed = "" if size is None else f"it needs {size:,} bytes, "
            raise OutOfResourcesError(
                f"No space left on the disk while writing {path}: {needed}{free_bytes(path):,} bytes are free. "
                "Free some space and run the same command again; what is finished is safe."
            ) from error
        raise RunFolderError(
            f"{path} cannot be written: {error.strerror or error}. Choose another place with --run or --out."
        ) from error
