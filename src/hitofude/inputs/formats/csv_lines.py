"""The lines of a CSV file in blocks, whatever their encoding; the place of a line that is not text."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

from hitofude.errors import InputError

BLOCK_BYTES = 1 << 17  # so that a block's temporaries fit into a processor's cache
HEAD_BYTES = 1 << 18
"""The lines that are looked at before the first is read."""
LONGEST_LINE = 1 << 22
DELIMITERS = ",;\t|"
MANY_WORDS = 60
"""In a header whose names are separated by spaces."""
FEWEST_FIELDS = 3
"""In a header whose names have spaces; a line of comment may hold a few commas."""

_NEWLINE = ord("\n")
_UTF_8_MARK = b"\xef\xbb\xbf"
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_NUMBER = re.compile(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", re.ASCII)
_SEPARATOR = re.compile(rb"sep=(.)\s*", re.IGNORECASE)


class Lines:
    """A stream of text as blocks of whole lines that end in LF, each with the number of its first line.

    UTF-16 becomes UTF-8, a byte order mark and Excel's line `sep=;` are skipped, blank lines at the file's end too.
    `delimiter` is settled with the first line; runs of spaces become one if it is a space. Raise InputError, after the
    lines before it, for a line that is not text, and for a blank line between others.
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = _as_utf_8(stream, name)
        self.name = name
        self.delimiter = ","
        self._line = 1
        self._offset = 0
        self._held = b""

    def first(self) -> bytes:
        """Return the first line, after a line `sep=;`; it stays the first of the blocks until `skip`."""
        line = self._after_comments()
        if self._line == 1 and (match := _SEPARATOR.fullmatch(line)):
            self.delimiter = match[1].decode("latin-1")
            self._offset += len(line)
            self._line += 1
            line = self._first_line()
        else:
            self.delimiter = find_delimiter(line)
        self._held = self._tidy(line) + self._tidy(self._read(HEAD_BYTES))
        return line

    def _after_comments(self) -> bytes:
        """The first line that is no comment; a header that numpy.savetxt begins with `# ` is none."""
        line = self._first_line()
        while line.startswith(b"#"):
            fields = max((line[1:].split(delimiter.encode()) for delimiter in DELIMITERS), key=len)
            are_words = all(len(field.split()) <= 1 for field in fields)
            is_header = len(fields) > FEWEST_FIELDS or (len(fields) > 1 and are_words) or len(line.split()) > MANY_WORDS
            kept = line[1:].lstrip(b" ") if is_header else b""
            self._offset += len(line) - len(kept)
            if is_header:
                return kept
            self._line += 1
            line = self._first_line()
        return line

    @property
    def head(self) -> bytes:
        """The file's first lines, the first one among them."""
        return self._held

    @property
    def line(self) -> int:
        """The number of the first line of the next block."""
        return self._line

    def replace_first(self, line: bytes | None) -> None:
        """Put another line in the place of the first; None: leave it out."""
        end = self._held.find(b"\n") + 1 or len(self._held)
        if line is None:
            self._offset += end
            self._line += 1
        self._held = (line or b"") + self._held[end:]

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Whole lines that end in LF, without the blank lines at the file's end; then the error of a bad line."""
        blank_line: int | None = None
        while block := self._next():
            first, fault = self._line, self._find_fault(block)
            self._offset += len(block)
            self._line += count_lines(block)
            text = block[: fault[0]] if fault else block
            text = text.replace(b"\r\n", b"\n") if b"\r" in text else text
            lines = self._without_blank_end(text)
            if lines:
                if blank_line is not None:
                    raise blank_line_error(self.name, blank_line)
                yield lines + b"\n", first
            if blank_line is None and len(text) > len(lines) + bool(lines):
                blank_line = first + lines.count(b"\n") + bool(lines)
            if fault is not None:
                raise fault[1]

    def _without_blank_end(self, text: bytes) -> bytes:
        """Cut off the last lines if they hold nothing but separators, and the end of the line before them."""
        filled = text.rstrip(b"\n" + self.delimiter.encode())
        end = text.find(b"\n", len(filled)) if filled else 0
        return text if end < 0 else text[:end]

    def _next(self) -> bytes:
        if not self._held:
            return self._tidy(self._read(BLOCK_BYTES))
        end = self._held.find(b"\n", BLOCK_BYTES) + 1 or len(self._held)
        block, self._held = self._held[:end], self._held[end:]
        return block

    def _read(self, count: int) -> bytes:
        """Read as many bytes, and the rest of the line."""
        chunk = self._stream.read(count)
        return chunk + self._stream.readline(LONGEST_LINE) if chunk else b""

    def _tidy(self, lines: bytes) -> bytes:
        """Make runs of spaces one, if they separate the fields, and leave out those around a line."""
        if self.delimiter != " ":
            return lines
        return re.sub(rb"(?m)^ | (?=\r?\n|$)", b"", re.sub(rb" +", b" ", lines))

    def _first_line(self) -> bytes:
        line = self._stream.readline(LONGEST_LINE)
        if (fault := self._find_fault(line)) is not None:
            raise fault[1]
        if self._offset == 0 and line.startswith(_UTF_8_MARK):
            self._offset, line = len(_UTF_8_MARK), line[len(_UTF_8_MARK) :]
        location = f"{self.name}, line {self._line}"
        if b"\r" in line.rstrip(b"\r\n"):
            raise InputError(f"{location}: lines end in CR alone, as on old Macs. Save it with LF or CR LF.")
        if not line.strip():
            raise InputError(f"{location}: expected column names, the file or line is empty.")
        return line

    def _find_fault(self, block: bytes) -> tuple[int, InputError] | None:
        """The start of the first line that is not text, and the error."""
        last_line = block.rfind(b"\n") + 1
        found: dict[int, str] = {}
        if len(block) - last_line > LONGEST_LINE:
            found[last_line] = f"the line is longer than {LONGEST_LINE:,} bytes. Is this a CSV file?"
        if b"\0" in block:
            found[block.index(b"\0")] = "found a zero byte, so this is not text. Save it as CSV in UTF-8."
        if not block.isascii():
            try:
                block.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = block[error.start]
                found[error.start] = f"found the byte 0x{byte:02x}, which is not UTF-8. Save it as CSV in UTF-8."
        if not found:
            return None
        position = min(found)
        line = self._line + block[:position].count(b"\n")
        location = f"{self.name}, line {line}, byte {self._offset + position:,}"
        return block.rfind(b"\n", 0, position) + 1, InputError(f"{location}: {found[position]}")


