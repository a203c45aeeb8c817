"""Folders of pictures: classes by the folders' names, sizes, colours, and files that are not pictures."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.formats.pictures import natural
from hitofude.inputs.sources import open_source, read_images

RNG = np.random.default_rng(0)


def draw(path: Path, *, size: tuple[int, int] = (8, 6), colour: bool = False) -> np.ndarray:
    """Write a picture of noise and return its pixels (H, W) or (H, W, 3)."""
    pixels = RNG.integers(0, 256, (*size, 3) if colour else size).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ಕ", "α, β"):
        for number in (1, 2, 10):
            draw(tmp_path / "letters" / name / f"{number}.png")
    return tmp_path / "letters"


def test_folders_name_the_classes_and_files_stand_in_natural_order(folder: Path) -> None:
    found = open_source(folder)
    assert found.test is None
    assert found.train.classes == ("α, β", "ಕ")
    assert found.train.image_shape == (1, 8, 6)
    assert found.train.ids.tolist() == [f"{name}/{n}.png" for name in ("α, β", "ಕ") for n in (1, 2, 10)]
    expected = np.asarray(Image.open(folder / "ಕ" / "10.png"))
    assert np.array_equal(found.train.images[5, 0], expected)


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["a10b2", "a2b10", "a2b9", "b1", "10", "9"]
    assert sorted(names, key=natural) == ["9", "10", "a2b9", "a2b10", "a10b2", "b1"]


def test_what_systems_leave_behind_is_left_aside(folder: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".hidden.png"):
        (folder / "ಕ" / name).write_bytes(b"\0")
    (folder / ".git").mkdir()
    (folder / "README.txt").write_text("letters")
    assert len(open_source(folder).train) == 6


@pytest.mark.parametrize("with_classes", [True, False])
def test_a_test_folder_may_have_classes_or_none(folder: Path, with_classes: bool, tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    folder.rename(tmp_path / "both" / "train")
    pixels = [draw(tmp_path / "both" / "test" / ("ಕ" if with_classes else "") / f"{n}.png") for n in (2, 11)]
    found = open_source(tmp_path / "both").test
    assert found is not None
    assert np.array_equal(found.images[:, 0], np.stack(pixels))
    assert found.ids.tolist() == (["ಕ/2.png", "ಕ/11.png"] if with_classes else ["2.png", "11.png"])
    assert (found.labels is not None) == with_classes
    assert np.array_equal(read_images(tmp_path / "both", image_shape=(1, 8, 6)).images, found.images)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "bicycle"):
        draw(tmp_path / name / "1.png")
    assert open_source(tmp_path).train.classes == ("bicycle", "train")


def test_a_folder_is_grey_when_all_its_pictures_are(folder: Path) -> None:
    pixels = np.asarray(Image.open(folder / "ಕ" / "1.png"))
    Image.fromarray(np.repeat(pixels[:, :, None], 3, axis=2)).save(folder / "ಕ" / "1.png")
    assert open_source(folder).train.image_shape == (1, 8, 6)
    coloured = draw(folder / "ಕ" / "2.png", colour=True)
    found = open_source(folder).train.images
    assert found.shape == (6, 3, 8, 6)
    assert np.array_equal(found[4], coloured.transpose(2, 0, 1))
    assert np.array_equal(found[3], np.stack([pixels] * 3))
    assert open_source(folder, shape=(8, 6, 1)).train.image_shape == (1, 8, 6)


def test_pictures_of_several_sizes_are_brought_to_one(folder: Path) -> None:
    draw(folder / "ಕ" / "2.png", size=(9, 6))
    with pytest.raises(InputError, match=r"ಕ/2\.png: 9x6 pixels, but .*1\.png has 8x6.*--shape"):
        open_source(folder)
    assert open_source(folder, shape=(5, 7)).train.image_shape == (1, 5, 7)


def test_large_pictures_need_a_size(tmp_path: Path) -> None:
    for name in "ab":
        draw(tmp_path / name / "1.jpg", size=(200, 300))
    with pytest.raises(InputError, match=r"200x300 pixels.*--shape 64x64"):
        open_source(tmp_path)
    assert open_source(tmp_path, shape=(20, 30)).train.image_shape == (1, 20, 30)


def test_pictures_to_predict_must_be_like_those_learned_from(folder: Path) -> None:
    with pytest.raises(InputError, match=r"8x6 pixels, but the training images have 28x28.*--shape 28x28"):
        read_images(folder, image_shape=(1, 28, 28))
    assert read_images(folder, image_shape=(1, 28, 28), shape=(28, 28)).image_shape == (1, 28, 28)
    assert read_images(folder, image_shape=(3, 8, 6)).image_shape == (3, 8, 6)
    draw(folder / "ಕ" / "2.png", colour=True)
    with pytest.raises(InputError, match=r"2\.png: in colour.*--shape 8x6x1"):
        read_images(folder, image_shape=(1, 8, 6))


def bomb() -> bytes:
    """A PNG whose header claims 60,000 × 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (40, 40)).astype(np.uint8)).save(stream, "png")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("3.png", b"", "3.png: this is not a picture that can be read"),
        ("3.png", b"<html>", "3.png: this is not a picture that can be read"),
        ("3.png", png()[:200], "3.png: the picture is damaged or cut short"),
        ("3.png", bomb(), r"3.png: the picture has more than 50,000,000 pixels"),
        ("3.png", bomb().replace(struct.pack(">I", 60_000), struct.pack(">I", 8_000)), "3.png"),
        ("notes.heic", b"hello", r"notes\.heic: pictures of this kind cannot be read\. Save it as PNG or JPEG"),
        ("inner/3.png", png(), "inner: a folder inside a class folder"),
        ("../3.png", png(), "3.png: this picture is not in a class folder"),
        ("../empty/.keep", b"", "empty: there is no picture of the class 'empty'"),
        ("a\nb.png", png(), r"the file name contains control characters or invalid UTF-8\. Rename 'a\\nb.png'"),
    ],
)
def test_a_wrong_file_is_named(name: str, content: bytes, message: str, folder: Path) -> None:
    path = folder / "ಕ" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_source(folder)


