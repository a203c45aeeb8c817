"""Messages to and from worker processes: a line of JSON, then bytes. Nothing is pickled."""

import json
from enum import StrEnum
from typing import Any, BinaryIO

Message = dict[str, Any]


class Event(StrEnum):
    """Every event that a worker process sends. A reader handles the events of its tasks, and raises for any other."""

    FINISHED = "finished"  # the task is done
    FAILED = "failed"  # the task failed, and the process ends
    SAVED = "saved"  # a state that the task can be continued from
    WARNED = "warned"
    LOGGED = "logged"
    BATCH_FINISHED = "batch_finished"
    MEMBER_STARTED = "member_started"
    EPOCH_FINISHED = "epoch_finished"


def send(stream: BinaryIO, message: Message, content: bytes = b"") -> None:
    """Write a whole message. Raises BrokenPipeError if the other side has ended."""
    stream.write(json.dumps(message | {"bytes": len(content)}).encode() + b"\n")
    stream.write(content)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Message, bytes] | None:
    """Wait for the next message; None if the other side has ended, even in the middle of one."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    message: Message = json.loads(line)
    size = message.pop("bytes")
    content = stream.read(size)
    return None if len(content) < size else (message, content)
