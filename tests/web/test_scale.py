"""Numbers for the API are on the scale of the training images, or bytes; on any other they are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.rescaling import TrainedScale
from hitofude.inputs.scale import BYTES, PixelScale
from tests.web.conftest import Running
from tests.web.tiny_model import drawing_of, write_tiny_model

DRAWING = drawing_of(3).ravel().astype(float)
Serve = Callable[[PixelScale], Running]


@pytest.fixture
def serve(start: Callable[..., Running], tmp_path: Path) -> Serve:
    """Start a server whose model was trained on a scale."""

    def serve(scale: PixelScale) -> Running:
        model = OnnxModel.load(write_tiny_model(tmp_path / "model.onnx"))
        model.description = replace(model.description, pixels=TrainedScale(scale, 0, 239))
        return start(model)

    return serve


@pytest.mark.parametrize("scale", [BYTES, PixelScale(0, 16), PixelScale(-1, 1)], ids=str)
def test_images_on_the_scale_of_the_run_and_bytes_that_say_so_have_one_answer(scale: PixelScale, serve: Serve) -> None:
    server, bytes_ = serve(scale), DRAWING.tolist()
    own = (scale.low + DRAWING / 255 * (scale.high - scale.low)).tolist()
    assert server.get("/api/model").json["scale"] == [scale.low, scale.high]
    answers = [
        server.post("/api/predict", {"images": [own]}).json,
        server.post("/api/predict", {"images": [own], "scale": [scale.low, scale.high]}).json,
        server.post("/api/predict", {"images": [bytes_], "scale": [0, 255]}).json,
    ]
    assert answers[0]["predictions"][0]["label"] == "3"
    assert answers[1:] == answers[:-1]


@pytest.mark.parametrize(
    ("scale", "factor"), [(BYTES, 1), (BYTES, 16), (PixelScale(0, 16), 255), (PixelScale(0, 1), 16)]
)
def test_images_on_another_scale_are_refused_with_both(scale: PixelScale, factor: float, serve: Serve) -> None:
    answer = serve(scale).post("/api/predict", {"images": [(DRAWING / 255 * factor).tolist()]})
    assert answer.status == 422
    assert answer.detail.startswith(f"images: its numbers go from 0 to {factor}, but those of the training images are")
    assert f"on the scale {scale}" in answer.detail


def test_another_scale_than_the_two_is_refused(serve: Serve) -> None:
    answer = serve(PixelScale(0, 16)).post("/api/predict", {"images": [DRAWING.tolist()], "scale": [0, 4095]})
    assert (answer.status, answer.detail) == (422, "scale: Value error, expected [0, 16] or [0, 255].")


def test_a_drawing_is_kept_as_it_was_drawn(serve: Serve, tmp_path: Path) -> None:
    drawing = {"pixels": DRAWING.tolist(), "label": "3", "scale": [0, 255]}
    assert serve(PixelScale(0, 16)).post("/api/corrections", drawing).status == 201
    [kept] = (tmp_path / "corrections").rglob("*.png")
    with Image.open(kept) as picture:
        assert np.array_equal(np.asarray(picture).ravel(), DRAWING)
