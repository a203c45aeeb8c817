"""The optimizers by name (PyTorch's, and Muon), the learning rate over time, and moving averages of the weights."""

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from hitofude.recipe import OptimizerRecipe, ScheduleRecipe

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""The coefficients of K. Jordan 2024, which bring singular values within 0.7 to 1.2 in few iterations."""

TINY = 1e-12
WARM_UP_OF_AVERAGE = 9
"""After n updates an average keeps at most n / (n + 9) of itself, as TensorFlow's moving averages do."""


def make_optimizer(network: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """Make Adam (Kingma & Ba 2015), AdamW (Loshchilov & Hutter 2019), SGD with Nesterov momentum, or Muon.

    Each parameter group keeps the peak learning rate of its schedule as `highest`. On CUDA `lr` is a tensor on the
    device, so that a recorded step sees its changes.
    """
    device = next(network.parameters()).device
    groups = _groups(network, recipe)
    for group in groups:
        highest = group["highest"]
        group["lr"] = torch.tensor(highest, device=device) if device.type == "cuda" else highest
    if recipe.name == "muon":
        return Muon(groups, recipe.momentum, recipe.weight_decay)
    fused = device.type in ("cpu", "cuda") or None
    if recipe.name == "sgd":
        return torch.optim.SGD(
            groups,
            momentum=recipe.momentum,
            nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    kind = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=recipe.weight_decay, fused=fused, capturable=device.type == "cuda")


def _groups(network: nn.Module, recipe: OptimizerRecipe) -> list[dict[str, Any]]:
    """Put all parameters into one group, or for Muon the filters into a group of their own."""
    parameters = list(network.parameters())
    if recipe.name != "muon":
        return [{"params": parameters, "highest": recipe.learning_rate}]
    groups = [
        {"params": [values for values in parameters if values.ndim == 4], "highest": recipe.learning_rate},
        {"params": [values for values in parameters if values.ndim != 4], "highest": recipe.adamw_learning_rate},
    ]
    return [group for group in groups if group["params"]]


class Muon(torch.optim.Optimizer):
    """Muon for convolution filters (K. Jordan 2024, kellerjordan.github.io/posts/muon), AdamW for other parameters.

    A filter bank (out, in, h, w) is treated as a matrix of `out` rows. Its step is the orthogonal matrix nearest to
    the Nesterov momentum, and its norm is kept at √out, as initialised. No step waits for the device.
    """

    def __init__(self, groups: list[dict[str, Any]], momentum: float, weight_decay: float) -> None:
        super().__init__(groups, {"momentum": momentum, "weight_decay": weight_decay, "betas": (0.9, 0.999)})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            others = []
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.ndim == 4:
                    self._step_filters(parameter, parameter.grad, group)
                else:
                    others.append(parameter)
            if others:
                self._step_others(others, group)

    def _step_filters(self, filters: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[filters]
        if not state:
            state["momentum"] = torch.zeros_like(filters)
        velocity = state["momentum"].mul_(group["momentum"]).add_(gradient)
        direction = gradient.add(velocity, alpha=group["momentum"]).permute(0, 2, 3, 1)  # the order in memory
        step = orthogonalised(direction.flatten(1)).view(direction.shape).permute(0, 3, 1, 2)
        norm = filters.permute(0, 2, 3, 1).flatten().norm().clamp(min=TINY)  # a plugin's may begin as zeros
        filters.mul_(len(filters) ** 0.5 / norm).sub_(step * group["lr"])

    def _step_others(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101)."""
        states = [self.state[values] for values in parameters]
        for values, state in zip(parameters, states, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=values.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(values), torch.zeros_like(values)
        first, second = group["betas"]
        adamw(
            parameters,
            [values.grad for values in parameters if values.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=parameters[0].device.type in ("cpu", "cuda"),
            capturable=parameters[0].device.type == "cuda",
            amsgrad=False,
            beta1=first,
            beta2=second,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def orthogonalised(matrix: Tensor, iterations: int = 5) -> Tensor:
    """Approximate the matrix nearest to a (rows, columns) float32 matrix whose shorter side is orthonormal.

    Newton-Schulz iterations on the inner products of the shorter side, which commute with all their factors; this is
    much less work than on the whole matrix.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if is_tall else matrix
    wide = wide / (wide.norm() + 1e-7)
    inner = wide @ wide.T
    first, third, fifth = NEWTON_SCHULZ
    product = None
    for iteration in range(iterations):
        factor = torch.addmm(inner, inner, inner, beta=third, alpha=fifth)
        factor.diagonal().add_(first)
        product = factor if product is None else factor @ product
        if iteration < iterations - 1:
            inner = factor @ inner @ factor
    found: Tensor = wide if product is None else product @ wide
    return found.T if is_tall else found


def learning_rate_at(schedule: ScheduleRecipe, highest: float, progress: float, epochs_done: int) -> float:
    """Return the learning rate of a step.

    progress: the share of the training's steps already made, 0 ≤ progress < 1. `one-cycle` rises linearly in the
    warm-up and then falls linearly to zero (L. N. Smith 2018, arXiv:1803.09820); `cosine` falls along half a wave
    (I. Loshchilov & F. Hutter 2017, arXiv:1608.03983, without restarts).
    """
    if schedule.name == "constant":
        return highest
    if schedule.name == "step":
        return highest * schedule.gamma ** sum(epochs_done >= milestone for milestone in schedule.milestones)
    if progress < schedule.warmup:
        return highest * progress / schedule.warmup
    falling = (1 - progress) / (1 - schedule.warmup) if schedule.warmup < 1 else 1.0
    return highest * (falling if schedule.name == "one-cycle" else (1 - math.cos(math.pi * falling)) / 2)


class WeightAverage:
    """An exponential moving average of a network's weights and batch-norm statistics (Polyak & Juditsky 1992,
    doi:10.1137/0330046; A. Tarvainen & H. Valpola 2017, arXiv:1703.01780).

    The first update copies the network, so that nothing remains of the untrained weights. The decay then rises to its
    value, n / (n + 9) after n updates: the average always spans about the last tenth of the training, or less.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        self.count = UpdateCount().to(next(network.parameters()).device)
        self._decay = decay
        every = [[*one.parameters(), *one.buffers()] for one in (self.network, network)]  # tied ones once
        self._pairs = [(ours, theirs.detach()) for ours, theirs in zip(*every, strict=True) if ours.is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network's current weights. A recorded step sees the count change."""
        before = self.count.updates
        share = 1 - (before / (before + WARM_UP_OF_AVERAGE)).clamp(max=self._decay)
        before.add_(1)
        for ours, theirs in self._pairs:
            ours.lerp_(theirs, share.to(ours.dtype))


class UpdateCount(nn.Module):
    """The number of updates of an average: a module, so that it is saved, restored and recorded with the networks."""

    updates: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("updates", torch.zeros(()))
