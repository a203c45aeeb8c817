"""Open compressed files safely: nothing is unpacked to the disk, and a zip bomb is stopped."""

import gzip
import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from hitofude.errors import InputError

GROWTH, ALWAYS_ALLOWED = 100, 1 << 30
"""A compressed file may grow to one GiB plus a hundred times its size."""
BUFFER = 1 << 16
GZIP = b"\x1f\x8b"


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the errors of opening, unpacking and reading `name` into InputError."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file. Is the path right?") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name}: the compressed file is damaged or cut short ({error}). Fetch it again.") from None
    except (NotImplementedError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise InputError(f"{name}: damaged, or compressed by an unknown method ({error}). Compress it again.") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}.") from None


def open_file(path: Path) -> BinaryIO:
    """Open a file, unpacking it if it is gzipped, whatever its name."""
    with path.open("rb") as stream:
        is_gzipped = stream.read(len(GZIP)) == GZIP
    if not is_gzipped and path.suffix != ".gz":
        return path.open("rb")
    return _bounded(cast(BinaryIO, gzip.open(path)), str(path), allowed_growth(path.stat().st_size))


def find_file(folder: Path, name: str, endings: Sequence[str]) -> Path | None:
    """Find the file with that name and one of these endings, the first that exists."""
    candidates = (folder / f"{name}{ending}" for ending in endings)
    return next((path for path in candidates if path.is_file()), None)


def open_member(path: Path, member: str) -> io.BufferedReader:
    """Open a file in a zip."""
    return _bounded(cast(BinaryIO, zipfile.ZipFile(path).open(member)), f"{path}/{member}", max_size(path, member))


def max_size(path: Path, member: str) -> int:
    """The bytes that a file in a zip may have. Its directory may lie, but no file in a zip is larger than the zip."""
    with zipfile.ZipFile(path) as archive:
        return allowed_growth(min(archive.getinfo(member).compress_size, path.stat().st_size))


def allowed_growth(compressed: int) -> int:
    """The bytes that a file may have when it is unpacked."""
    return ALWAYS_ALLOWED + GROWTH * compressed


def list_members(path: Path) -> list[str]:
    """List the files in a zip. Raise InputError for unsafe names, links and passwords."""
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: this is not a zip file. Was the download cut short, or is it a web page?")
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    for member in members:
        _check(member, path)
    return [member.filename for member in members]


def _check(member: zipfile.ZipInfo, path: Path) -> None:
    name = member.filename
    folders = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in folders or name.startswith(("/", "\\")) or (folders and folders[0].endswith(":")):
        raise InputError(f"{path}: it holds '{name}', a name that leads out of its folder. Do not trust this file.")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{path}: it holds '{name}', a link to another file. Do not trust this file.")
    if member.flag_bits & 1:
        raise InputError(f"{path}: '{name}' is encrypted. Unpack it with its password, and name the folder.")


def _bounded(stream: BinaryIO, name: str, size: int) -> io.BufferedReader:
    return io.BufferedReader(_Bounded(stream, name, size), BUFFER)


class _Bounded(io.RawIOBase):
    """A stream that raises InputError after more bytes than allowed."""

    def __init__(self, stream: BinaryIO, name: str, size: int) -> None:
        self._stream, self._name, self._left = stream, name, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            raise InputError(
                f"{self._name}: it grows to more than {GROWTH} times its size, as a zip bomb does. If it is harmless, "
                "unpack it yourself and name the folder."
            )
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._stream.close()
        super().close()
