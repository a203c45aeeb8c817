"""Grey pictures of 16 bits and floats are read with their own numbers, and scaled as a whole folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source, read_images

DEPTHS: dict[str, Any] = {
    "8 bits": lambda pixels: pixels,
    "10 bits": lambda pixels: np.rint(pixels / 255 * 1023).astype(np.uint16),
    "12 bits": lambda pixels: np.rint(pixels / 255 * 4095).astype(np.uint16),
    "16 bits": lambda pixels: pixels * np.uint16(257),
    "floats": lambda pixels: (pixels / 255).astype(np.float32),
}
KINDS = [
    ("8 bits", "png", "0..255"),
    ("10 bits", "png", "0..1023"),
    ("12 bits", "png", "0..4095"),
    ("12 bits", "tiff", "0..4095"),
    ("12 bits", "pgm", "0..4095"),
    ("16 bits", "png", "0..65535"),
    ("floats", "tiff", "0..1"),
]


def draw(folder: Path, digits: ImageSet, depth: str, ending: str, count: int = 40) -> Path:
    for row, (image, label) in enumerate(zip(digits.images[:count, 0], digits.known_labels(), strict=False)):
        path = folder / digits.classes[label] / f"{row}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, DEPTHS[depth](image))
    return folder


def save(path: Path, pixels: NDArray[Any]) -> None:
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize(("depth", "ending", "scale"), KINDS)
def test_a_folder_of_any_depth_holds_the_canonical_images(
    depth: str, ending: str, scale: str, tmp_path: Path, digits: ImageSet
) -> None:
    found = open_source(draw(tmp_path / "plain", digits, "8 bits", "png"))
    deep = open_source(draw(tmp_path / "deep", digits, depth, ending))
    assert str(deep.scale) == scale
    assert np.abs(deep.train.images.astype(int) - found.train.images).max() <= 1


@pytest.mark.parametrize(("depth", "ending", "scale"), KINDS)
def test_pictures_resized_keep_their_depth(
    depth: str, ending: str, scale: str, tmp_path: Path, digits: ImageSet
) -> None:
    found = open_source(draw(tmp_path / "plain", digits, "8 bits", "png"), shape=(14, 14))
    deep = open_source(draw(tmp_path / "deep", digits, depth, ending), shape=(14, 14))
    assert str(deep.scale) == scale
    difference = np.abs(deep.train.images.astype(int) - found.train.images)  # Pillow rounds bytes between two passes
    assert difference.mean() < 0.3
    assert difference.max() < 16


@pytest.mark.parametrize("trained", DEPTHS)
@pytest.mark.parametrize(("depth", "ending", "scale"), KINDS)
def test_pictures_of_any_depth_are_read_by_a_run_on_any_other(
    trained: str, depth: str, ending: str, scale: str, tmp_path: Path, digits: ImageSet
) -> None:
    run = open_source((DEPTHS[trained](digits.images), digits.known_labels()))
    found = read_images(draw(tmp_path, digits, depth, ending, 20), image_shape=(1, 28, 28), trained=run.trained_scale)
    same = {tuple(image.ravel() // 4) for image in found.images.astype(int)}
    assert len(same) == 20
    nearest = np.abs(found.images[:, None].astype(int) - run.train.images[None, :20]).max(axis=(2, 3, 4)).min(axis=1)
    assert nearest.max() <= 1


def test_pictures_of_8_and_of_16_bits_in_one_folder(tmp_path: Path, digits: ImageSet) -> None:
    draw(tmp_path, digits, "8 bits", "png")
    draw(tmp_path, digits, "12 bits", "tiff")
    found = open_source(tmp_path)
    assert str(found.scale) == "0..255"
    images = found.train.images.reshape(40, 2, -1)  # 7.png, 7.tiff
    assert np.abs(images[:, 0].astype(int) - images[:, 1]).max() <= 1


def test_a_picture_with_infinity_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    save(tmp_path / "a" / "1.tiff", np.full((8, 8), np.inf, dtype=np.float32))
    with pytest.raises(InputError, match=r"1\.tiff: .*NaN or infinity"):
        open_source(tmp_path)