def count_lines(block: bytes) -> int:
    """Return the number of line ends, ten times as fast as bytes.count."""
    return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == _NEWLINE))


def find_delimiter(line: bytes) -> str:
    """The commonest of the usual delimiters outside of quotes; a space between numbers if there is none of them."""
    text = re.sub(r'"[^"]*"', "", line.decode("utf-8", errors="replace").strip())
    best = max(DELIMITERS, key=text.count)
    if text.count(best):
        return best
    fields = text.split()
    return " " if len(fields) > 1 and all(map(_NUMBER.fullmatch, fields)) else ","


def blank_line_error(name: str, line: int) -> InputError:
    return InputError(f"{name}, line {line}: the line is blank, and rows follow. Remove it.")


def _as_utf_8(stream: BinaryIO, name: str) -> BinaryIO:
    """Return a stream of UTF-8. stream: of UTF-8, or of UTF-16 with a byte order mark or without.

    If lines end in CR alone, as on old Macs, they end in LF afterwards.
    """
    reader = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
    start = reader.peek(1 << 12)
    first, encoding = start[:4], _UTF_16.get(start[:2])
    if encoding is not None:
        reader.read(2)
    elif len(first) == 4 and (first[::2] == b"\0\0") != (first[1::2] == b"\0\0"):
        encoding = "utf-16-be" if first[0] == 0 else "utf-16-le"
    if encoding is None and b"\r" in start and b"\n" not in start:
        encoding = "utf-8"
    if encoding is None:
        return cast(BinaryIO, reader)
    return cast(BinaryIO, io.BufferedReader(_Recoded(cast(BinaryIO, reader), encoding, name), 1 << 16))


class _Recoded(io.RawIOBase):
    """A stream of another encoding as UTF-8. Raise InputError with the byte that cannot be decoded."""

    def __init__(self, stream: BinaryIO, encoding: str, name: str) -> None:
        self._stream, self._name, self._ends_in_cr = stream, name, encoding == "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._offset, self._ready = 0 if self._ends_in_cr else 2, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            content = self._stream.read(1 << 16)
            try:
                text = self._decoder.decode(content, final=not content)
                self._ready = (text.replace("\r", "\n") if self._ends_in_cr else text).encode("utf-8")
            except UnicodeError as error:
                place = self._offset + getattr(error, "start", 0)
                encoding = "UTF-8" if self._ends_in_cr else "UTF-16"
                raise InputError(
                    f"{self._name}, byte {place:,}: this is no text in {encoding}. Save it as CSV in UTF-8."
                ) from None
            self._offset += len(content)
            if not content:
                break
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
