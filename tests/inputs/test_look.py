"""The look of training images is measured: ground, ink, box, and whether they are writing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.look import MNIST, Look, check_ground, check_not_all_alike, inverting, look_of
from hitofude.inputs.scale import PixelScale

RNG = np.random.default_rng(0)


def garments(count: int = 40) -> NDArray[np.uint8]:
    """(N, 1, 28, 28) filled shapes with shaded surfaces, as high as the image."""
    rows, columns = np.mgrid[:28, :28]
    shade = 120 + 80 * np.sin(rows / 5 + RNG.uniform(0, 6, (count, 1, 1))) * np.cos(columns / 4)
    is_cloth = np.abs(columns - 13.5) < RNG.uniform(7, 11, (count, 1, 1))
    return np.where(is_cloth & (rows > 0), shade, 0).astype(np.uint8)[:, None]


def test_digits_look_like_mnist(digits: ImageSet) -> None:
    assert look_of(digits.images) == MNIST


@pytest.mark.parametrize(("ground", "ink"), [(255, 0), (240, 20), (30, 200)])
def test_ground_and_ink_are_found_and_an_image_of_that_look_is_prepared(
    ground: int, ink: int, digits: ImageSet
) -> None:
    like = Look(ground=ground, ink=ink)
    images = like.paint(digits.images / 255)
    found = look_of(images)
    assert (found.ground, found.ink, found.box, found.writing) == (ground, ink, MNIST.box, True)
    assert found.is_light == (ground > ink)
    assert all(found.is_prepared(image[0]) for image in images)
    assert not any(found.is_prepared(like.paint(1 - digit[0] / 255)) for digit in digits.images)


def test_an_uneven_ground_counts_as_ground(digits: ImageSet) -> None:
    noise = RNG.integers(-20, 1, digits.images.shape)
    images = (255 - digits.images.astype(int) + noise).clip(0, 255).astype(np.uint8)
    found = look_of(images)
    assert found.writing
    assert found.is_light
    assert np.mean([found.is_prepared(image[0]) for image in images]) > 0.97


def test_writing_that_fills_the_image_is_writing(digits: ImageSet) -> None:
    found = look_of(np.ascontiguousarray(digits.images[:, :, 4:24, 4:24]))
    assert found.box > 0.9
    assert found.writing


def test_small_digits_of_scikit_learn_are_writing() -> None:
    from sklearn.datasets import load_digits

    found = look_of((load_digits().images * 255 / 16).round().astype(np.uint8)[:, None])
    assert found.writing
    assert found.box == 1


@pytest.mark.parametrize(
    "images",
    [
        garments(),
        RNG.integers(0, 256, (40, 1, 28, 28), dtype=np.uint8),
        RNG.integers(0, 256, (40, 3, 28, 28), dtype=np.uint8),
        np.full((40, 1, 28, 28), 7, dtype=np.uint8),
    ],
    ids=["garments", "noise", "colour", "nothing"],
)
def test_other_things_are_no_writing(images: NDArray[np.uint8]) -> None:
    found = look_of(images)
    assert not found.writing
    assert "not searched for characters" in found.describe()


def test_the_look_is_said_in_a_line() -> None:
    assert Look(ground=255, ink=0).describe() == "dark on light; the writing takes 71 % of the image's longer side"


def test_the_opposite_ground_is_noticed_and_no_other_images(digits: ImageSet) -> None:
    check_ground(digits.images, MNIST, "a")
    check_ground(255 - digits.images, None, "unknown")
    check_ground(255 - digits.images, Look(edge=0.3), "of uneven edges")
    check_ground(RNG.integers(0, 256, digits.images.shape, dtype=np.uint8), MNIST, "noise")
    with pytest.raises(
        InputError, match="a: these images are dark on light, but the training images were light on dark"
    ):
        check_ground(255 - digits.images[:1], MNIST, "a")


def test_images_without_anything_to_learn_are_refused(digits: ImageSet) -> None:
    check_not_all_alike(digits.images, "train")
    check_not_all_alike(digits.images[:1].repeat(9, axis=0), "too few to judge")
    with pytest.raises(InputError, match=r"train: all 10 training images are the same"):
        check_not_all_alike(digits.images[:1].repeat(10, axis=0), "train")
    flat = np.arange(3000, dtype=np.uint16).astype(np.uint8)[:, None, None, None] * np.ones(
        (1, 1, 4, 4), dtype=np.uint8
    )
    with pytest.raises(InputError, match="each of the 3,000 training images has a single value in all its pixels"):
        check_not_all_alike(flat, "train")
    flat[-1, 0, 0, 0] += 1
    check_not_all_alike(flat, "train")


def test_some_images_of_the_other_ground_among_many_are_refused_too(digits: ImageSet) -> None:
    look, images = look_of(digits.images), digits.images[:20].copy()
    check_ground(images, look, "mine.csv")
    images[15:] = 255 - images[15:]
    with pytest.raises(InputError, match=r"mine\.csv: 5 of 20 images are dark on light"):
        check_ground(images, look, "mine.csv")


def test_the_remedy_for_the_other_ground_is_on_the_scale_of_the_numbers() -> None:
    assert "--scale 1..0, in Python scale=(1, 0)" in inverting(PixelScale(0, 1))
    assert "--scale 1..-1," in inverting(PixelScale(-1, 1))
