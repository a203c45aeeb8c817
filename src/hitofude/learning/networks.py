"""The networks, by name: images (N, C, H, W) float 0..1 → logits (N, classes)."""

import math
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hitofude.errors import RecipeError, suggest

ImageShape = tuple[int, int, int]


def build_network(name: str, image_shape: ImageShape, classes: int, generator: torch.Generator) -> nn.Module:
    """A newly initialised network on the CPU, a pure function of its arguments.

    image_shape: (C, H, W). Raises RecipeError for an unknown name or images that are too small for it.
    """
    if name not in NETWORKS:
        raise RecipeError(f"network.name: there is no network '{name}'.{suggest(name, sorted(NETWORKS))}")
    build, smallest = NETWORKS[name]
    if min(image_shape[1:]) < smallest:
        raise RecipeError(
            f"The network {name} needs images of at least {smallest}x{smallest} pixels; "
            f"these are {image_shape[1]}x{image_shape[2]}. Choose another with --set network.name=NAME."
        )
    with torch.device("meta"):
        network = build(image_shape, classes)
    network.to_empty(device="cpu")
    _initialise(network, generator)
    return network


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _cnn_medium(image_shape: ImageShape, classes: int) -> nn.Module:
    """The tutorial's network, with its layer names; 95,156 parameters for 28×28 and ten classes."""
    channels, height, width = image_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for index, (wide, stride) in enumerate([(16, 1), (32, 1), (32, 1), (32, 2), (64, 1), (32, 1)], start=1):
        layers[f"conv{index}"] = nn.Conv2d(channels, wide, kernel_size=3, stride=stride)
        layers[f"relu{index}"] = nn.LeakyReLU(0.05)
        channels, height, width = wide, (height - 3) // stride + 1, (width - 3) // stride + 1
    layers["flatten"] = nn.Flatten()
    layers["fc7"] = nn.Linear(channels * height * width, 30)
    layers["relu7"] = nn.LeakyReLU(0.05)
    layers["fc8"] = nn.Linear(30, classes)
    return nn.Sequential(layers)


def _cnn_lean(image_shape: ImageShape, classes: int) -> nn.Module:
    """Few operations an image: half the resolution at once, then wider; the maximum over places at the end."""

    def block(wide_in: int, wide_out: int, kernel: int = 3, stride: int = 1) -> list[tuple[str, nn.Module]]:
        index = next(numbers)
        return [
            (f"conv{index}", nn.Conv2d(wide_in, wide_out, kernel, stride, kernel // 2, bias=False)),
            (f"norm{index}", nn.BatchNorm2d(wide_out)),
            (f"relu{index}", nn.ReLU()),
        ]

    numbers = iter(range(1, 5))
    return nn.Sequential(
        OrderedDict(
            [
                *block(image_shape[0], 32, kernel=5, stride=2),
                *block(32, 48),
                ("pool2", nn.MaxPool2d(2)),
                *block(48, 96),
                *block(96, 96),
                ("global_max", nn.AdaptiveMaxPool2d(1)),
                ("flatten", nn.Flatten()),
                ("fc5", nn.Linear(96, classes)),
            ]
        )
    )


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Normal weights of variance 1 / fan-in and zero biases (LeCun et al. 1998, "Efficient BackProp")."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_in = math.prod(module.weight.shape[1:])
            nn.init.normal_(module.weight, std=fan_in**-0.5, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


NETWORKS: dict[str, tuple[Callable[[ImageShape, int], nn.Module], int]] = {
    "cnn-medium": (_cnn_medium, 17),
    "cnn-lean": (_cnn_lean, 4),
}
"""Name → how to build it, and the least height and width that it takes."""


def images_from_bytes(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 0..255 → float32 0..1."""
    return images.float() / 255
