"""Random transformations of whole batches, on the images' device.

The tutorial transforms one image at a time with scikit-image; here the transformations of an epoch are drawn at once,
as small tensors, and a batch is warped by one `grid_sample`.

A map is a 2×3 matrix that takes a pixel of the result, as (x, y, 1), to its source position in the original, as in
`skimage.transform.warp(image, AffineTransform(...))`; pixel centres are whole numbers.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hitofude.inputs.image_set import ImageSet, shuffled_evenly
from hitofude.learning.own_augmentations import OwnAugmentations
from hitofude.recipe import AugmentRecipe


class Transforms(NamedTuple):
    """The transformations of N images."""

    maps: Tensor  # (N, 2, 3) float32
    displacements: Tensor | None = None  # (N, 2, knots, knots) float32, pixels in x and y, added to the map
    erased: Tensor | None = None  # (N, 4) int64: first and past the last row, first and past the last column

    def each(self, change: Callable[[Tensor], Tensor]) -> "Transforms":
        """Apply a function to every tensor."""
        maps, *others = self
        return Transforms(change(maps), *(None if values is None else change(values) for values in others))

    def to(self, device: torch.device) -> "Transforms":
        return self.each(lambda values: values.to(device))

    def split(self, sizes: Sequence[int]) -> Iterator["Transforms"]:
        """Yield the transforms of the first `sizes[0]` images, of the next `sizes[1]`, and so on."""
        for end, size in zip(accumulate(sizes), sizes, strict=True):
            yield self.each(lambda values, end=end, size=size: values[end - size : end])  # type: ignore[misc]


def draw_transforms(
    count: int, recipe: AugmentRecipe, image_size: tuple[int, int], generator: torch.Generator
) -> Transforms:
    """Draw the transforms of `count` images of (H, W) pixels."""
    maps = draw_maps(count, recipe, image_size, generator)
    displacements = erased = None
    unwarped = torch.rand(count, generator=generator) >= recipe.probability
    if recipe.min_crop < 1:
        maps = _compose(_draw_crops(count, recipe.min_crop, image_size, generator), maps)
    maps = torch.where(unwarped[:, None, None], torch.eye(2, 3), maps)
    if recipe.elastic_std > 0:
        knots = torch.randn(count, 2, recipe.elastic_grid, recipe.elastic_grid, generator=generator)
        displacements = knots.mul_(recipe.elastic_std).masked_fill_(unwarped[:, None, None, None], 0)
    if recipe.erase_probability > 0:
        erased = _draw_rectangles(count, recipe, image_size, generator)
    return Transforms(maps, displacements, erased)


def draw_maps(count: int, recipe: AugmentRecipe, image_size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draw (count, 2, 3) float32 affine maps, whatever the probability. image_size: (H, W) in pixels."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    def whole_pixels(most: int) -> Tensor:
        return torch.randint(-most, most + 1, (count,), generator=generator).float()

    max_rotation, max_shear = math.radians(recipe.max_rotation), math.radians(recipe.max_shear)
    maps = affine_maps(
        scale=torch.stack([uniform(recipe.min_scale, recipe.max_scale) for _ in "xy"], dim=1),
        rotation=uniform(-max_rotation, max_rotation),
        shear=uniform(-max_shear, max_shear),
        translation=torch.stack([whole_pixels(recipe.max_translation) for _ in "xy"], dim=1),
    )
    return about_center(maps, image_size) if recipe.about == "center" else maps


def affine_maps(scale: Tensor, rotation: Tensor, shear: Tensor, translation: Tensor) -> Tensor:
    """Make (N, 2, 3) maps about the origin, with the parameters of `skimage.transform.AffineTransform`.

    scale: (N, 2) of x and y; rotation, shear: (N,) radians; translation: (N, 2) pixels in x and y.
    """
    cos, sin, slant = rotation.cos(), rotation.sin(), shear.tan()
    scale_x, scale_y = scale.unbind(dim=1)
    return torch.stack(
        [
            torch.stack([scale_x * cos, -scale_y * (slant * cos + sin), translation[:, 0]], dim=1),
            torch.stack([scale_x * sin, -scale_y * (slant * sin - cos), translation[:, 1]], dim=1),
        ],
        dim=1,
    )


def about_center(maps: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Make the centre of the image, (H, W) pixels, the fixed point of the maps' linear part."""
    height, width = image_size
    center = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    linear, translation = maps[:, :, :2], maps[:, :, 2]
    return torch.cat([linear, (translation + center - linear @ center)[:, :, None]], dim=2)


def transform(images: Tensor, transforms: Transforms, recipe: AugmentRecipe) -> Tensor:
    """Warp (N, C, H, W) float images and erase from them. transforms: on the same device, drawn with this recipe."""
    warped = warp(images, transforms.maps, transforms.displacements, some_unwarped=recipe.probability < 1)
    return warped if transforms.erased is None else erase(warped, transforms.erased)


