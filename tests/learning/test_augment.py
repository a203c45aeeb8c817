"""Augmentation: the affine map against scikit-image, and the images that stay unchanged."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import AffineTransform
from skimage.transform import warp as skimage_warp

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.augment import about_center, affine_maps, augment, draw_maps, draw_transforms, erase, warp
from hitofude.recipe import AugmentRecipe

TOLERANCE = 1e-3


def one_map(scale: tuple[float, float], rotation: float, shear: float, translation: tuple[int, int]) -> torch.Tensor:
    """(1, 2, 3); angles in degrees."""
    angles = torch.deg2rad(torch.tensor([[rotation], [shear]]))
    return affine_maps(torch.tensor([scale]), angles[0], angles[1], torch.tensor([translation]).float())


@settings(deadline=None, max_examples=60)
@given(
    scale=st.tuples(st.floats(0.7, 1.4), st.floats(0.7, 1.4)),
    rotation=st.floats(-40, 40),
    shear=st.floats(-30, 30),
    translation=st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
    size=st.sampled_from([(28, 28), (20, 33)]),
)
def test_the_tutorials_map_is_scikit_images(
    scale: tuple[float, float], rotation: float, shear: float, translation: tuple[int, int], size: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).random(size, dtype=np.float32)
    transform = AffineTransform(
        scale=scale, rotation=np.deg2rad(rotation), shear=np.deg2rad(shear), translation=translation
    )
    expected = skimage_warp(image, transform, output_shape=size, order=1, mode="constant", cval=0)
    found = warp(torch.from_numpy(image)[None, None], one_map(scale, rotation, shear, translation))
    assert np.abs(found[0, 0].numpy() - expected).max() < TOLERANCE


def test_a_map_about_the_centre_is_scikit_images_between_two_shifts() -> None:
    image = np.random.default_rng(1).random((20, 33), dtype=np.float32)
    centre = np.array([16.0, 9.5])
    linear = AffineTransform(scale=(0.9, 1.2), rotation=0.3, shear=0.1)
    back_and_on = AffineTransform(translation=centre + np.array([2.0, -1.0]))
    transform = AffineTransform(translation=-centre) + linear + back_and_on
    expected = skimage_warp(image, transform, order=1)
    maps = affine_maps(
        torch.tensor([[0.9, 1.2]]), torch.tensor([0.3]), torch.tensor([0.1]), torch.tensor([[2.0, -1.0]])
    )
    found = warp(torch.from_numpy(image)[None, None], about_center(maps, (20, 33)))
    assert np.abs(found[0, 0].numpy() - expected).max() < TOLERANCE


def test_a_whole_pixel_shift_moves_pixels_unchanged_and_fills_with_black() -> None:
    image = torch.rand(1, 1, 28, 28)
    moved = warp(image, one_map((1, 1), 0, 0, (3, 0)))
    assert torch.allclose(moved[..., :-3], image[..., 3:], atol=1e-5)
    assert torch.equal(moved[..., -3:], torch.zeros(1, 1, 28, 3))


def test_the_identity_leaves_every_bit() -> None:
    images = torch.rand(5, 1, 28, 28)
    assert torch.equal(warp(images, torch.eye(2, 3).expand(5, 2, 3)), images)


def test_the_probability_is_the_share_of_images_that_change(digits: ImageSet) -> None:
    images = torch.from_numpy(digits.images).float()
    recipe = AugmentRecipe(probability=0.5)
    changed = (augment(images, recipe, torch.Generator().manual_seed(0)) != images).flatten(1).any(dim=1)
    assert 0.4 < changed.float().mean() < 0.6
    none = AugmentRecipe(probability=0.0)
    assert torch.equal(augment(images, none, torch.Generator().manual_seed(0)), images)


def test_translations_are_whole_pixels_and_unbiased() -> None:
    recipe = AugmentRecipe(min_scale=1, max_scale=1, max_rotation=0, max_shear=0, max_translation=2)
    shifts = draw_maps(10_000, recipe, (28, 28), torch.Generator().manual_seed(0))[:, :, 2]
    values, counts = shifts.round(decimals=4).unique(return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert counts.min() > 0.19 * 20_000, "both ends are drawn as often as the middle"


@pytest.mark.parametrize("about", ["center", "origin"])
def test_parameters_stay_within_their_limits(about: str) -> None:
    recipe = AugmentRecipe.model_validate(
        {"min_scale": 0.8, "max_scale": 1.2, "max_rotation": 0.0, "max_shear": 0.0, "about": about}
    )
    maps = draw_maps(2_000, recipe, (28, 28), torch.Generator().manual_seed(0))
    scales = torch.stack([maps[:, 0, 0], maps[:, 1, 1]])
    assert 0.8 <= scales.min() < 0.81
    assert 1.19 < scales.max() <= 1.2
    assert not torch.equal(scales[0], scales[1]), "x and y are drawn separately"


def test_the_same_generator_draws_the_same() -> None:
    first, second = (draw_maps(9, AugmentRecipe(), (28, 28), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


UNMOVED = {"min_scale": 1.0, "max_scale": 1.0, "max_rotation": 0.0, "max_shear": 0.0, "max_translation": 0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_equal_displacements_are_skimages_translation() -> None:
    image = torch.rand(20, 28, generator=seeded()).numpy()
    knots = torch.zeros(1, 2, 2, 2)
    knots[0, 0] = torch.tensor([[1.5, 1.5], [1.5, 1.5]])  # x
    knots[0, 1] = torch.tensor([[-2.0, -2.0], [-2.0, -2.0]])  # y
    found = warp(torch.from_numpy(image)[None, None], torch.eye(2, 3)[None], knots)[0, 0].numpy()
    expected = skimage_warp(image, AffineTransform(translation=(1.5, -2.0)), order=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_displaced_corner_leaves_the_opposite_corner() -> None:
    image = torch.rand(1, 1, 28, 28, generator=seeded())
    knots = torch.zeros(1, 2, 4, 4)
    knots[:, :, 0, 0] = 2.0
    moved = warp(image, torch.eye(2, 3)[None], knots)
    assert not torch.allclose(moved[..., :5, :5], image[..., :5, :5], atol=0.05)
    assert torch.allclose(moved[..., -4:, -4:], image[..., -4:, -4:], atol=1e-4)


def test_elastic_displacements_have_their_standard_deviation_and_no_bias() -> None:
    recipe = AugmentRecipe(**UNMOVED, elastic_std=1.5, elastic_grid=4)
    displacements = draw_transforms(2_000, recipe, (28, 28), seeded()).displacements
    assert displacements is not None
    assert displacements.shape == (2_000, 2, 4, 4)
    assert displacements.std().item() == pytest.approx(1.5, rel=0.02)
    assert abs(displacements.mean().item()) < 0.03


def test_unwarped_images_are_neither_cropped_nor_displaced(digits: ImageSet) -> None:
    images = torch.from_numpy(digits.images).float()
    recipe = AugmentRecipe(probability=0.5, elastic_std=2.0, min_crop=0.7)
    changed = (augment(images, recipe, seeded()) != images).flatten(1).any(dim=1)
    assert 0.4 < changed.float().mean() < 0.6


def test_a_crop_enlarges_a_window_within_the_image() -> None:
    maps = draw_transforms(2_000, AugmentRecipe(**UNMOVED, min_crop=0.6), (20, 30), seeded()).maps
    corners = torch.tensor([[0.0, 0.0, 1.0], [29.0, 19.0, 1.0]]).T
    first, last = (maps @ corners).unbind(dim=2)
    assert first.min() >= -1e-4
    assert last[:, 0].max() <= 29 + 1e-4
    assert last[:, 1].max() <= 19 + 1e-4
    share = (last - first) / torch.tensor([29.0, 19.0])
    assert 0.6 <= share.min() < 0.61
    assert 0.99 < share.max() <= 1.0001


def test_a_crop_is_taken_before_the_affine_map_reads_from_it() -> None:
    """The rotation is about the centre of the cropped image, so its source stays within the window's range."""
    recipe = AugmentRecipe(**(UNMOVED | {"max_rotation": 30.0}), min_crop=0.5)
    maps = draw_transforms(500, recipe, (28, 28), seeded()).maps
    middle = maps @ torch.tensor([13.5, 13.5, 1.0])
    assert middle.min() >= 13.5 * 0.5 - 1e-3, "the window's centre stays where the window allows"
    assert middle.max() <= 27 - 13.5 * 0.5 + 1e-3


def test_erasing_blackens_only_the_rectangle() -> None:
    images = torch.ones(2, 3, 6, 8)
    erased = erase(images, torch.tensor([[1, 3, 2, 7], [0, 0, 0, 0]]))
    assert erased[0].sum() == 3 * (6 * 8 - 2 * 5)
    assert not erased[0, :, 1:3, 2:7].any()
    assert torch.equal(erased[1], images[1])


def test_the_erase_probability_is_the_share_of_images_and_the_area_is_bounded() -> None:
    recipe = AugmentRecipe(probability=0.0, erase_probability=0.4, erase_max_area=0.25)
    left = augment(torch.ones(3_000, 1, 28, 28), recipe, seeded()).mean(dim=(1, 2, 3))
    assert 0.36 < (left < 1).float().mean() < 0.42, "some rectangles round to nothing"
    assert left.min() > 1 - 0.25 - 0.04
