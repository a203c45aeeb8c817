"""The page reads pictures as Python does: its modules run in a real browser, and Python's are the oracle."""

import base64
import io
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pytest
from benchmarks.written_digits import WrittenPicture, write_pictures
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from hitofude.errors import InputError
from hitofude.inputs.look import MNIST, Look
from hitofude.inputs.photos.mnist_format import to_image
from hitofude.inputs.photos.photo import Photo, read_photo
from tests.web.browsing import browsing
from tests.web.sites import PAGE, hosting

LIGHT = Look(ground=240, ink=20, box=0.9, behind=0)
LOOKS = {"as MNIST": MNIST, "dark on light": LIGHT}
DIGITS = {"image_shape": [1, 28, 28], "reads_writing": True, "look": asdict(MNIST)}
READ = """async ([file, model]) => {
    const [{ openPhoto }, { readPhoto }] = await Promise.all([import("./photo-file.js"), import("./photo.js")]);
    const { picture } = await openPhoto(new Blob([Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0))]));
    const { problem, boxes, images } = readPhoto(picture, model);
    return { problem, boxes, images: images?.map((image) => Array.from(image)) };
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page from which only the modules are loaded."""
    with browsing() as browser, hosting(PAGE) as url:
        page = browser.new_page()
        page.goto(f"{url}style.css")
        yield page


def saved(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    return stream.getvalue()


def read(page: Page, content: bytes, model: dict[str, Any] = DIGITS) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(READ, [base64.b64encode(content).decode(), model])
    return found


def by_python(content: bytes, look: Look = MNIST) -> Photo | None:
    try:
        return read_photo(content, (28, 28), look, name="picture.png")
    except InputError:
        return None


SMALL = [picture for picture in write_pictures(40, seed=6) if max(picture.image.size) <= 1000]


@pytest.mark.parametrize(
    ("written", "look"),
    [
        pytest.param(picture, look, id=f"{picture.kind}, {name}")
        for name, look in LOOKS.items()
        for picture in (SMALL if look is MNIST else SMALL[:4])
    ],
)
def test_the_same_digits_are_found_and_prepared_alike(page: Page, written: WrittenPicture, look: Look) -> None:
    content = saved(written.image)
    expected, found = by_python(content, look), read(page, content, DIGITS | {"look": asdict(look)})
    assert expected is not None
    assert len(found["boxes"]) == len(expected.boxes)
    assert np.abs(np.subtract(found["boxes"], expected.boxes)).max() <= 1
    images = np.array(found["images"]).reshape(expected.images.shape)
    assert np.abs(images - expected.images.astype(int)).mean(axis=(1, 2, 3)).max() < 1


@pytest.mark.parametrize(
    ("image", "problem"),
    [(Image.new("RGB", (300, 200), "white"), "nothing"), (Image.new("L", (9, 1000), 200), "strip")],
    ids=["blank", "strip"],
)
def test_what_python_refuses_is_refused(page: Page, image: Image.Image, problem: str) -> None:
    assert by_python(saved(image)) is None
    assert read(page, saved(image))["problem"] == problem


def test_ink_on_nothing_is_seen(page: Page) -> None:
    pixels = np.zeros((80, 60, 4), dtype=np.uint8)
    pixels[10:70, 25:33] = (240, 240, 250, 255)
    expected, found = by_python(saved(Image.fromarray(pixels))), read(page, saved(Image.fromarray(pixels)))
    assert expected is not None
    assert found["boxes"] == [list(box) for box in expected.boxes]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_an_image_of_the_training_set_is_taken_as_it_is(page: Page, look: Look, digits: Any) -> None:
    model = DIGITS | {"look": asdict(look)}
    for image in digits.images[:3, 0]:
        own, other = look.paint(image / 255), 255 - look.paint(image / 255)
        found, again = read(page, saved(Image.fromarray(own)), model), by_python(saved(Image.fromarray(own)), look)
        assert again is not None
        assert np.array_equal(np.array(found["images"]).reshape(28, 28), own)
        assert np.array_equal(again.images[0, 0], own)
        assert not np.array_equal(np.array(read(page, saved(Image.fromarray(other)), model)["images"]), other[None])


def test_ink_on_nothing_of_the_images_size_is_laid_on_what_the_training_images_were(page: Page, digits: Any) -> None:
    ink = np.full((28, 28, 4), 255, dtype=np.uint8)
    ink[..., 3] = digits.images[0, 0]
    look = Look(behind=0)
    expected, found = (
        by_python(saved(Image.fromarray(ink)), look),
        read(page, saved(Image.fromarray(ink)), DIGITS | {"look": asdict(look)}),
    )
    assert expected is not None
    assert np.array_equal(expected.images[0, 0], digits.images[0, 0])
    assert np.abs(np.array(found["images"]).reshape(28, 28) - digits.images[0, 0].astype(int)).max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_for_other_things_than_writing_the_whole_picture_is_brought_to_size(page: Page, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    model = DIGITS | {"image_shape": [channels, 24, 32], "reads_writing": False}
    found = read(page, saved(Image.fromarray(pixels)), model)
    plain = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    expected = np.asarray(plain.resize((32, 24), Image.Resampling.BICUBIC)).reshape(24, 32, channels)
    assert found["boxes"] == [[0, 0, 50, 70]]
    image = np.array(found["images"]).reshape(channels, 24, 32)
    assert np.abs(image - expected.transpose(2, 0, 1).astype(int)).max() <= 2


@pytest.mark.parametrize("shape", [(28, 28), (40, 40), (20, 60), (32, 24)], ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_drawing_is_prepared_alike_for_any_shape(page: Page, shape: tuple[int, int], look: Look) -> None:
    ink = drawing()
    script = """async ([values, width, height, shape, look]) => {
        const { drawingToImage } = await import("./mnist-format.js");
        const model = { image_shape: [1, ...shape], look };
        return Array.from(drawingToImage({ width, height, data: Float32Array.from(values) }, model));
    }"""
    found = page.evaluate(script, [ink.ravel().tolist(), *ink.shape[::-1], shape, asdict(look)])
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis=axis)) for axis in (1, 0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    expected = to_image(cropped, cropped > 0.5, shape, look)
    assert np.abs(np.array(found).reshape(shape) - expected.astype(int)).mean() < 0.5


def drawing() -> NDArray[np.float32]:
    """(H, W) a seven of soft strokes."""
    rows, columns = np.mgrid[0:120, 0:100]
    across = partial(np.clip, a_min=0, a_max=1)
    bar = across(6 - np.abs(rows - 25)) * ((columns > 20) & (columns < 75))
    slope = across(5 - np.abs((75 - columns) - (rows - 25) * 0.5)) * ((rows > 25) & (rows < 100))
    return np.maximum(bar, slope).astype(np.float32)
