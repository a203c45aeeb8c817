"""Opening compressed files without being harmed: nothing is unpacked to the disk, nothing grows without end."""

import gzip
import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from hitofude.errors import InputError

GROWTH, ALWAYS_ALLOWED = 100, 1 << 30
"""A compressed file may become a GiB, and beyond that a hundred times its size."""
BUFFER = 1 << 16
GZIP = b"\x1f\x8b"


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the errors of opening, unpacking and reading `name` into ours."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file. Is the path right?") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name}: the compressed file is damaged or cut short ({error}). Fetch it again.") from None
    except (NotImplementedError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(
            f"{name}: the compressed file is damaged, or packed in a way not known here ({error}). Pack it anew."
        ) from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}.") from None


def open_file(path: Path) -> BinaryIO:
    """A file as it is, or its content where it is gzipped, whatever its name."""
    with path.open("rb") as stream:
        is_gzipped = stream.read(len(GZIP)) == GZIP
    if not is_gzipped and path.suffix != ".gz":
        return path.open("rb")
    return _bounded(cast(BinaryIO, gzip.open(path)), str(path), path.stat().st_size)


def open_member(path: Path, member: str) -> BinaryIO:
    """A file within a zip."""
    archive = zipfile.ZipFile(path)
    return _bounded(cast(BinaryIO, archive.open(member)), f"{path}/{member}", _compressed_size(archive, member, path))


def most_bytes(path: Path, member: str) -> int:
    """How large a file within a zip may become."""
    with zipfile.ZipFile(path) as archive:
        return allowed_growth(_compressed_size(archive, member, path))


def allowed_growth(compressed: int) -> int:
    """How large a file of so many bytes may become when it is unpacked."""
    return ALWAYS_ALLOWED + GROWTH * compressed


def bomb(name: str) -> InputError:
    """What is said of a file that becomes larger."""
    return InputError(
        f"{name}: it grows to more than {GROWTH} times its size, as a zip bomb does. If it is harmless, "
        "unpack it yourself and name the folder."
    )


def _compressed_size(archive: zipfile.ZipFile, member: str, path: Path) -> int:
    """By the directory, which may lie, but no file in a zip is larger than the zip."""
    return min(archive.getinfo(member).compress_size, path.stat().st_size)


def list_members(path: Path) -> list[str]:
    """The files in a zip. Raises InputError for one with unsafe names, links, or a password."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: this is not a zip file. Was the download cut short, or is it a web page?")
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    for member in members:
        _check(member, path)
    return [member.filename for member in members]


def _check(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (parts and parts[0].endswith(":")):
        raise InputError(f"{path}: it holds '{name}', a name that leads out of its folder. Do not trust this file.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{path}: it holds '{name}', a link to another file. Do not trust this file.")
    if member.flag_bits & 1:
        raise InputError(f"{path}: '{name}' is encrypted. Unpack it with its password, and name the folder.")


def _bounded(stream: BinaryIO, name: str, compressed: int) -> BinaryIO:
    return io.BufferedReader(_Bounded(stream, name, compressed), BUFFER)


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more bytes than a file of its compressed size should become."""

    def __init__(self, stream: BinaryIO, name: str, compressed: int) -> None:
        self._stream, self._name = stream, name
        self._left = allowed_growth(compressed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise bomb(self._name)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()
