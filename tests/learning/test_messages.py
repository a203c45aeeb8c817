"""Messages between a run and its worker processes."""

import io

import pytest
import torch

from hitofude.learning.messages import receive, send


def sent(*messages: tuple[dict[str, object], dict[str, torch.Tensor]]) -> bytes:
    stream = io.BytesIO()
    for message, tensors in messages:
        send(stream, message, tensors)
    return stream.getvalue()


def test_messages_arrive_whole_and_in_order() -> None:
    rows = torch.arange(5)
    stream = io.BytesIO(sent(({"member": 1}, {"rows": rows}), ({"member": 2}, {})))
    message, tensors = receive(stream) or ({}, {})
    assert message == {"member": 1}
    assert torch.equal(tensors["rows"], rows)
    assert receive(stream) == ({"member": 2}, {})
    assert receive(stream) is None


def test_tensors_of_a_message_may_share_memory() -> None:
    """As do the rows of several members that learn from all of them."""
    everything = torch.arange(6)
    _, tensors = receive(io.BytesIO(sent(({}, {"6": everything, "7": everything, "even": everything[::2]})))) or (
        {},
        {},
    )
    assert torch.equal(tensors["6"], tensors["7"])
    assert tensors["even"].tolist() == [0, 2, 4]


@pytest.mark.parametrize("lost", [1, 20, 200])
def test_a_message_cut_short_is_no_message(lost: int) -> None:
    content = sent(({"member": 1}, {"rows": torch.zeros(16)}))
    assert receive(io.BytesIO(content[:-lost])) is None
