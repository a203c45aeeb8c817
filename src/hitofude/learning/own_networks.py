"""Networks from plugins: built under a seeded generator, and tried before they are trained."""

import math
from functools import cache

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hitofude.errors import RecipeError, counted, suggest
from hitofude.inputs.layout import ImageShape
from hitofude.learning.plugins import (
    HOW_TO_LOAD,
    Registered,
    explaining_plugin_errors,
    find_registered,
    registered_names,
)


def build_own(
    name: str, image_shape: ImageShape, classes: int, generator: torch.Generator, known: list[str]
) -> nn.Module:
    """Build the network that a plugin has registered, on the CPU, as a pure function of the arguments.

    generator: its seed seeds PyTorch's own generator while the plugin builds the network. known: further networks, to
    suggest one. Raises RecipeError if no plugin has the name, if its code fails, or if the network cannot be trained.
    """
    registered = find_registered("network", name)
    if registered is None:
        names = sorted([*known, *registered_names("network")])
        raise RecipeError(f"network.name: there is no network '{name}'.{suggest(name, names)} {HOW_TO_LOAD}")
    _check(registered, name, image_shape, classes)
    return _build(registered, name, image_shape, classes, generator.initial_seed())


def _build(registered: Registered, name: str, image_shape: ImageShape, classes: int, seed: int) -> nn.Module:
    with (
        torch.random.fork_rng(devices=[]),
        torch.device("cpu"),
        explaining_plugin_errors(registered.source),
    ):
        torch.manual_seed(seed)
        network = registered.code(image_shape, classes)
        if not isinstance(network, nn.Module):
            raise RecipeError(f"{registered}: '{name}' returns {type(network).__name__}, expected a torch.nn.Module.")
        if any(map(is_lazy, network.parameters())):
            with torch.no_grad():
                network.eval()(torch.zeros(2, *image_shape))
    return network.train()


def laid_out(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Bring (N, C, H, W) images into a layout, as of memory_format_of.

    The strides of a single channel leave open which layout it has, and PyTorch may go on with channels last.
    """
    laid_out = images.contiguous(memory_format=layout)
    return laid_out if layout == torch.channels_last else laid_out.flatten().view(images.shape)


@cache
def _check(registered: Registered, name: str, image_shape: ImageShape, classes: int) -> None:
    """Make a training step's computations with two images.

    Raises RecipeError if they fail, if the logits have another shape, if nothing can be learned, or if the network
    cannot be saved or built again.
    """
    first, second = (_build(registered, name, image_shape, classes, seed=1) for _ in "ab")
    trained = [values for values in first.parameters() if values.requires_grad]
    if not trained:
        raise RecipeError(f"{registered}: '{name}' has no parameters to train.")
    _check_state(registered, name, first, second)
    with torch.random.fork_rng(devices=[]), explaining_plugin_errors(registered.source):
        images = laid_out(
            torch.linspace(0, 1, 2 * math.prod(image_shape)).view(2, *image_shape), memory_format_of(first)
        )
        for network in (first.eval(), first.train()):
            logits = network(images)
            _check_logits(registered, name, logits, 2, classes)
        _check_logits(registered, name, first.eval()(images[:1]), 1, classes)
        logits.float().logsumexp(dim=1).sum().backward()
    if all(values.grad is None for values in trained):
        raise RecipeError(f"{registered}: the logits of '{name}' depend on no parameter, so that it learns nothing.")


def has_known_layers(network: nn.Module) -> bool:
    """Whether all code of a network is PyTorch's or hitofude's, so that torch.fx follows it and any layout suits it."""
    return all(type(module).__module__.partition(".")[0] in ("torch", "hitofude") for module in network.modules())


def memory_format_of(network: nn.Module) -> torch.memory_format:
    """Return the layout in memory for a network and its images: channels last is faster, but `view` may refuse it."""
    return torch.channels_last if has_known_layers(network) else torch.contiguous_format


def _check_logits(registered: Registered, name: str, logits: object, images: int, classes: int) -> None:
    expected = f"({images}, {classes}), {classes} numbers for each of {counted(images, 'image')}"
    if not isinstance(logits, Tensor):
        raise RecipeError(f"{registered}: '{name}' returns {type(logits).__name__}, expected logits {expected}.")
    if logits.shape != (images, classes) or not logits.is_floating_point():
        kind = str(logits.dtype).removeprefix("torch.")
        raise RecipeError(f"{registered}: '{name}' returns {tuple(logits.shape)} {kind}, expected logits {expected}.")


def _check_state(registered: Registered, name: str, first: nn.Module, second: nn.Module) -> None:
    """Raise RecipeError if two networks of one seed differ, or if their state cannot be saved."""
    ours, theirs = first.state_dict(), second.state_dict()
    odd = [key for key, values in ours.items() if not isinstance(values, Tensor)]
    if odd:
        raise RecipeError(f"{registered}: the state of '{name}' holds {odd[0]}, which is no tensor.")
    if ours.keys() != theirs.keys() or not all(torch.equal(ours[key], theirs[key]) for key in ours):
        raise RecipeError(
            f"{registered}: '{name}' is built differently each time. Draw its weights from PyTorch's own generator, "
            "which is seeded, and neither from random nor from NumPy."
        )
    try:
        save({key: values.detach().clone().contiguous() for key, values in ours.items()})
    except Exception as error:
        raise RecipeError(f"{registered}: the state of '{name}' cannot be saved: {error}") from None
