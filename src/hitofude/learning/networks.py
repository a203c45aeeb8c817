"""The networks by name: images (N, C, H, W) float 0..1 → logits (N, classes)."""

import math
import re
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hitofude.errors import RecipeError
from hitofude.inputs.layout import ImageShape
from hitofude.learning.own_networks import build_own
from hitofude.learning.plugins import registered_here


def build_network(name: str, image_shape: ImageShape, classes: int, generator: torch.Generator) -> nn.Module:
    """Build and initialise a network on the CPU, as a pure function of the arguments.

    name: as in NETWORKS or of a plugin, or such as `vgg-24-margin-2`, whose first layer cuts 2 pixels off on each side.
    image_shape: (C, H, W). Raises RecipeError if the name is unknown or the images are too small.
    """
    kind, margin = split_name(name)
    if kind in NETWORKS and (own := registered_here("network", kind)) is not None:
        raise RecipeError(f"{own}: '{kind}' is hitofude's own network. Register yours by another name.")
    build, smallest = NETWORKS.get(kind, (None, 1))
    smallest += 2 * margin
    channels, height, width = image_shape
    if min(height, width) < smallest:
        raise RecipeError(
            f"The network {name} needs images of at least {smallest}x{smallest} pixels; "
            f"these are {height}x{width}. Choose another with --set network.name=NAME."
        )
    inner = channels, height - 2 * margin, width - 2 * margin
    if build is None:
        network = build_own(kind, inner, classes, generator, sorted(NETWORKS))
        return _sequential(inner=_Inner(margin), network=network) if margin else network
    with torch.device("meta"):
        network = build(inner, classes)
        if margin > 0:
            network = _sequential(inner=_Inner(margin), **dict(network.named_children()))
    network.to_empty(device="cpu")
    _initialise(network, generator)
    return network


def split_name(name: str) -> tuple[str, int]:
    """'vgg-24-margin-2' → ('vgg-24', 2)"""
    found = re.fullmatch(r"(.+)-margin-(\d{1,4})", name)
    return (found[1], int(found[2])) if found else (name, 0)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _cnn_medium(image_shape: ImageShape, classes: int) -> nn.Module:
    """The tutorial's network with its layer names: 95,156 parameters for 28×28 and ten classes."""
    channels, height, width = image_shape
    layers: dict[str, nn.Module] = {}
    for index, (wide, stride) in enumerate([(16, 1), (32, 1), (32, 1), (32, 2), (64, 1), (32, 1)], start=1):
        layers[f"conv{index}"] = nn.Conv2d(channels, wide, kernel_size=3, stride=stride)
        layers[f"relu{index}"] = nn.LeakyReLU(0.05)
        channels, height, width = wide, (height - 3) // stride + 1, (width - 3) // stride + 1
    layers["flatten"] = nn.Flatten()
    layers["fc7"] = nn.Linear(channels * height * width, 30)
    layers["relu7"] = nn.LeakyReLU(0.05)
    layers["fc8"] = nn.Linear(30, classes)
    return _sequential(**layers)


def _cnn_lean(image_shape: ImageShape, classes: int) -> nn.Module:
    """A network of few operations: half the resolution at once, then more channels, then global maximum pooling."""
    return _sequential(
        stem=_layer(image_shape[0], 32, kernel=5, stride=2),
        layer2=_layer(32, 48, pool=nn.MaxPool2d(2)),
        layer3=_layer(48, 96),
        layer4=_layer(96, 96),
        **_head(96, classes),
    )


def _vgg(width: int) -> Callable[[ImageShape, int], nn.Module]:
    """Return the builder of a network of 3×3 convolutions whose channels double twice from `width`, after a 5×5 stem
    of stride 2 (after K. Simonyan & A. Zisserman 2015, arXiv:1409.1556).
    """

    def build(image_shape: ImageShape, classes: int) -> nn.Module:
        return _sequential(
            stem=_layer(image_shape[0], width, kernel=5, stride=2),
            layer2=_layer(width, 2 * width),
            layer3=_layer(2 * width, 2 * width, pool=nn.MaxPool2d(2)),
            layer4=_layer(2 * width, 4 * width),
            layer5=_layer(4 * width, 4 * width),
            **_head(4 * width, classes),
        )

    return build


