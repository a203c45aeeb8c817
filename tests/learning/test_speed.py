import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hitofude.learning import speed
from hitofude.learning.compute import Compute
from hitofude.learning.networks import NETWORKS, build_network
from hitofude.learning.speed import matmul_rate, multiplications, training_flops

MULTIPLICATIONS = 26 * 26 * 16 * 9, 24 * 24 * 32 * 144, 22 * 22 * 32 * 288, 100 * 32 * 288, 64 * 64 * 288, 36 * 32 * 576
LINEAR = 1152 * 30 + 30 * 10


def test_a_step_counts_forward_and_both_gradients_but_not_that_of_the_images() -> None:
    first, *others = MULTIPLICATIONS
    expected = 2 * (2 * first + 3 * (sum(others) + LINEAR))
    assert training_flops("cnn-medium", (1, 28, 28)) == expected


@pytest.mark.parametrize("name", NETWORKS)
def test_multiplications_are_those_that_pytorch_counts(name: str) -> None:
    network = build_network(name, (3, 32, 40), 10, torch.Generator()).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 32, 40))
    assert 2 * multiplications(name, (3, 32, 40)) == counter.get_total_flops()


def test_the_rate_of_products_is_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    assert matmul_rate(Compute(torch.device("cpu"), "float32", threads=1)) > 1e8
