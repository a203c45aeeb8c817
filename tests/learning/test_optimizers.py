"""The optimizers: PyTorch's own, and Muon by its definition."""

import pytest
import torch
from torch import nn

from hitofude.learning.networks import build_network
from hitofude.learning.optimizers import make_optimizer, orthogonalised
from hitofude.recipe import OptimizerRecipe


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