def warp(images: Tensor, maps: Tensor, displacements: Tensor | None = None, *, some_unwarped: bool = True) -> Tensor:
    """Warp each image by its map and displacements: bilinear, black outside.

    images: (N, C, H, W) float; maps: (N, 2, 3) float32 on the same device; displacements: (N, 2, K, K) float32, in
    pixels of x and y at K×K knots over the image, interpolated between them (P. Y. Simard et al. 2003,
    doi:10.1109/ICDAR.2003.1227801, with knots in place of a Gaussian filter). some_unwarped: keep images with an
    identity map and no displacement bit by bit. Returns the shape of images.
    """
    grid = _sampling_grid(maps, displacements, *images.shape[2:])
    warped = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    if not some_unwarped:
        return warped
    is_identity = (maps == torch.eye(2, 3, device=maps.device)).flatten(1).all(dim=1)
    if displacements is not None:
        is_identity &= (displacements == 0).flatten(1).all(dim=1)
    return torch.where(is_identity[:, None, None, None], images, warped)


def erase(images: Tensor, rectangles: Tensor) -> Tensor:
    """Blacken a rectangle of each image (Z. Zhong et al. 2017, arXiv:1708.04896).

    images: (N, C, H, W); rectangles: (N, 4) int64, the first and past the last row, then the same for columns.
    """
    top, bottom, left, right = rectangles.unsqueeze(2).unbind(dim=1)
    rows, columns = (torch.arange(size, device=images.device) for size in images.shape[2:])
    within_rows, within_columns = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    return images.masked_fill((within_rows[:, :, None] & within_columns[:, None, :])[:, None], 0)


def augment(images: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> Tensor:
    """Draw and apply a transformation of each image.

    images: (N, C, H, W) float, any device; generator: a CPU generator.
    """
    height, width = images.shape[2:]
    transforms = draw_transforms(len(images), recipe, (height, width), generator)
    return transform(images, transforms.to(images.device), recipe)


def transformed_versions(
    images: ImageSet, recipe: AugmentRecipe, count: int, versions: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return up to `count` originals (K, C, H, W), balanced over the classes, and (K, versions, C, H, W), 0..255.

    Values beyond that, of augmentations from plugins, are clipped.
    """
    originals = images.images[shuffled_evenly(images.known_labels(), seed)[:count]]
    repeated = torch.from_numpy(originals).float().repeat_interleave(versions, dim=0)
    generator, own = torch.Generator().manual_seed(seed), OwnAugmentations(recipe.own)
    transformed = augment(repeated, recipe, generator)
    if recipe.own:
        own.begin(generator)
        transformed = own(transformed / 255).clamp(0, 1) * 255
    return originals, transformed.numpy().reshape(len(originals), versions, *images.image_shape)


def _draw_crops(count: int, least: float, image_size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draw (count, 2, 3) maps that enlarge a window, with sides drawn separately, to the whole image."""
    share = least + (1 - least) * torch.rand(count, 2, generator=generator)
    height, width = image_size
    start = (1 - share) * torch.rand(count, 2, generator=generator) * torch.tensor([width - 1, height - 1])
    return torch.cat([torch.diag_embed(share), start[:, :, None]], dim=2)


def _compose(first: Tensor, second: Tensor) -> Tensor:
    """Return the (N, 2, 3) maps that apply the second maps to the results of the first."""
    linear = first[:, :, :2] @ second
    return torch.cat([linear[:, :, :2], linear[:, :, 2:] + first[:, :, 2:]], dim=2)


def _draw_rectangles(
    count: int, recipe: AugmentRecipe, image_size: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Draw (count, 4) rectangles up to the recipe's share of the image, empty for images that are not erased."""
    share = recipe.erase_max_area * torch.rand(count, generator=generator)
    share[torch.rand(count, generator=generator) >= recipe.erase_probability] = 0
    stretch = 0.5 * 4 ** torch.rand(count, generator=generator)  # height against width: 1/2 to 2
    sides = torch.stack([(share * stretch).sqrt(), (share / stretch).sqrt()], dim=1).clamp(max=1)
    pixels = (sides * torch.tensor(image_size)).round().long()
    starts = torch.tensor(image_size) - pixels + 1
    start = (starts * torch.rand(count, 2, generator=generator)).long()
    return torch.stack([start, start + pixels], dim=2).flatten(1)


def _sampling_grid(maps: Tensor, displacements: Tensor | None, height: int, width: int) -> Tensor:
    """Return the (N, H, W, 2) source positions of all pixels, in `grid_sample`'s coordinates -1..1.

    Positions are linear in the maps and in the displacements of the knots, so all are one product of matrices. This is
    several times as fast as `affine_grid` and `interpolate`, which go through the images one by one.
    """
    device = maps.device
    half = torch.tensor([max(width - 1, 1) / 2, max(height - 1, 1) / 2], device=device)
    factors, terms = [maps], [_pixel_positions(height, width, device)]
    if displacements is not None:
        factors.append(displacements.flatten(2))
        terms.append(_knot_weights(displacements.shape[2], height, width, device))
    positions = (torch.cat(factors, dim=2) / half[:, None]).flatten(0, 1) @ torch.cat(terms)
    return positions.sub_(1).view(-1, 2, height, width).permute(0, 2, 3, 1)


def _pixel_positions(height: int, width: int, device: torch.device) -> Tensor:
    """Return (3, H·W): x, y and 1 of each pixel."""
    rows, columns = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return torch.stack([columns, rows, torch.ones_like(rows)]).float().flatten(1)


def _knot_weights(knots: int, height: int, width: int, device: torch.device) -> Tensor:
    """Return (knots², H·W): the weight of each knot in the bicubic interpolation at each pixel."""
    single = torch.eye(knots**2, device=device).view(1, -1, knots, knots)
    return functional.interpolate(single, (height, width), mode="bicubic", align_corners=True)[0].flatten(1)
