"""The server of the review: what it shows and keeps, and what it refuses."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hitofude.errors import OutOfResourcesError
from tests.web.conftest import Running, running_app
from tests.web.review_desk import Desk

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a test
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[Running, Desk]]]:
    with ExitStack() as stack:

        def serve(**how: Any) -> tuple[Running, Desk]:
            desk = Desk(tmp_path / "reviewed.csv", **how)
            return stack.enter_context(running_app(desk.app, desk.settings)), desk

        yield serve


Serve = Callable[..., tuple[Running, Desk]]


def test_an_item_has_its_image_its_labels_its_reasons_and_its_copies(serve: Serve) -> None:
    server, desk = serve()
    item = server.get("/api/items/1").json
    assert (item["id"], item["label"], item["suggested"], item["reasons"]) == ("id 0", "3", "<b>", ["copy"])
    assert item["probabilities"] == [["cat & dog", 0.7], ["<b>", 0.2], ["3", 0.1]]
    picture = Image.open(io.BytesIO(base64.b64decode(item["image"].partition(",")[2])))
    assert np.array_equal(np.asarray(picture), desk.images.images[0, 0])
    copies = [one for one in item["similar"] if one["copy"]]
    assert [(one["id"], one["label"]) for one in copies] == [("id 2", "<b>")]
    assert "id 0" not in [one["id"] for one in item["similar"]]
    assert server.get("/api/items/2").json["probabilities"] == []


def test_judgements_are_in_the_file_before_the_answer_and_the_last_one_finishes(serve: Serve) -> None:
    server, desk = serve()
    assert server.get("/api/review").json["position"] == 0
    answer = server.post("/api/judgements", {"item": 0, "verdict": "relabel", "label": "cat & dog"})
    assert (answer.status, answer.json["position"], answer.json["command"]) == (201, 1, None)
    assert desk.path.read_text() == "id,label,suggested,decision\nid 4,3,cat & dog,relabel\n"
    server.post("/api/judgements", {"item": 2, "verdict": "skip"})
    assert not desk.finished.is_set()
    last = server.post("/api/judgements", {"item": 1, "verdict": "keep"}).json
    assert (last["position"], last["judged"], last["command"]) == (3, 3, "hitofude run 3")
    assert desk.finished.is_set()


def test_undo_goes_back_to_the_image_judged_last(serve: Serve) -> None:
    server, desk = serve()
    for item in (0, 2):
        server.post("/api/judgements", {"item": item, "verdict": "drop"})
    assert [server.post("/api/undo", {}).json["item"] for _ in "ab"] == [2, 0]
    assert len(desk.path.read_text().splitlines()) == 1
    assert server.post("/api/undo", {}).status == 409


def test_another_server_continues_where_the_reviewer_was(serve: Serve, tmp_path: Path) -> None:
    server, _ = serve()
    server.post("/api/judgements", {"item": 0, "verdict": "keep"})
    server.stop()
    again, _ = serve()
    review = again.get("/api/review").json
    assert (review["position"], review["judged"], review["counts"]) == (1, 1, {"keep": 1})
    assert again.get("/api/items/0").json["verdict"] == "keep"


def test_images_without_labels_get_one_and_show_no_similar_ones(serve: Serve) -> None:
    server, desk = serve(labelled=False)
    item = server.get("/api/items/0").json
    assert (item["label"], item["similar"]) == (None, [])
    assert server.get("/api/review").json["verdicts"] == ["label", "drop", "skip"]
    server.post("/api/judgements", {"item": 0, "verdict": "label", "label": "<b>"})
    assert desk.path.read_text() == "id,label,decision\nid 4,<b>,label\n"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"item": 0, "verdict": "relabel", "label": "bird"}, 422),
        ({"item": 0, "verdict": "relabel", "label": "x" * 2000}, 422),
        ({"item": 0, "verdict": "relabel"}, 422),
        ({"item": 0, "verdict": "label", "label": "3"}, 422),
        ({"item": 0, "verdict": "burn"}, 422),
        ({"item": 0, "verdict": "keep", "path": "/etc/passwd"}, 422),
        ({"item": 3, "verdict": "keep"}, 404),
        ({"item": -1, "verdict": "keep"}, 422),
        ({"item": "0", "verdict": "keep"}, 422),
        ({"item": 10**30, "verdict": "keep"}, 404),
        ([], 422),
    ],
)
def test_what_is_no_judgement_is_refused_and_changes_nothing(content: Any, status: int, serve: Serve) -> None:
    server, desk = serve()
    answer = server.post("/api/judgements", content)
    assert answer.status == status
    assert "bird" not in answer.detail
    assert not desk.path.exists()


@pytest.mark.parametrize(
    "path", ["/api/items/3", "/api/items/-1", "/api/items/../review", "/api/items/1e9", "/words.py"]
)
def test_an_image_or_file_that_is_not_there_is_not_found(path: str, serve: Serve) -> None:
    server, _ = serve()
    assert server.get(path).status == 404


def test_a_page_of_another_site_judges_nothing(serve: Serve) -> None:
    server, desk = serve()
    body = json.dumps({"item": 0, "verdict": "drop"}).encode()
    foreign = JSON | {"Host": "localhost:8001", "Origin": "https://evil.example"}
    for path in ("/api/judgements", "/api/undo"):
        assert server.ask("POST", path, body, foreign).status == 403
        assert server.ask("POST", path, body, JSON | {"Host": "evil.example"}).status == 403
        assert server.ask("POST", path, body, {"Content-Type": "text/plain"}).status == 415  # as forms may send
    assert not desk.path.exists()


@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "hitofude_token=wrong"}])
def test_without_the_token_nothing_is_shown_or_judged(given: dict[str, str], serve: Serve) -> None:
    server, desk = serve(token=TOKEN)
    assert {server.get(path, given).status for path in ("/", "/api/review", "/api/items/0")} == {401}
    body = json.dumps({"item": 0, "verdict": "drop"}).encode()
    assert server.ask("POST", "/api/judgements", body, JSON | given).status == 401
    assert not desk.path.exists()
    allowed = JSON | {"Authorization": f"Bearer {TOKEN}"}
    assert server.ask("POST", "/api/judgements", body, allowed).status == 201


def test_a_body_beyond_the_limit_is_refused(serve: Serve) -> None:
    server, _ = serve()
    assert server.ask("POST", "/api/judgements", bytes(2_000_000), JSON).status == 413


def test_a_full_disk_is_answered_with_503_and_nothing_is_judged(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _ = serve()

    def full(*_: object) -> None:
        raise OutOfResourcesError("No space left on the disk while writing /secret/place")

    monkeypatch.setattr("hitofude.inputs.judgements.write_rows", full)
    answer = server.post("/api/judgements", {"item": 0, "verdict": "keep"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert "secret" not in answer.detail
    assert server.get("/api/review").json["judged"] == 0


def test_a_method_that_is_not_allowed_names_those_that_are(serve: Serve) -> None:
    server, _ = serve()
    answer = server.ask("DELETE", "/api/judgements", b"", {})
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
