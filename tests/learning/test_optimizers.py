"""The optimizers, the learning rate over time, and moving averages, against PyTorch's own and their definitions."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hitofude.learning.networks import build_network
from hitofude.learning.optimizers import WeightAverage, learning_rate_at, make_optimizer, orthogonalised
from hitofude.recipe import OptimizerRecipe, Recipe, ScheduleRecipe


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def network_with_gradients() -> nn.Module:
    network = build_network("cnn-lean", (1, 12, 12), 3, seeded())
    network(torch.rand(8, 1, 12, 12, generator=seeded())).square().sum().backward()
    return network


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD"), ("muon", "Muon")])
def test_every_name_is_its_optimizer_over_all_parameters(name: str, kind: str) -> None:
    network = network_with_gradients()
    optimizer = make_optimizer(network, OptimizerRecipe.model_validate({"name": name}))
    assert type(optimizer).__name__ == kind
    found = {id(values) for group in optimizer.param_groups for values in group["params"]}
    assert found == {id(values) for values in network.parameters()}


def test_sgd_has_nesterovs_momentum() -> None:
    group = make_optimizer(network_with_gradients(), OptimizerRecipe(name="sgd", momentum=0.8)).param_groups[0]
    assert group["nesterov"]
    assert group["momentum"] == 0.8


@pytest.mark.parametrize("shape", [(8, 50), (50, 8), (20, 20)])
def test_orthogonalising_brings_all_singular_values_near_one(shape: tuple[int, int]) -> None:
    left, _, right = torch.linalg.svd(torch.randn(shape, generator=seeded()), full_matrices=False)
    spread = torch.linspace(1, 9, min(shape))
    values = torch.linalg.svdvals(orthogonalised(left @ torch.diag(spread) @ right))
    assert 0.6 < values.min() < values.max() < 1.3


def test_orthogonalising_keeps_the_singular_vectors() -> None:
    """The nearest orthogonal matrix to U S Vᵀ is U Vᵀ; a polynomial in the matrix cannot turn the vectors."""
    matrix = torch.randn(6, 30, generator=seeded())
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalised(matrix) @ right.T
    assert torch.allclose(turned, torch.diag(turned.diagonal()), atol=1e-4)


def test_the_short_iteration_is_newton_schulz_on_the_whole_matrix() -> None:
    """The iteration as K. Jordan writes it, in float64."""
    matrix = torch.randn(6, 30, generator=seeded())
    whole = matrix.double() / matrix.double().norm()
    for _ in range(5):
        inner = whole @ whole.T
        whole = 3.4445 * whole + (-4.7750 * inner + 2.0315 * inner @ inner) @ whole
    assert torch.allclose(orthogonalised(matrix), whole.float(), atol=1e-4)


def test_muon_keeps_the_norm_of_the_filters_and_moves_them_along_the_gradient() -> None:
    network = network_with_gradients()
    filters = next(values for values in network.parameters() if values.ndim == 4)
    before, gradient = filters.detach().clone(), filters.grad
    assert gradient is not None
    make_optimizer(network, OptimizerRecipe(name="muon", learning_rate=0.01, momentum=0.0)).step()
    normalised = before * len(before) ** 0.5 / before.norm()
    step = (normalised - filters.detach()) / 0.01
    assert torch.allclose(step, orthogonalised(gradient.flatten(1)).view_as(step), atol=1e-3)


def test_muon_moves_the_rest_as_adamw_does() -> None:
    recipe = OptimizerRecipe(name="muon", adamw_learning_rate=0.02, weight_decay=0.1)
    ours, theirs = network_with_gradients(), network_with_gradients()
    adamw = torch.optim.AdamW(theirs.parameters(), lr=0.02, weight_decay=0.1)
    muon = make_optimizer(ours, recipe)
    for _ in range(3):
        adamw.step()
        muon.step()
    pairs = [pair for pair in zip(ours.parameters(), theirs.parameters(), strict=True) if pair[0].ndim != 4]
    assert len(pairs) > 3
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


def test_the_step_schedule_falls_after_its_milestones() -> None:
    schedule = Recipe.preset("article").schedule
    rates = [learning_rate_at(schedule, 1e-3, done / 30, done) for done in range(30)]
    assert rates == pytest.approx([1e-3] * 10 + [1e-4] * 10 + [1e-5] * 10)


def test_one_cycle_rises_to_its_highest_and_falls_to_zero() -> None:
    schedule = ScheduleRecipe(name="one-cycle", warmup=0.25)
    rates = [learning_rate_at(schedule, 8.0, step / 100, 0) for step in range(100)]
    assert rates[0] == 0
    assert max(rates) == rates[25] == 8.0
    assert rates[50] == pytest.approx(8 * 2 / 3)
    assert 0 < rates[-1] < 0.2


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_one_cycle_needs_neither_rise_nor_fall(warmup: float) -> None:
    schedule = ScheduleRecipe(name="one-cycle", warmup=warmup)
    assert all(0 <= learning_rate_at(schedule, 1.0, step / 10, 0) <= 1 for step in range(10))


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def step(network: nn.Module) -> None:
    """Change weights and statistics."""
    network(torch.rand(4, 1, 5, 5))
    with torch.no_grad():
        for values in network.parameters():
            values.add_(torch.rand_like(values))


def test_after_its_beginning_it_is_the_exponential_moving_average_of_pytorch() -> None:
    network = small()
    ours = WeightAverage(network, 0.75)
    for _ in range(40):  # from 27 updates on, n / (n + 9) is above 0.75
        step(network)
        ours.update()
    theirs = AveragedModel(ours.network, multi_avg_fn=get_ema_multi_avg_fn(0.75), use_buffers=True)
    theirs.update_parameters(ours.network)  # the first one copies
    for _ in range(3):
        step(network)
        ours.update()
        theirs.update_parameters(network)
    expected = theirs.module.state_dict()
    found = ours.network.state_dict()
    assert all(torch.allclose(found[name], expected[name]) for name in found if found[name].is_floating_point())


def test_nothing_remains_of_the_untrained_weights() -> None:
    network = small()
    average = WeightAverage(network, 0.999)
    for values in average.network.parameters():
        values.fill_(1e9)
    step(network)
    average.update()
    assert torch.equal(average.network.state_dict()["0.weight"], network.state_dict()["0.weight"])
    assert torch.equal(average.network.state_dict()["1.running_mean"], network.state_dict()["1.running_mean"])


def test_an_average_of_long_memory_spans_the_end_of_a_short_training() -> None:
    """The weights are the number of the step; the share of each in the average follows."""
    network = nn.Linear(1, 1)
    average = WeightAverage(network, 0.9999)
    for number in range(1, 101):
        with torch.no_grad():
            network.weight.fill_(float(number))
        average.update()
    assert 85 < average.network.state_dict()["weight"].item() < 95
