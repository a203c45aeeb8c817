"""Open compressed files safely: nothing is unpacked to the disk, and a zip bomb is stopped.

A file or folder in a zip is a Member, which readers use as they use a Path.
"""

import bz2
import gzip
import io
import lzma
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Union, cast

from hitofude.errors import InputError

GROWTH, ALWAYS_ALLOWED = 100, 1 << 30
"""A compressed file may grow to one GiB plus a hundred times its size."""
BUFFER = 1 << 16
PACKED: dict[bytes, tuple[str, Any]] = {
    b"\x1f\x8b": (".gz", gzip.open),
    b"\xfd7zXZ\x00": (".xz", lzma.open),
    b"BZh91AY&SY": (".bz2", bz2.open),
}
"""The first bytes of packed files, their ending, and the function that opens them."""
PACKED_ENDINGS = tuple(ending for ending, _ in PACKED.values())


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


def open_file(path: "Place") -> BinaryIO:
    """Open a file, unpacking it if it is packed by gzip, xz or bzip2, whatever its name."""
    with path.open("rb") as stream:
        start = stream.read(max(map(len, PACKED)))
    for magic, (ending, unpack) in PACKED.items():
        if start.startswith(magic) or path.suffix == ending:
            packed = path if isinstance(path, Path) else path.open("rb")
            return _bounded(cast(BinaryIO, unpack(packed)), str(path), allowed_growth(size_of(path)))
    return path.open("rb")


def open_seekable(path: "Place") -> BinaryIO:
    """Open a file for a reader that moves about in it; a packed file is held in memory, unpacked."""
    stream = open_file(path)
    if stream.seekable():
        return stream
    with stream:
        return io.BytesIO(stream.read())


def size_of(path: "Place") -> int:
    """The bytes of a file, of a file in a zip those in the zip."""
    return path.packed_size if isinstance(path, Member) else path.stat().st_size


def open_zip(path: "Place") -> zipfile.ZipFile:
    return zipfile.ZipFile(open_seekable(path) if isinstance(path, Member) else path)


def open_member(path: "Place", member: str) -> io.BufferedReader:
    """Open a file in a zip."""
    return _bounded(cast(BinaryIO, open_zip(path).open(member)), f"{path}/{member}", max_size(path, member))


def max_size(path: "Place", member: str) -> int:
    """The bytes that a file in a zip may have. Its directory may lie, but no file in a zip is larger than the zip."""
    with open_zip(path) as archive:
        return allowed_growth(min(archive.getinfo(member).compress_size, size_of(path)))


def allowed_growth(compressed: int) -> int:
    """The bytes that a file may have when it is unpacked."""
    return ALWAYS_ALLOWED + GROWTH * compressed


def check_growth(name: str, unpacked: int, packed: "Place") -> None:
    """Raise InputError if something in a packed file is larger than the file may grow. name: for the message."""
    if unpacked > allowed_growth(size_of(packed)):
        raise InputError(f"{name}: it would grow to {unpacked:,} bytes, as a zip bomb does. Do not trust this file.")


def list_members(path: "Place") -> list[str]:
    """List the files in a zip. Raise InputError for unsafe names, links and passwords."""
    if not zipfile.is_zipfile(open_seekable(path) if isinstance(path, Member) else path):
        raise InputError(f"{path}: this is not a zip file. Was the download cut short, or is it a web page?")
    with open_zip(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
    for member in members:
        _check(member, path)
    return [member.filename for member in members]


def _check(member: zipfile.ZipInfo, path: "Place") -> None:
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


class _Zip:
    """An open zip, and what its folders hold."""

    def __init__(self, place: "Place") -> None:
        self.place = place
        self.members = frozenset(list_members(place))
        self.file = open_zip(place)
        self.folders: dict[str, dict[str, None]] = {"": {}}
        for member in self.members:
            folders = PurePosixPath(member).parts
            for depth, name in enumerate(folders):
                self.folders.setdefault("/".join(folders[:depth]), {})[name] = None


class Member:
    """A file or a folder in a zip, with as much of Path's interface as readers need. Raise InputError as list_members.

    The zip itself is its own outermost folder.
    """

    def __init__(self, archive: _Zip, inner: str = "") -> None:
        self._zip, self._inner = archive, inner

    @classmethod
    def of(cls, place: "Place") -> "Member":
        """The outermost folder of a zip, which may be in another zip."""
        with reading(str(place)):
            return cls(_Zip(place))

    def __str__(self) -> str:
        return f"{self._zip.place}/{self._inner}".rstrip("/")

    def __truediv__(self, name: str) -> "Member":
        return Member(self._zip, f"{self._inner}/{name}".lstrip("/"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Member) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def name(self) -> str:
        return self._inner.rpartition("/")[2] or self._zip.place.name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> "Place":
        return Member(self._zip, self._inner.rpartition("/")[0]) if self._inner else self._zip.place.parent

    @cached_property
    def packed_size(self) -> int:
        """Its bytes in the zip."""
        return min(self._zip.file.getinfo(self._inner).compress_size, size_of(self._zip.place))

    def is_dir(self) -> bool:
        return self._inner in self._zip.folders

    def is_file(self) -> bool:
        return self._inner in self._zip.members

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Iterator["Member"]:
        return (self / name for name in self._zip.folders.get(self._inner, ()))

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open the file to read its bytes, as many as a file of its packed size may have."""
        if mode != "rb":
            raise ValueError(f"a file in a zip is read as bytes, not opened as '{mode}'")
        if not self.is_file():
            raise FileNotFoundError(str(self))
        stream = cast(BinaryIO, self._zip.file.open(self._inner))
        return _bounded(stream, str(self), allowed_growth(self.packed_size))

    def read_bytes(self) -> bytes:
        with self.open() as stream:
            return stream.read()


Place = Union[Path, Member]  # noqa: UP007, as the classes above name it in quotes
