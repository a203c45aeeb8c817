"""A token in a folder, by which a worker finds out whether it shares the driver's disk."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hitofude.storage import write_text

NAME = ".token"


@contextmanager
def disk_token(folder: Path) -> Iterator[str]:
    """Write a new token into the folder, yield it, and remove it at the end of the block."""
    token = secrets.token_hex()
    write_text(folder / NAME, token)
    try:
        yield token
    finally:
        (folder / NAME).unlink(missing_ok=True)


def shares_disk(folder: Path, token: str) -> bool:
    """Whether this process finds the driver's token in the folder."""
    try:
        return (folder / NAME).read_text(encoding="utf-8") == token
    except OSError:
        return False
