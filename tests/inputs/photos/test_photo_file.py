"""Picture files are read upright, bounded and on an opaque background; others are refused with the reason."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.photos.photo_file import REDUCED_PIXELS, is_picture, read_photo_file

CORNER = np.pad(np.zeros((10, 10, 3), dtype=np.uint8), ((0, 30), (0, 50), (0, 0)), constant_values=255)
"""(40, 60, 3), black at the top left."""


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def png_header(width: int, height: int) -> bytes:
    """Return a PNG of this size without its pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.bmp", "a.tif", "a.ppm", "a.webp", "A.PNG"])
def test_a_picture_is_read_in_many_formats(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / name, CORNER, **({"lossless": True} if name.endswith("webp") else {}))
    assert is_picture(path)
    assert np.array_equal(read_photo_file(path), CORNER)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_the_camera_says(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = CORNER if orientation < 5 else CORNER.transpose(1, 0, 2)
    stored = {1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1]}.get(orientation, stored)
    stored = {6: stored[::-1], 7: stored[::-1, ::-1], 8: stored[:, ::-1]}.get(orientation, stored)
    path = saved(tmp_path / "turned.png", np.ascontiguousarray(stored), exif=exif)
    assert np.array_equal(read_photo_file(path), CORNER)


@pytest.mark.parametrize("ink", [0, 255])
def test_ink_on_a_transparent_picture_gets_a_contrasting_background(ink: int, tmp_path: Path) -> None:
    opacity = np.where(CORNER[..., :1] == 0, 255, 0).astype(np.uint8)
    pixels = np.concatenate([np.full_like(CORNER, ink), opacity], axis=2)
    read = read_photo_file(saved(tmp_path / "drawn.png", pixels))
    assert read[0, 0, 0] == ink
    assert read[-1, -1, 0] == 255 - ink


def test_transparent_corners_of_a_sheet_have_its_colour(tmp_path: Path) -> None:
    pixels = np.full((40, 60, 4), (250, 240, 200, 255), dtype=np.uint8)
    pixels[:5, :5] = 0
    assert (read_photo_file(saved(tmp_path / "sheet.png", pixels)) == (250, 240, 200)).all()


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    pixels = np.linspace(1000, 60000, 2400).reshape(40, 60).astype(np.uint16)
    read = read_photo_file(saved(tmp_path / "scan.png", pixels))[..., 0]
    assert np.abs(read / 255 - (pixels - 1000) / 59000).max() < 0.01


def test_a_large_picture_is_reduced(tmp_path: Path) -> None:
    read = read_photo_file(saved(tmp_path / "large.png", np.kron(CORNER, np.ones((45, 45, 1), dtype=np.uint8))))
    assert read.shape[0] * read.shape[1] <= REDUCED_PIXELS
    assert read.shape[1] == pytest.approx(1.5 * read.shape[0], abs=2)


@pytest.mark.parametrize("size", [(50_000, 50_000), (11_000, 11_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_before_they_are_decoded(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(png_header(*size))
    with pytest.raises(InputError, match=r"bomb\.png: the picture has more than 120,000,000 pixels"):
        read_photo_file(tmp_path / "bomb.png")


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(CORNER), Image.fromarray(255 - CORNER)]
    for name in ("moving.gif", "pages.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        with pytest.raises(InputError, match="holds 2 pictures"):
            read_photo_file(tmp_path / name)


def test_a_phones_second_picture_is_ignored(tmp_path: Path) -> None:
    frames = [Image.fromarray(CORNER), Image.fromarray(255 - CORNER)]
    frames[0].save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert np.abs(read_photo_file(tmp_path / "phone.jpg").astype(int) - CORNER).mean() < 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.png", b"", "not a picture that can be read"),
        ("text.png", b"id,label\n1,2\n", "not a picture that can be read"),
        ("phone.heic", b"\0\0\0\x18ftypheic", "Save it as PNG or JPEG"),
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "not a picture"),
    ],
)
def test_a_file_that_is_not_a_picture_is_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_photo_file(tmp_path / name)


def test_a_missing_picture_and_a_folder_of_that_name_are_named(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"none\.png: there is no such file"):
        read_photo_file(tmp_path / "none.png")
    with pytest.raises(InputError, match=r"folder\.png"):
        read_photo_file(tmp_path / "folder.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_picture_cut_short_or_damaged_is_read_or_refused_but_never_a_bug(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{kind.lower()}"
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    whole = saved(path, noise, format=kind).read_bytes()
    generator, refused = np.random.default_rng(1), 0
    for trial in range(60):
        damaged = bytearray(whole)
        damaged[int(generator.integers(len(whole)))] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged if trial % 2 else damaged[: int(generator.integers(1, len(whole)))])
        try:
            read_photo_file(path)
        except InputError:
            refused += 1
    assert refused >= 25


def test_reading_neither_changes_pillows_settings_nor_warns(tmp_path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_photo_file(saved(tmp_path / "a.png", np.zeros((9500, 9500), dtype=np.uint8)))
    assert limit == Image.MAX_IMAGE_PIXELS
