"""Messages to and from worker processes."""

import io

import pytest

from hitofude.workers.messages import receive, send


def sent(*messages: tuple[dict[str, object], bytes]) -> bytes:
    stream = io.BytesIO()
    for message, content in messages:
        send(stream, message, content)
    return stream.getvalue()


def test_messages_arrive_whole_and_in_order() -> None:
    stream = io.BytesIO(sent(({"member": 1}, b"\n\x00rows\n"), ({"member": 2}, b"")))
    assert receive(stream) == ({"member": 1}, b"\n\x00rows\n")
    assert receive(stream) == ({"member": 2}, b"")
    assert receive(stream) is None


@pytest.mark.parametrize("lost", [1, 20, 70])
def test_a_message_cut_short_is_no_message(lost: int) -> None:
    content = sent(({"member": 1}, bytes(64)))
    assert receive(io.BytesIO(content[:-lost])) is None
