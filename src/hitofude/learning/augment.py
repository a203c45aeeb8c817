"""Random affine maps of whole batches, on the device where the images are.

The tutorial transforms one image at a time with scikit-image; here an epoch's maps are drawn at once, as one
small tensor, and a batch is warped by one `grid_sample`.

A map is a 2×3 matrix that takes a pixel of the result, as (x, y, 1), to the place in the original that it is
read from, as `skimage.transform.warp(image, AffineTransform(...))` has it; pixel centres are whole numbers.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from hitofude.recipe import AugmentRecipe


def draw_maps(count: int, recipe: AugmentRecipe, image_size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Draw (count, 2, 3) float32 maps; a share of 1 - rate of them is the identity.

    image_size: (H, W) in pixels; it matters only for maps about the centre.
    """

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
    if recipe.about == "center":
        maps = about_center(maps, image_size)
    untouched = torch.rand(count, generator=generator) >= recipe.rate
    return torch.where(untouched[:, None, None], torch.eye(2, 3), maps)


def affine_maps(scale: Tensor, rotation: Tensor, shear: Tensor, translation: Tensor) -> Tensor:
    """(N, 2, 3) maps about the origin, with the parameters of `skimage.transform.AffineTransform`.

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
    """The same maps with the centre of the image, (H, W) pixels, as the fixed point of their linear part."""
    height, width = image_size
    center = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    linear, translation = maps[:, :, :2], maps[:, :, 2]
    return torch.cat([linear, (translation + center - linear @ center)[:, :, None]], dim=2)


def warp(images: Tensor, maps: Tensor, *, some_untouched: bool = True) -> Tensor:
    """Warp each image by its map: bilinear, black outside; where the map is the identity the image stays as it is.

    images: (N, C, H, W) float; maps: (N, 2, 3) float32 on the same device. some_untouched: False where no map is
    the identity, which saves looking for it. Returns the shape of images.
    """
    grid = _sampling_grid(maps, *images.shape[2:])
    warped = functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    if not some_untouched:
        return warped
    is_identity = (maps == torch.eye(2, 3, device=maps.device)).all(dim=2).all(dim=1)
    return torch.where(is_identity[:, None, None, None], images, warped)


def augment(images: Tensor, recipe: AugmentRecipe, generator: torch.Generator) -> Tensor:
    """Draw a map for each image, and warp it.

    images: (N, C, H, W) float, any device; generator: a CPU generator.
    """
    height, width = images.shape[2:]
    maps = draw_maps(len(images), recipe, (height, width), generator).to(images.device)
    return warp(images, maps, some_untouched=recipe.rate < 1)


def _sampling_grid(maps: Tensor, height: int, width: int) -> Tensor:
    """(N, H, W, 2) the place in the original of each pixel, in the coordinates -1..1 of `grid_sample`.

    One product of all maps with all pixels; `affine_grid` makes one an image and takes several times as long.
    """
    rows, columns = torch.meshgrid(
        torch.arange(height, device=maps.device), torch.arange(width, device=maps.device), indexing="ij"
    )
    pixels = torch.stack([columns, rows, torch.ones_like(rows)]).float().reshape(3, height * width)
    half_width, half_height = max(width - 1, 1) / 2, max(height - 1, 1) / 2
    scaled = torch.stack([maps[:, 0] / half_width, maps[:, 1] / half_height], dim=1)
    scaled[:, :, 2] -= 1
    places = scaled.reshape(-1, 3) @ pixels
    return places.reshape(-1, 2, height, width).permute(0, 2, 3, 1)
