"""A picture becomes named images of its digits; one in the format of the training data is used unchanged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.photos.photo import MAX_DIGITS, read_photo


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def bars(count: int) -> np.ndarray:
    """A row of dark bars on white."""
    cell = np.pad(np.zeros((30, 6), dtype=np.uint8), 10, constant_values=255)
    return np.tile(cell, (1, count))


def test_the_digits_of_a_picture_are_numbered(tmp_path: Path) -> None:
    found = read_photo(saved(tmp_path / "photo.png", bars(3)), (28, 28))
    assert found.images.shape == (3, 1, 28, 28)
    assert found.ids == [f"{tmp_path / 'photo.png'}#{number}" for number in (1, 2, 3)]
    assert [box[1] for box in found.boxes] == [10, 36, 62]


def test_an_image_of_the_training_set_is_used_unchanged(digits: ImageSet, tmp_path: Path) -> None:
    for number, image in enumerate(digits.images[:50]):
        found = read_photo(saved(tmp_path / f"{number}.png", image[0]), (28, 28))
        assert np.array_equal(found.images[0], image)


def test_dark_on_light_of_that_size_is_prepared(digits: ImageSet, tmp_path: Path) -> None:
    found = read_photo(saved(tmp_path / "dark.png", 255 - digits.images[0, 0]), (28, 28))
    assert found.images[0, 0, 0, 0] == 0
    assert np.corrcoef(found.images[0].ravel(), digits.images[0].ravel())[0, 1] > 0.5


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (300, 400)])
@pytest.mark.parametrize("grey", [0, 255])
def test_a_picture_without_writing_is_refused_with_a_remedy(shape: tuple[int, int], grey: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "blank.png", np.full(shape, grey, dtype=np.uint8))
    with pytest.raises(InputError, match=r"blank\.png: no writing found.* darker pen"):
        read_photo(path, (28, 28))


def test_noise_is_not_writing(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="no writing found"):
        read_photo(saved(tmp_path / "noise.png", noise), (28, 28))


def test_a_strip_and_a_sheet_of_too_many_characters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one side is more than 100 times the other"):
        read_photo(saved(tmp_path / "strip.png", np.zeros((1, 4000), dtype=np.uint8)), (28, 28))
    dots = np.tile(np.pad(np.zeros((8, 8), dtype=np.uint8), 6, constant_values=255), (40, 40))
    with pytest.raises(InputError, match=f"more than {MAX_DIGITS:,} characters"):
        read_photo(saved(tmp_path / "dots.png", dots), (28, 28))
