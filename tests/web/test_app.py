"""The API for the page and for programs: the answers are the model's own."""

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import hitofude
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.web_bundle import model_json
from hitofude.inputs.look import MNIST
from hitofude.metrics.calibration import SURE
from hitofude.web.page_files import page_files
from tests.conftest import Call
from tests.web.conftest import Running
from tests.web.tiny_model import DIGITS, drawing_of, write_tiny_model

PAGE = Path(hitofude.__file__).parent / "web" / "page"


def test_the_model_says_what_it_is_to_both_pages_alike(server: Running, model: OnnxModel) -> None:
    assert server.get("/api/model").json == {
        "name": "tiny", "version": hitofude.__version__, "classes": list(DIGITS), "image_shape": [1, 28, 28],
        "networks": ["cnn-lean", "cnn-lean"], "sure": SURE, "set_threshold": 0.1,
        "known_threshold": None, "reads_writing": True, "look": asdict(MNIST), "scale": [0, 255], "cascade": None,
    }  # fmt: skip
    assert server.get("/api/model").json == model_json(model.description)


def test_predictions_are_the_models_own_in_the_order_of_the_images(server: Running, model: OnnxModel) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 1, 28, 28), dtype=np.uint8)
    images[::2] = [drawing_of(number % 10) for number in range(32)]
    answers = server.post("/api/predict", {"images": images.reshape(64, -1).tolist()}).json["predictions"]
    probabilities, members = model.predict(images)
    np.testing.assert_allclose([answer["probabilities"] for answer in answers], probabilities, atol=1e-5)
    np.testing.assert_allclose([answer["members"] for answer in answers], members.transpose(1, 0, 2), atol=1e-5)
    assert [answer["label"] for answer in answers] == [DIGITS[best] for best in probabilities.argmax(axis=1)]
    assert [answer["sure"] for answer in answers] == [answer["probability"] >= SURE for answer in answers]
    assert {answer["sure"] for answer in answers} == {True, False}
    held = [{DIGITS[place] for place in np.flatnonzero(row >= 0.1)} | {DIGITS[row.argmax()]} for row in probabilities]
    assert [set(answer["set"]) for answer in answers] == held
    assert [answer["set"][0] for answer in answers] == [answer["label"] for answer in answers]
    assert set(answers[0]) == {"label", "probability", "sure", "probabilities", "members", "asked", "set"}


def test_an_image_less_like_the_training_images_is_no_answer(tmp_path: Path, start: Callable[..., Running]) -> None:
    """Here novelty is the share of ink, of which a drawing has a tenth, and the threshold is 0.5."""
    model = OnnxModel.load(write_tiny_model(tmp_path / "model.onnx", ink_is_novel=True))
    server, full = start(model), np.full((1, 28, 28), 255, dtype=np.uint8)
    full.ravel()[:78] = 0
    images = [drawing_of(3).ravel().tolist(), full.ravel().tolist()]
    known, none = server.post("/api/predict", {"images": images}).json["predictions"]
    assert (known["known"], known["sure"], known["label"]) == (True, True, "3")
    assert (none["known"], none["sure"]) == (False, False)
    assert known["novelty"] == pytest.approx(0.1, abs=0.01)
    assert none["novelty"] == pytest.approx(0.9, abs=0.01)
    assert server.get("/api/model").json == model_json(model.description)


def test_whole_numbers_may_be_written_with_a_point(server: Running) -> None:
    whole = {"images": [drawing_of(3).ravel().tolist()]}
    with_points = {"images": [drawing_of(3).ravel().astype(float).tolist()]}
    assert server.post("/api/predict", whole).json == server.post("/api/predict", with_points).json


def test_rows_of_numbers_are_refused_with_the_form_that_is_expected(server: Running) -> None:
    answer = server.post("/api/predict", {"images": [drawing_of(3)[0].tolist()]})
    assert answer.status == 422
    assert answer.json == {"detail": "images.0: Expected 784 numbers in one list, row by row, not lists in a list."}


def test_what_happens_is_counted_and_what_clients_make_up_is_not_kept(server: Running) -> None:
    server.post("/api/predict", {"images": [drawing_of(8).ravel().tolist()]})
    for number in range(20):
        assert server.get(f"/made-up-{number}").status == 404
    answer = server.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    samples = [sample for family in text_string_to_metric_families(answer.body.decode()) for sample in family.samples]
    found = {(sample.name, *sample.labels.values()): sample.value for sample in samples}
    assert found["hitofude_requests_total", "/api/predict", "200"] >= 1
    assert found["hitofude_requests_total", "other", "404"] >= 20
    assert found["hitofude_predictions_total", "8"] >= 1
    assert b"made-up" not in answer.body


def test_the_files_of_the_page_are_served_by_their_names_alone(server: Running) -> None:
    names = {path.name for path in PAGE.iterdir() if path.is_file()}
    assert {"docs.html", "docs.js", "docs.css"} <= names
    assert set(page_files()) >= {f"/{name}" for name in names}
    for name in names:
        assert server.get(f"/{name}").body == (PAGE / name).read_bytes()
    assert server.get("/docs").body == (PAGE / "docs.html").read_bytes()
    assert server.ask("HEAD", "/docs").body == b""


@pytest.mark.parametrize("name", [path.name for path in sorted(PAGE.glob("*.html"))])
def test_a_page_asks_for_nothing_from_elsewhere_and_runs_nothing_inline(name: str) -> None:
    text = (PAGE / name).read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", text)


def test_the_command_has_examples(call: Call) -> None:
    code, out, _ = call("serve", "--help")
    assert code == 0
    assert "hitofude serve" in out.split("For example:")[1]
