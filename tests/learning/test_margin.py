import numpy as np
import pytest

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.ensemble import plan_members
from hitofude.learning.margin import blank_margin, settle_margin
from hitofude.recipe import Recipe

BLANK = {"network.name": "vgg-24", "network.margin": "blank", "ensemble.folds": 2}


def images(side: int, margin: int, *, stray: float = 0.0, channels: int = 1) -> ImageSet:
    """Return random images that are black in the margin, but for `stray` times the brightness of the inner pixels."""
    random = np.random.default_rng(0)
    pixels = random.integers(100, 200, (20, channels, side, side))
    is_inner = np.zeros((side, side), dtype=bool)
    is_inner[margin : side - margin, margin : side - margin] = True
    pixels = np.where(is_inner, pixels, stray * pixels).astype(np.uint8)
    return ImageSet(pixels, np.arange(20) % 2, np.array([], dtype=np.str_), ("a", "b"))


@pytest.mark.parametrize(
    ("side", "blank", "margin"), [(28, 5, 2), (28, 1, 1), (28, 0, 0), (13, 3, 0), (14, 3, 1), (64, 4, 4)]
)
def test_the_margin_is_blank_and_at_most_a_fourteenth_of_the_side(side: int, blank: int, margin: int) -> None:
    assert blank_margin(images(side, blank)) == margin
    assert blank_margin(images(side, blank, channels=3)) == margin


def test_a_little_brightness_in_the_margin_does_not_matter_and_more_does() -> None:
    assert blank_margin(images(28, 2, stray=0.01)) == 2
    assert blank_margin(images(28, 2, stray=0.1)) == 0


def test_a_recipe_gets_the_number_in_its_own_setting_and_in_those_of_its_variants() -> None:
    variants = [{"network.margin": 0}, {"network.margin": "blank", "network.name": "vgg-32"}, {}]
    settled = settle_margin(Recipe().with_settings({**BLANK, "ensemble.variants": variants}), images(28, 2))
    assert settled.network.margin == 2
    assert [settled.variant(turn).network.full_name for turn in range(3)] == [
        "vgg-24",
        "vgg-32-margin-2",
        "vgg-24-margin-2",
    ]
    assert settle_margin(settled, images(28, 0)) == settled, "a number stays"


def test_members_are_planned_with_the_margin_of_the_training_images() -> None:
    recipe = Recipe().with_settings(BLANK)
    assert {member.network for member in plan_members(recipe, images(28, 2))} == {"vgg-24-margin-2"}
    assert {member.network for member in plan_members(recipe, images(28, 0))} == {"vgg-24"}
