"""The checks of a worker before its first task: the driver's versions, and whether it shares the driver's disk."""

import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from hitofude.errors import ClusterError
from hitofude.storage import write_text
from hitofude.version import __version__
from hitofude.workers.messages import Message

MARK = ".token"
"""The name of the file by which a worker recognises a folder of the driver."""


def versions() -> dict[str, str]:
    """Return the versions that the bits of a result depend on."""
    return {"hitofude": __version__, "torch": version("torch")}


def check_versions(message: Message) -> None:
    """Raise ClusterError if this machine's hitofude or PyTorch differs from the driver's."""
    here, there = versions(), message["versions"]
    if here != there:
        found = ", ".join(f"{name} {here[name]} instead of {there[name]}" for name in here if here[name] != there[name])
        raise ClusterError(f"{platform.node()} has {found}. Install the same versions there as here.")


@contextmanager
def disk_token(folder: Path) -> Iterator[str]:
    """Write a new token into the folder, yield it, and remove it at the end of the block."""
    token = secrets.token_hex()
    write_text(folder / MARK, token)
    try:
        yield token
    finally:
        (folder / MARK).unlink(missing_ok=True)


def shares_disk(folder: Path, token: str) -> bool:
    """Whether this process finds the driver's token in the folder."""
    try:
        return (folder / MARK).read_text(encoding="utf-8") == token
    except OSError:
        return False
