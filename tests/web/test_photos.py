"""Uploaded pictures: their digits are found; bombs and garbage are refused before they cost anything."""

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxDescription, OnnxModel
from hitofude.inputs.layout import ImageShape
from hitofude.inputs.look import MNIST, Look
from hitofude.web.photos import SCAN, images_of_picture
from hitofude.web.settings import Limits
from tests.web.conftest import Answer, Running
from tests.web.tiny_model import write_tiny_model

GREY, COLOUR = (1, 28, 28), (3, 32, 32)
THINGS = Look(writing=False, edge=0.3)
ONES = np.full((100, 200), 255, dtype=np.uint8)
ONES[20:80, 30:36] = ONES[25:75, 130:136] = 0


def described_as(
    image_shape: ImageShape = GREY, look: Look | None = MNIST, classes: tuple[str, ...] = ("0", "1")
) -> OnnxDescription:
    return OnnxDescription("m", "1.0", classes, image_shape, ("cnn-lean",), 1.0, {}, "", look)


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def bomb(side: int) -> bytes:
    """Return a small PNG of side × side pixels."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compressobj(9)
    black = rows.compress(bytes((side // 8 + 1) * side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", black) + part(b"IEND", b"")


def send(server: Running, content: bytes, kind: str = "image/png") -> Answer:
    return server.ask("POST", "/api/predict", content, {"Content-Type": kind})


def form(content: bytes, field: str = "file") -> tuple[bytes, str]:
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="../../photo.png"\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


def test_what_is_written_is_found_with_its_places(server: Running) -> None:
    answer = send(server, encoded(ONES))
    assert answer.status == 200
    assert answer.json["picture"] == {"width": 200, "height": 100}
    first, second = answer.json["predictions"]
    assert first["box"] == [20, 30, 80, 36]
    assert second["box"] == [25, 130, 75, 136]
    assert len(first["pixels"]) == 784
    assert first["probabilities"][int(first["label"])] == first["probability"] == max(first["probabilities"])


def test_a_picture_in_a_form_is_answered_as_the_picture_itself(server: Running) -> None:
    content = encoded(ONES, "JPEG")
    assert send(server, *form(content)).json == send(server, content, "image/jpeg").json


@pytest.mark.parametrize(
    "body", [form(b"", field="picture")[0], b"--x", b"", form(b"")[0][:-12], 9 * form(b"")[0][:-9]]
)
def test_a_form_without_a_file_in_the_field_is_refused(body: bytes, server: Running) -> None:
    assert send(server, body, "multipart/form-data; boundary=x").status == 422
    assert send(server, body, "multipart/form-data").status == 422


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (bomb(20_000), "more than 16,000,000 pixels"),
        (encoded(ONES)[:150], "damaged or cut short"),
        (b"This is no picture.", "not a picture that can be read"),
        (b"", "not a picture that can be read"),
        (b"\x89PNG\r\n\x1a\n", "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be read"),
        (b"\xff\xd8" + 101 * (SCAN + b"\x00"), "more than 100 layers"),
        (encoded(np.full((50, 50), 255, dtype=np.uint8)), "no writing found"),
        (encoded(np.tile(ONES[:, 20:50], (12, 12))), "more than 100 characters"),
        (encoded(np.zeros((1, 4000), dtype=np.uint8)), "more than 100 times"),
    ],
)
def test_no_picture_no_answer(content: bytes, said: str, server: Running) -> None:
    for answer in (send(server, content), send(server, *form(content))):
        assert answer.status == 422
        assert said in answer.detail
        assert not re.search(r"0x[0-9a-f]{6}|/\w+/|\.py|photo\.png", answer.detail)


def test_a_damaged_picture_is_refused_wherever_it_is_damaged(server: Running) -> None:
    pictures = [
        encoded(ONES),
        encoded(ONES, "JPEG"),
        encoded(ONES, "GIF"),
        encoded(ONES, "TIFF"),
        encoded(ONES, "WEBP"),
    ]
    random = np.random.default_rng(0)
    for number in range(60):
        content = bytearray(pictures[number % len(pictures)])
        for place in random.integers(0, len(content), 5):
            content[place] = random.integers(256)
        answer = send(server, bytes(content), "image/*")
        assert answer.status in (200, 422)
        if answer.status == 422:
            assert not re.search(r"0x[0-9a-f]{6}|/\w+/|\.py", answer.detail)


def test_more_pictures_than_may_wait_are_refused(start: Callable[..., Running], model: OnnxModel) -> None:
    server = start(model, {"waiting_pictures": 0})
    refused = send(server, encoded(ONES))
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert server.get("/healthz").status == 200


def test_a_model_of_things_is_shown_the_whole_picture(start: Callable[..., Running], tmp_path: Path) -> None:
    model = OnnxModel.load(write_tiny_model(tmp_path / "m.onnx", ("cat", "dog"), COLOUR))
    lower_half_red = np.zeros((60, 40, 3), dtype=np.uint8)
    lower_half_red[30:, :, 0] = 255
    answer = send(start(model), encoded(lower_half_red))
    assert answer.json["picture"] == {"width": 40, "height": 60}
    (found,) = answer.json["predictions"]
    assert found["box"] == [0, 0, 60, 40]
    expected = np.zeros(COLOUR)
    expected[0, 17:] = 255
    image = np.reshape(found["pixels"], COLOUR)
    assert np.abs(image - expected)[:, [0, 10, 20, 31]].max() < 10


def test_a_picture_that_lies_on_its_side_has_the_size_that_is_seen() -> None:
    orientation = Image.Exif()
    orientation[0x0112] = 6
    content = encoded(ONES, "JPEG", exif=orientation.tobytes())
    for described in (described_as(), described_as(look=THINGS), described_as(COLOUR, THINGS)):
        seen = images_of_picture(content, described, limits=Limits())
        assert (seen.height, seen.width) == (200, 100)
        assert seen.images.shape[1:] == described.image_shape


def test_pictures_are_searched_for_writing_only_by_models_of_writing() -> None:
    assert described_as().reads_writing
    assert not described_as(look=THINGS).reads_writing
    assert not described_as(COLOUR).reads_writing


def test_earlier_files_do_not_say_what_they_learned_from_so_their_labels_decide() -> None:
    assert described_as(look=None).reads_writing
    assert described_as(look=None, classes=("a", "b", "あ")).reads_writing
    assert not described_as(look=None, classes=("cat", "dog")).reads_writing


def test_the_layers_of_an_honest_progressive_jpeg_are_few() -> None:
    assert (
        images_of_picture(encoded(ONES, "JPEG", progressive=True), described_as(), limits=Limits()).images.shape[0] == 2
    )


def test_the_limit_of_pixels_is_what_the_file_says_not_what_it_costs() -> None:
    with pytest.raises(InputError, match="more than 9,999 pixels"):
        images_of_picture(encoded(ONES[:, :100]), described_as(), limits=Limits(picture_pixels=9_999))
    with pytest.raises(InputError, match="more than 9,999 pixels"):
        images_of_picture(encoded(ONES[:, :100]), described_as(look=THINGS), limits=Limits(picture_pixels=9_999))