def test_a_name_that_is_not_utf_8_is_refused(folder: Path) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff"))).mkdir()
    with pytest.raises(InputError, match="control characters or invalid UTF-8"):
        open_source(folder)


@pytest.mark.parametrize("inner", ["", "cat", "train/cat"])
def test_an_empty_folder_says_what_is_expected(inner: str, tmp_path: Path) -> None:
    (tmp_path / inner).mkdir(parents=True, exist_ok=True)
    if inner.startswith("train"):
        with pytest.raises(InputError, match="cat: there is no picture of the class 'cat'"):
            open_source(tmp_path)
        return
    with pytest.raises(InputError, match=r"nor train\.csv\.gz, train\.npz, train\.parquet, IDX files or a folder"):
        open_source(tmp_path)


def test_a_test_picture_of_an_unknown_class_is_named(folder: Path, tmp_path: Path) -> None:
    draw(tmp_path / "test" / "unknown" / "1.png")
    with pytest.raises(InputError, match="picture 1: the label 'unknown' does not occur in the training data"):
        open_source(train=folder, test=tmp_path / "test")


def test_every_kind_of_picture_becomes_eight_bits(tmp_path: Path) -> None:
    grey = np.array([[0, 128], [255, 64]], dtype=np.uint8)
    (tmp_path / "a").mkdir()
    Image.fromarray(grey).save(tmp_path / "a" / "1.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "a" / "2.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "a" / "3.gif")
    clear = np.dstack([np.zeros((2, 2, 3), dtype=np.uint8), 255 - grey])
    Image.fromarray(clear).save(tmp_path / "a" / "4.png")
    turned = Image.fromarray(np.rot90(grey).copy())
    turned.save(tmp_path / "a" / "5.tiff", exif={0x0112: 6})
    found = open_source(tmp_path).train.images
    assert found.shape == (5, 1, 2, 2)
    for image in found:
        assert np.abs(image[0].astype(int) - grey).max() <= 1
