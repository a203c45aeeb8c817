"""The size of the pictures is right, and the ink is where the data is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.inputs.image_set import ImageSet
from hitofude.learning.epoch_log import EpochLog
from hitofude.outputs.plots import (
    DrawnPhoto,
    draw_accuracy,
    draw_loss,
    plot_augmentation,
    plot_curves,
    plot_images,
    plot_photos,
)
from hitofude.recipe import AugmentRecipe

LOGS = [
    EpochLog(member, epoch, 1 / epoch, 1 - 0.2 / epoch, 0.8 / epoch, 1 - 0.1 / epoch, 1e-3, 1.0, 100.0)
    for member in range(3)
    for epoch in range(1, 6)
]


def drawn(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


@pytest.mark.parametrize("draw", [draw_loss, draw_accuracy])
@pytest.mark.parametrize("logs", [LOGS, LOGS[:1]])
def test_learning_curves_show_both_parts(draw: type, logs: list[EpochLog], tmp_path: Path) -> None:
    plot_curves(tmp_path / "curve.png", draw, logs)
    pixels = drawn(tmp_path / "curve.png")
    assert pixels.shape == (600, 960, 3)
    red, blue = pixels[..., 0] - pixels[..., 2], pixels[..., 2] - pixels[..., 0]
    assert (red > 100).sum() > 50, "the training curve"
    assert (blue > 100).sum() > 50, "the validation curve"


def test_a_member_without_validation_rows_has_one_curve(tmp_path: Path) -> None:
    logs = [replace(log, validation_loss=None, validation_accuracy=None) for log in LOGS]
    for draw in (draw_loss, draw_accuracy):
        plot_curves(tmp_path / "curve.png", draw, logs)
        pixels = drawn(tmp_path / "curve.png")
        assert (pixels[..., 0] - pixels[..., 2] > 100).sum() > 50


def test_ink_is_dark_on_white(tmp_path: Path) -> None:
    images = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    plot_images(tmp_path / "blank.png", images, ["", ""])
    images[:, :, 2:6, 2:6] = 255
    plot_images(tmp_path / "inked.png", images, ["", ""])
    assert drawn(tmp_path / "blank.png").min() == 255
    assert drawn(tmp_path / "inked.png").min() == 0


def test_labels_in_any_script_raise_no_warning(tmp_path: Path) -> None:
    plot_images(tmp_path / "sheet.png", np.zeros((1, 1, 8, 8), dtype=np.uint8), ["猫"])
    assert (tmp_path / "sheet.png").exists()


def test_captions_are_text_not_formulas(tmp_path: Path) -> None:
    plot_images(tmp_path / "sheet.png", np.zeros((1, 1, 8, 8), dtype=np.uint8), [r"$\frac{$"])
    assert (tmp_path / "sheet.png").exists()


def test_colour_images_are_shown_in_colour(tmp_path: Path) -> None:
    images = np.zeros((1, 3, 8, 8), dtype=np.uint8)
    images[:, 0] = 255
    plot_images(tmp_path / "red.png", images, [""])
    assert (drawn(tmp_path / "red.png") == [255, 0, 0]).all(axis=2).any()


def test_augmentation_shows_each_original_and_its_versions(tmp_path: Path) -> None:
    images = ImageSet(np.full((2, 1, 8, 8), 255, dtype=np.uint8), np.array([0, 1]), np.array(["a", "b"]), ("0", "1"))
    shrink = AugmentRecipe(min_scale=4, max_scale=4)
    plot_augmentation(tmp_path / "a.png", images, shrink, count=2, versions=3, seed=0)
    left, right = np.split(drawn(tmp_path / "a.png"), [108], axis=1)
    assert right.shape[1] == 3 * 108
    assert (left.sum(axis=2) == 0).mean() > 5 * (right.sum(axis=2) == 0).mean() > 0


def test_a_photo_is_drawn_with_its_boxes_and_the_small_images(tmp_path: Path) -> None:
    picture = np.full((100, 200, 3), (0, 200, 0), dtype=np.uint8)
    boxes, images = [(20, 20, 80, 60), (20, 120, 80, 160)], np.full((2, 1, 28, 28), 255, dtype=np.uint8)
    photo = DrawnPhoto("a.png", picture, boxes, images, [("3  0.99", True), ("8  0.51", False)])
    plot_photos(tmp_path / "seen.png", [photo])
    left, right = np.split(drawn(tmp_path / "seen.png"), [500], axis=1)
    assert ((left == (0, 200, 0)).all(axis=2)).mean() > 0.4, "the picture"
    assert (left[..., 2] - left[..., 0] > 100).sum() > 100, "the box of an answered digit, blue"
    assert (left[..., 0] - left[..., 2] > 100).sum() > 100, "the box of one that is not, orange"
    assert (right.sum(axis=2) == 0).sum() == pytest.approx(2 * (0.82 * 120) ** 2, rel=0.1), "the small images"


def test_a_photo_full_of_digits_is_drawn_in_part(tmp_path: Path) -> None:
    boxes, images = [(0, 0, 9, 9)] * 500, np.zeros((500, 1, 28, 28), dtype=np.uint8)
    photo = DrawnPhoto("a.png", np.zeros((50, 50, 3), dtype=np.uint8), boxes, images, [("3", True)] * 500)
    plot_photos(tmp_path / "seen.png", [photo])
    assert drawn(tmp_path / "seen.png").shape[0] < 2000