def _cnn_deep(image_shape: ImageShape, classes: int) -> nn.Module:
    """The network with the best documented score without test labels, 0.99757: strides in place of pooling, dropout
    after each stage (C. Deotte 2018, kaggle.com/code/cdeotte/25-million-images-0-99757-mnist).
    """
    return _sequential(
        layer1=_layer(image_shape[0], 32, padding=0),
        layer2=_layer(32, 32, padding=0),
        layer3=_layer(32, 32, kernel=5, stride=2),
        dropout3=nn.Dropout(0.4),
        layer4=_layer(32, 64, padding=0),
        layer5=_layer(64, 64, padding=0),
        layer6=_layer(64, 64, kernel=5, stride=2),
        dropout6=nn.Dropout(0.4),
        layer7=_layer(64, 128, kernel=4, padding=0),
        dropout7=nn.Dropout(0.4),
        **_head(128, classes),
    )


def _resnet(image_shape: ImageShape, classes: int) -> nn.Module:
    """Residual blocks at half and a quarter of the resolution (K. He et al. 2016, arXiv:1512.03385)."""
    return _sequential(
        stem=_layer(image_shape[0], 32),
        down1=_layer(32, 64, stride=2),
        block1=_Residual(64),
        down2=_layer(64, 128, stride=2),
        block2=_Residual(128),
        **_head(128, classes),
    )


def _senet(image_shape: ImageShape, classes: int) -> nn.Module:
    """Large kernels, and squeeze-and-excitation of the channels (J. Hu et al. 2018, arXiv:1709.01507)."""
    return _sequential(
        stem=_layer(image_shape[0], 64, kernel=7, stride=2),
        layer2=_layer(64, 64, kernel=5),
        weigh2=_SqueezeExcite(64),
        pool2=nn.MaxPool2d(2),
        layer3=_layer(64, 128, kernel=5),
        weigh3=_SqueezeExcite(128),
        **_head(128, classes),
    )


class _Inner(nn.Module):
    """The images without their outer pixels."""

    def __init__(self, margin: int) -> None:
        """margin: the number of pixels to cut off on each side, 1 or more."""
        super().__init__()
        self.margin = margin

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) → (N, C, H - 2 margin, W - 2 margin)."""
        edge = self.margin
        return images[:, :, edge:-edge, edge:-edge]


class _Residual(nn.Module):
    """Two layers with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer1 = _layer(width, width)
        self.layer2 = _layer(width, width)

    def forward(self, images: Tensor) -> Tensor:
        """(N, width, H, W) → the same shape."""
        changed: Tensor = self.layer2(self.layer1(images))
        return images + changed


class _SqueezeExcite(nn.Module):
    """Scale each channel by a weight in 0..1, computed from the means of all channels."""

    def __init__(self, width: int, narrow: int = 16) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, narrow)
        self.wide = nn.Linear(narrow, width)

    def forward(self, images: Tensor) -> Tensor:
        """(N, width, H, W) → the same shape."""
        means = images.mean(dim=(2, 3))
        weights: Tensor = self.wide(self.narrow(means).relu()).sigmoid()
        return images * weights[:, :, None, None]


def _layer(
    channels: int,
    wide: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    padding: int | None = None,
    pool: nn.Module | None = None,
) -> nn.Sequential:
    """Convolution, batch norm and ReLU, by default padded to keep the size (÷ stride).

    pool: 2×2 pooling before norm and ReLU, which then have a quarter of the work.
    """
    padding = kernel // 2 if padding is None else padding
    return _sequential(
        conv=nn.Conv2d(channels, wide, kernel, stride, padding, bias=False),
        **({} if pool is None else {"pool": pool}),
        norm=nn.BatchNorm2d(wide),
        relu=nn.ReLU(inplace=True),
    )


def _sequential(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _head(channels: int, classes: int) -> dict[str, nn.Module]:
    """Global maximum pooling, then logits."""
    return {
        "global_max": nn.AdaptiveMaxPool2d(1),
        "flatten": nn.Flatten(),
        "classify": nn.Linear(channels, classes),
    }


def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw normal weights of variance 1 / fan-in, and set biases to zero (LeCun et al. 1998, "Efficient BackProp")."""
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
    "vgg-24": (_vgg(24), 4),
    "vgg-32": (_vgg(32), 4),
    "cnn-deep": (_cnn_deep, 25),
    "resnet": (_resnet, 4),
    "senet": (_senet, 4),
}
"""Name → its builder, and the smallest height and width."""


def images_from_bytes(images: Tensor) -> Tensor:
    """(N, C, H, W) uint8 0..255 → float32 0..1."""
    return images.float() / 255
