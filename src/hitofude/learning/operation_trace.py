"""The operations of any network in the order in which they run, for networks that torch.fx cannot follow."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

UNSEEN = ("__get__", "size", "dim", "numel", "requires_grad_", "__len__", "stride", "is_floating_point", "detach")
"""Functions that compute nothing: attributes such as `shape`, and the like."""


@dataclass(frozen=True)
class Step:
    """A layer or a function that was run. The first step is the images, the last the logits."""

    name: str
    label: str
    shape: tuple[int, ...]  # of its output
    parameters: int
    sources: tuple[str, ...]  # the names of the steps whose outputs it took


class _Recorder(TorchFunctionMode):
    """Records the functions outside of PyTorch's layers, and these layers as a whole."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.steps = [Step("images", "images", tuple(images.shape), 0, ())]
        self._made_by: dict[int, str] = {id(images): "images"}
        self._kept: list[Any] = [images]  # so that no other tensor has the id of one
        self._within = 0
        for name, module in network.named_modules():
            if _is_layer(module):
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave(name or "network", module), always_call=True)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = (resolve_name(func) or "function").rpartition(".")[2]
        if not self._within and name not in UNSEEN:
            self.record(name.strip("_"), name.strip("_"), (args, kwargs), result, 0)
        return result

    def record(self, name: str, label: str, inputs: object, result: object, parameters: int) -> None:
        outputs = _tensors(result)
        sources = dict.fromkeys(made for values in _tensors(inputs) if (made := self._made_by.get(id(values))))
        if not outputs or not sources:
            return
        taken = sum(step.name == name or step.name.startswith(f"{name}_") for step in self.steps)
        own = f"{name}_{taken}" if taken else name
        shown = own if label == name else label
        self.steps.append(Step(own, shown, tuple(outputs[0].shape), parameters, tuple(sources)))
        self._made_by |= {id(values): own for values in outputs}
        self._kept += outputs

    def _enter(self, *_: object) -> None:
        self._within += 1

    def _leave(self, name: str, module: nn.Module) -> Any:
        def leave(_: object, inputs: object, result: object) -> None:
            self._within -= 1
            if not self._within:
                count = sum(values.numel() for values in module.parameters())
                self.record(name.replace(".", "_"), f"{name}: {type(module).__name__}", inputs, result, count)

        return leave


def _is_layer(module: nn.Module) -> bool:
    """Whether it is one of PyTorch's layers, and no mere container of others."""
    is_container = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    return type(module).__module__.startswith("torch.nn.") and not is_container


def _tensors(values: object) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dictionaries."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, Mapping):
        values = tuple(values.values())
    return [one for value in values for one in _tensors(value)] if isinstance(values, tuple | list) else []


def trace_operations(network: nn.Module, images: Tensor) -> list[Step]:
    """Run a network on (N, C, H, W) images in evaluation mode; return the steps that lead to its logits.

    The network is left unchanged.
    """
    watched = deepcopy(network).eval()
    with torch.no_grad(), _Recorder(watched, images) as recorder:
        logits = watched(images)
    last = recorder._made_by.get(id(logits), recorder.steps[-1].name)
    steps = [*recorder.steps, Step("output", "logits", tuple(logits.shape), 0, (last,))]
    needed = {"output"}
    for step in reversed(steps):
        needed |= {*step.sources} if step.name in needed else set()
    return [step for step in steps if step.name in needed]
