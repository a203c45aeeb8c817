"""Folders of pictures: classes by the folders' names, sizes, colours, and files that are not pictures."""

import io
import os
import shlex
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.formats.naming import natural
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
    draw(tmp_path / "test" / "owl" / "1.png")
    with pytest.raises(InputError, match="picture 1: the label 'owl' does not occur in the training data"):
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


def transparent(path: Path, ink: int, shape: np.ndarray) -> None:
    """Write ink of a grey on nothing. shape: (H, W), the opacity."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.full_like(shape, ink)
    Image.fromarray(np.dstack([grey, grey, grey, shape])).save(path)


@pytest.mark.parametrize(("ink", "ground"), [(255, "black"), (230, "black"), (0, "white"), (128, "white")])
def test_one_background_is_put_behind_all_transparent_pixels_on_which_the_ink_is_seen(
    ink: int, ground: str, tmp_path: Path
) -> None:
    shapes = RNG.integers(0, 2, (12, 8, 8)).astype(np.uint8) * 255
    for number, shape in enumerate(shapes):
        transparent(tmp_path / "train" / f"{number % 2}" / f"{number}.png", ink, shape)
        transparent(tmp_path / "test" / f"{number}.png", ink, shape)
    found = open_source(tmp_path)
    assert found.test is not None
    behind = {"black": 0, "white": 255}[ground]
    assert found.behind == behind
    assert np.array_equal(found.test.images[:, 0], np.where(shapes == 255, ink, behind))
    assert any(f"{ground} behind their transparent pixels" in line for line in found.reading)


def test_opaque_pictures_stay_as_they_are_beside_light_ink_on_nothing(tmp_path: Path) -> None:
    opaque = draw(tmp_path / "a" / "1.png")
    for number in range(2, 6):
        transparent(tmp_path / "a" / f"{number}.png", 255, RNG.integers(0, 2, (8, 6)).astype(np.uint8) * 255)
    found = open_source(tmp_path)
    assert np.array_equal(found.train.images[0, 0], opaque)
    assert (found.train.images[1:].min(axis=(1, 2, 3)) == 0).all()


def test_pictures_that_would_vanish_on_either_background_are_refused(tmp_path: Path) -> None:
    for number in range(20):
        shape = RNG.integers(0, 2, (8, 6)).astype(np.uint8) * 255
        transparent(tmp_path / "a" / f"{number}.png", 255 * (number % 2), shape)
    with pytest.raises(InputError, match="10 cannot be seen on white and 10 cannot be seen on black"):
        open_source(tmp_path)


def test_a_palette_or_a_grey_with_transparency_is_read_like_any(tmp_path: Path) -> None:
    ink = Image.fromarray(RNG.integers(0, 2, (8, 8)).astype(np.uint8) * 255)
    light = Image.new("L", (8, 8), 255)
    (tmp_path / "a").mkdir()
    Image.merge("LA", [light, ink]).save(tmp_path / "a" / "1.png")
    palette = Image.merge("RGBA", [light, light, light, ink]).quantize(4)
    palette.save(tmp_path / "a" / "2.png")
    palette.save(tmp_path / "a" / "3.gif", transparency=palette.info.get("transparency", 0))
    found = open_source(tmp_path)
    assert found.behind == 0
    assert np.array_equal(found.train.images[0, 0], np.asarray(ink))
    assert np.array_equal(found.train.images[1, 0], np.asarray(ink))


def test_unusual_files_of_the_same_picture_read_the_same(tmp_path: Path) -> None:
    pixels = np.kron(RNG.integers(0, 2, (4, 4)), np.ones((8, 8))).astype(np.uint8) * 255
    picture = Image.fromarray(pixels)
    (tmp_path / "a").mkdir()
    names = {"1.PNG": {}, "2.bmp": {}, "3.tiff": {"compression": "tiff_lzw"}, "4.pgm": {}, "5.webp": {"lossless": True}}
    for name, options in names.items():
        picture.save(tmp_path / "a" / name, **options)
    picture.convert("1").save(tmp_path / "a" / "6.png")
    picture.save(tmp_path / "a" / "7", "png")
    picture.convert("CMYK").save(tmp_path / "a" / "8.JPG", quality=100)
    picture.convert("P").save(tmp_path / "a" / "9.gif", save_all=True, append_images=[Image.new("P", picture.size)])
    found = open_source(tmp_path)
    assert len(found.train) == 9
    assert np.abs(found.train.images[:, 0].astype(int) - pixels).max() <= 3
    assert "1 picture of several frames: the first is read" in found.reading


def test_all_damaged_pictures_are_named_with_the_command_that_leaves_them_out(folder: Path) -> None:
    (folder / "ಕ" / "a b.png").write_bytes(b"")
    (folder / "ಕ" / "cut.png").write_bytes(png()[:100])
    with pytest.raises(InputError) as refused:
        open_source(folder)
    message = str(refused.value)
    assert message.startswith("2 of 8 pictures cannot be read:")
    command = shlex.split(message.rpartition("To leave them out: ")[2])
    assert command[0] == "rm"
    for path in command[1:]:
        Path(path).unlink()
    assert len(open_source(folder).train) == 6


def test_if_most_pictures_are_damaged_they_are_not_to_be_removed(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"(?s)6 of 6 pictures .*and 3 more\nSave them as PNG or JPEG\.$"):
        open_source(folder)


def test_other_files_beside_pictures_are_left_aside_and_named(folder: Path) -> None:
    (folder / "ಕ" / "notes.txt").write_text("hello")
    (folder / "LICENSE.md").write_text("free")
    found = open_source(folder)
    assert len(found.train) == 6
    assert all(name in " ".join(found.left_aside) for name in ("notes.txt", "LICENSE.md"))


def test_the_commonest_size_is_the_remedy_for_several(folder: Path) -> None:
    draw(folder / "α, β" / "1.png", size=(9, 6))
    with pytest.raises(InputError, match=r"2 sizes\. All images must have the same size; .* --shape 8x6, the"):
        open_source(folder)
    assert open_source(folder, shape=(8, 6)).train.image_shape == (1, 8, 6)


def test_pictures_are_never_transposed(folder: Path) -> None:
    with pytest.raises(InputError, match=r"pictures are read as they are seen\. Leave out --transpose"):
        open_source(folder, transpose=True)


def test_class_folders_may_be_some_folders_down(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "archive" / "data").mkdir(parents=True)
    folder.rename(tmp_path / "archive" / "data" / "letters")
    assert open_source(tmp_path / "archive").train.classes == ("α, β", "ಕ")


def test_pictures_to_predict_that_would_vanish_on_the_training_images_ground_are_refused(tmp_path: Path) -> None:
    transparent(tmp_path / "1.png", 255, RNG.integers(0, 2, (8, 6)).astype(np.uint8) * 255)
    assert read_images(tmp_path, image_shape=(1, 8, 6), behind=0).images.max() == 255
    with pytest.raises(InputError, match="its ink cannot be seen on white, which is behind the training images"):
        read_images(tmp_path, image_shape=(1, 8, 6), behind=255)
