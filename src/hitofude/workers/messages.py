"""Messages to and from worker processes: a line of JSON, then bytes. Nothing is pickled."""

import json
from typing import Any, BinaryIO

Message = dict[str, Any]


def pack(message: Message, content: bytes = b"") -> bytes:
    """The line that comes before the content."""
    return json.dumps(message | {"bytes": len(content)}).encode() + b"\n"


def send(stream: BinaryIO, message: Message, content: bytes = b"") -> None:
    """Write a message whole. Raises BrokenPipeError when the other side has ended."""
    stream.write(pack(message, content))
    stream.write(content)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, bytes] | None:
    """Wait for the next message; None when the other side has ended, even in the middle of one."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: Message = json.loads(line)
    size = message.pop("bytes")
    content = stream.read(size)
    return None if len(content) < size else (message, content)
