"""Training images become bytes by their own scale, others by the same one; those on another scale are refused."""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.rescaling import UNKNOWN, Rescaler, TrainedScale, training_scale
from hitofude.inputs.scale import BYTES, PixelScale, parse_scale
from hitofude.inputs.sources import open_source, read_images

SCALES: dict[str, Any] = {
    "0..255": lambda pixels: pixels,
    "0..1": lambda pixels: pixels / 255,
    "0..16": lambda pixels: np.rint(pixels / 255 * 16).astype(int),
    "0..100": lambda pixels: np.rint(pixels / 2.55).astype(int),
    "-1..1": lambda pixels: pixels / 127.5 - 1,
    "0..4095": lambda pixels: pixels.astype(np.uint16) * 16 + 15 * (pixels > 0),
    "standardised": lambda pixels: (pixels / 255 - 0.1307) / 0.3081,
}
each_scale = pytest.mark.parametrize("scale", SCALES)


def file(images: NDArray[Any]) -> RawImages:
    return RawImages("test.csv", images, None, None, row="line", first_row=2)


def trained_on(digits: ImageSet, scale: str, *, inverted: bool = False) -> tuple[TrainedScale, NDArray[Any]]:
    """The scale of a run, and the images that it was trained on."""
    images = SCALES[scale](255 - digits.images if inverted else digits.images)
    dataset = open_source((images, digits.known_labels()))
    return TrainedScale.of(dataset.scale, dataset.train.images), images


@each_scale
def test_other_images_become_the_bytes_that_they_would_be_among_the_training_images(
    scale: str, digits: ImageSet
) -> None:
    trained, images = trained_on(digits, scale)
    found = Rescaler(trained).to_bytes(file(images[:20]))
    assert np.abs(found.astype(int) - digits.images[:20]).max() <= (9 if scale == "0..16" else 2)


@each_scale
@pytest.mark.parametrize("other", SCALES)
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("count", [1, 50])
def test_images_on_another_scale_are_refused(
    scale: str, other: str, inverted: bool, count: int, digits: ImageSet
) -> None:
    trained, _ = trained_on(digits, scale, inverted=inverted)
    _, images = trained_on(digits, other, inverted=inverted)
    rescaler = Rescaler(trained)
    if scale == other:
        rescaler.to_bytes(file(images[:count]))
        return
    with pytest.raises(InputError, match=r"test\.csv: its numbers go from .* on the scale .*--scale"):
        rescaler.to_bytes(file(images[:count]))


@pytest.mark.parametrize("other", SCALES)
def test_the_remedy_works_as_typed(other: str, digits: ImageSet) -> None:
    """The scale that the refusal names leads to the bytes of the canonical images."""
    trained, images = trained_on(digits, "0..255")[0], trained_on(digits, other)[1]
    if other == "0..255":
        return
    with pytest.raises(InputError) as refused:
        Rescaler(trained).to_bytes(file(images))
    low, high = map(float, re.search(r"scale=\((.+), (.+)\)", str(refused.value)).groups())  # type: ignore[union-attr]
    found = Rescaler(trained, PixelScale(low, high)).to_bytes(file(images))
    assert np.abs(found.astype(int) - digits.images).max() <= (9 if other == "0..16" else 2)


@pytest.mark.parametrize("scale", [BYTES, PixelScale(0, 1)])
def test_a_scale_that_many_numbers_exceed_is_refused(scale: PixelScale, digits: ImageSet) -> None:
    with pytest.raises(InputError, match=rf"go from 0 to 4095, and .* lie beyond the scale {scale}.*--scale 0..4095"):
        open_source((SCALES["0..4095"](digits.images), digits.known_labels()), scale=(scale.low, scale.high))


def test_the_scale_of_the_user_holds_for_both_parts(digits: ImageSet) -> None:
    images = digits.images / 255
    found = open_source((images, digits.known_labels()), test=images[:9] / 4, scale=(0, 2))
    assert found.test is not None
    assert (str(found.scale), found.train.images.max(), found.test.images.max()) == ("0..2", 128, 32)


@pytest.mark.parametrize("value", [-1, 256, 999, 0.5])
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_wrong_values_among_bytes_are_named(value: float, count: int, digits: ImageSet) -> None:
    images = digits.images.astype(np.float32)
    images[7, 0, 0, :count] = value
    others = "" if count == 1 else " 3 values are wrong."
    message = rf"line 9, pixel 0: found {value}, expected a whole number .*{re.escape(others)} Fix the value"
    with pytest.raises(InputError, match=message):
        training_scale(file(images))
    with pytest.raises(InputError, match=message):
        Rescaler(trained_on(digits, "0..255")[0]).to_bytes(file(images))


def test_a_blank_image_says_nothing_of_the_scale(digits: ImageSet) -> None:
    trained = trained_on(digits, "0..1")[0]
    assert not Rescaler(trained).to_bytes(file(np.zeros((1, 1, 28, 28)))).any()


def test_dark_images_among_others_are_no_other_scale(digits: ImageSet) -> None:
    trained, images = trained_on(digits, "0..1")
    images[::3] *= 0.1
    Rescaler(trained).to_bytes(file(images))


def test_what_is_counted_is_counted_over_all_blocks(digits: ImageSet) -> None:
    """A last block of one dark image is not refused."""
    trained, images = trained_on(digits, "0..1")
    rescaler = Rescaler(trained)
    rescaler.to_bytes(file(images[:9]))
    rescaler.to_bytes(file(images[9:10] * 0.1))
    with pytest.raises(InputError):
        rescaler.to_bytes(file(images[10:40] * 0.1))


