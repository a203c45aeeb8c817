"""Durable files: each is there whole and on the disk, or not there at all; and folders that one process owns."""

import errno
import json
import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from filelock import BaseFileLock, FileLock, Timeout
from numpy.typing import NDArray

from hitofude.errors import OutOfResourcesError, RunFolderError

PARTIAL_FILES = ".*.tmp"
DAMAGED_ARRAY = (ValueError, TypeError, SyntaxError, EOFError, TokenError)
"""What NumPy raises where an array's header is none; its second try at one goes through Python's tokenizer."""
LOCK = ".lock"


@contextmanager
def writing(path: Path, size: int | None = None) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when complete and on the disk.

    Written under a temporary name in the same folder, flushed, fsynced, renamed; then the folder is synced.
    size: the file's bytes where they are known, for the message of a full disk.

    Raises OutOfResourcesError when the disk is full, RunFolderError when the place cannot be written.
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
    """A name of its own for each who writes: in containers that share a disk, processes have the same few numbers."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def write_bytes(path: Path, content: bytes) -> None:
    with writing(path, len(content)) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def link(source: Path, target: Path) -> bool:
    """Let the target's name mean the source's content, without a copy where the disk can; whether the source is there.

    Raises as `writing` does.
    """
    partial = _partial(target)
    with explaining_os_errors(target):
        make_folder(target.parent)
        try:
            os.link(source, partial)
        except FileNotFoundError:
            return False
        except OSError:  # another disk, or one that knows no links
            write_bytes(target, source.read_bytes())
            return True
        partial.replace(target)
        partial.unlink(missing_ok=True)  # POSIX leaves it where both are the same file already
        sync_folder(target.parent)
    return True


def write_npz(path: Path, **arrays: NDArray[Any]) -> None:
    with writing(path) as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_npz(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """The file's arrays, never unpickled.

    Raises RunFolderError when the file is missing or damaged, or lacks one of these names.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
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
    """The file's content. Raises RunFolderError when it is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"{path} is missing: the run folder is incomplete. Run again into a new folder.") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} cannot be read ({error}). Restore it, or run again into a new folder.") from None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durable in the one that holds it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def making_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which appears under its name only when it is complete; an empty one there is replaced.

    Raises RunFolderError where something is there already or the place cannot be written.
    """
    with explaining_os_errors(folder):
        _check_vacant(folder)
        folder = folder.resolve()
        partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had this number
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


def _check_vacant(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file. Name a new or empty folder with --run.")
    held = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    if held:
        raise RunFolderError(
            f"{folder} is not empty: it holds {', '.join(held[:3])}. Name a new or empty folder with --run."
        )


def remove_partial_files(folder: Path) -> None:
    """Remove what killed processes were writing here or below; the caller owns the folder."""
    for partial in folder.rglob(PARTIAL_FILES):
        partial.unlink(missing_ok=True)


@contextmanager
def owning(folder: Path, wait: float = 0) -> Iterator[bool]:
    """Own a folder while within; whether it could be owned is what is given.

    The system frees the lock when its owner ends, however it ends. wait: seconds to wait for another owner.
    """
    lock = FileLock(folder / LOCK)
    with explaining_os_errors(folder):
        make_folder(folder)
        is_ours = _acquire(lock, wait)
    try:
        yield is_ours
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, wait: float) -> bool:
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        return False
    return True


def free_bytes(path: Path) -> int:
    """What is free on the disk that holds the path, or would hold it."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def explaining_os_errors(path: Path, size: int | None = None) -> Iterator[None]:
    """Turn the system's write errors on `path`, a file of `size` bytes, into ours."""
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
