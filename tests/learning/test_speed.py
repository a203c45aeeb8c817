import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hitofude.inputs.image_set import ImageSet
from hitofude.learning import speed
from hitofude.learning.compute import Compute
from hitofude.learning.ensemble import plan_members
from hitofude.learning.networks import NETWORKS, build_network
from hitofude.learning.speed import kind_of, matmul_rate, multiplications, training_flops
from hitofude.recipe import Recipe

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


def test_members_of_one_speed_differ_in_rows_seed_number_and_epochs(quick: Recipe, digits: ImageSet) -> None:
    plans = plan_members(quick.with_settings({"ensemble.repeats": 2}), digits)
    plans += plan_members(quick.with_settings({"schedule.epochs": 9, "schedule.min_steps": 300}), digits)
    assert len({kind_of(plan).recipe.to_toml() for plan in plans}) == 1
    (other, *_) = plan_members(quick.with_settings({"augment.elastic_std": 0.8}), digits)
    assert kind_of(other).recipe != kind_of(plans[0]).recipe