def test_pictures_of_usual_depths_are_read_by_a_run_on_any_scale(digits: ImageSet) -> None:
    """8 bits, 16 bits, and 12 bits in files of 16."""
    trained = trained_on(digits, "0..1")[0]
    for images, nominal in (
        (digits.images, BYTES),
        (digits.images * np.uint16(257), PixelScale(0, 65535)),
        (SCALES["0..4095"](digits.images), PixelScale(0, 65535)),
    ):
        found = Rescaler(trained).to_bytes(replace(file(images), nominal=nominal))
        assert np.abs(found.astype(int) - digits.images).max() <= 2


def test_where_nothing_is_known_of_the_training_images_only_black_ones_are_refused(digits: ImageSet) -> None:
    """Runs of earlier versions, and imported networks."""
    Rescaler(UNKNOWN).to_bytes(file(digits.images // 4))
    with pytest.raises(InputError, match="go from 0 to 1,"):
        Rescaler(UNKNOWN).to_bytes(file(digits.images / 255))


@pytest.mark.parametrize("other", ["0..255", "0..1", "-1..1", "0..16", "standardised"])
def test_standardised_images_are_told_from_those_on_other_scales(other: str, digits: ImageSet) -> None:
    scaler = StandardScaler().fit(digits.images.reshape(300, -1))
    images = scaler.transform(digits.images.reshape(300, -1)).reshape(-1, 1, 28, 28)
    dataset = open_source((images, digits.known_labels()))
    assert dataset.scale.is_standardised
    for row in range(20):
        Rescaler(dataset.trained_scale).to_bytes(file(images[row : row + 1]))
    for count in (1, 300):
        with pytest.raises(InputError):
            Rescaler(dataset.trained_scale).to_bytes(file(trained_on(digits, other)[1][:count]))
    with pytest.raises(InputError, match="standardised"):
        dataset.trained_scale.check_reads_pictures("a.png")


def test_a_scale_far_beyond_the_training_images_is_refused() -> None:
    images = np.linspace(0, 1, 10 * 16).reshape(10, 4, 4)
    with pytest.raises(InputError, match=r"on the scale 0\.\.255 they would have 2 of 256 greys.*--scale 0\.\.1"):
        open_source((images, list("0123456789")), scale=(0, 255))


@pytest.mark.parametrize("scale", [None, (0, 255)])
def test_other_images_that_the_given_scale_makes_black_are_refused(scale: tuple[float, float] | None) -> None:
    trained = TrainedScale.of(BYTES, np.tile(np.arange(0, 256, 17, dtype=np.uint8), (20, 1)).reshape(20, 1, 4, 4))
    given = None if scale is None else PixelScale(*scale)
    raw = RawImages("test.csv", np.linspace(0, 1, 160).reshape(10, 1, 4, 4), None, None)
    with pytest.raises(InputError, match=r"from 0 to 1, but those of the training images .* --scale 0\.\.1"):
        Rescaler(trained, given).to_bytes(raw)


@pytest.mark.parametrize(
    ("other", "scale"),
    [(lambda pixels: pixels / 255, "0..1"), (lambda pixels: 255 - pixels, "255..0")],
    ids=["scale", "ground"],
)
@pytest.mark.parametrize("kind", ["folder", "npz"])
def test_a_source_with_two_scales_or_grounds_is_refused_with_commands_that_read_both_parts(
    kind: str, other: Any, scale: str, digits: ImageSet, tmp_path: Path
) -> None:
    few = digits.take(np.arange(100))
    labels, images, source = few.known_labels(), few.images[:, 0], tmp_path / "digits"
    source.mkdir()
    np.savez(source / "train.npz", images=images, labels=labels)
    np.savez(source / "test.npz", images=other(images))
    if kind == "npz":
        source = tmp_path / "digits.npz"
        np.savez(source, x_train=images, y_train=labels, x_test=other(images))
    with pytest.raises(InputError) as refusal:
        open_source(source)
    run, predict = str(refusal.value).splitlines()[1:]
    assert shlex.split(run) == ["hitofude", "run", "--train", str(source), "--run", "runs/digits"]
    assert shlex.split(predict)[1:6] == ["predict", "runs/digits", str(source), "--scale", scale]
    alone = open_source(train=source)
    read = read_images(source, image_shape=(1, 28, 28), trained=alone.trained_scale, scale=parse_scale(scale))
    assert alone.test is None
    assert np.array_equal(read.images, few.images)


def test_specks_on_empty_images_tell_nothing_about_the_scale(digits: ImageSet) -> None:
    trained, _ = trained_on(digits, "0..255")
    images = digits.images[:12].copy()
    images[3:] = 0
    images[3:, 0, 14, 14] = 1
    assert np.array_equal(Rescaler(trained).to_bytes(file(images)), images)


def test_mostly_dark_images_are_refused_until_their_scale_is_named(digits: ImageSet) -> None:
    trained, _ = trained_on(digits, "0..255")
    images = digits.images[:12].copy()
    images[3:] //= 16
    with pytest.raises(InputError, match=r"9 of 12 images are much darker .* --scale 0\.\.255"):
        Rescaler(trained).to_bytes(file(images))
    assert np.array_equal(Rescaler(trained, BYTES).to_bytes(file(images)), images)
