"""Attacks on a real server: foreign pages, wrong tokens, endless bodies, paths that lead out of the folder."""

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.export.onnx_model import OnnxAnswers, OnnxModel
from hitofude.web.safety import POLICY
from tests.web.conftest import Held, Running
from tests.web.tiny_model import drawing_of

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a test
JSON = {"Content-Type": "application/json"}
LIMIT = 1_000_000
DRAWING = {"images": [drawing_of(3).ravel().tolist()]}
HEAD = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CLIMBING = [
    "/../pyproject.toml",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2fapp.py",
    "/%2e%2e%5capp.py",
    "/index.html/../app.py",
]


@pytest.fixture
def locked(start: Callable[..., Running], model: OnnxModel) -> Running:
    """A server that needs a token."""
    return start(model, token=TOKEN)


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::1"])
def test_a_foreign_host_is_refused(host: str, server: Running) -> None:
    answer = server.get("/api/model", {"Host": host})
    assert answer.status == 403
    assert "--allow-host" in answer.detail


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_the_loopback_is_asked_by_any_of_its_names(host: str, server: Running) -> None:
    assert server.get("/api/model", {"Host": host}).status == 200


def test_a_request_that_names_no_host_is_refused(server: Running) -> None:
    assert server.exchange(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:9", "null", "", "http://localhost.evil"])
def test_a_page_of_another_site_is_refused(origin: str, server: Running) -> None:
    headers = JSON | {"Host": "localhost:8000", "Origin": origin}
    answer = server.ask("POST", "/api/corrections", json.dumps({}).encode(), headers)
    assert answer.status == 403
    assert "another site" in answer.detail


def test_the_servers_own_page_may_ask(server: Running) -> None:
    assert server.get("/api/model", {"Host": "localhost:80", "Origin": "http://localhost:80"}).status == 200


def test_a_proxys_name_is_answered_where_it_was_allowed(start: Callable[..., Running], model: OnnxModel) -> None:
    server = start(model, allowed_hosts=("Digits.example",))
    assert server.get("/healthz", {"Host": "digits.example"}).status == 200
    assert server.get("/healthz", {"Host": "other.example"}).status == 403


def test_a_server_on_all_addresses_is_asked_by_bare_addresses_but_no_foreign_name(
    start: Callable[..., Running], model: OnnxModel
) -> None:
    server = start(model, host="0.0.0.0", token=TOKEN)  # noqa: S104 - it listens on the loopback all the same
    assert server.get("/healthz", {"Host": "192.0.2.7:8000"}).status == 200
    assert server.get("/healthz", {"Host": "evil.example:8000"}).status == 403


@pytest.mark.parametrize("path", ["/", "/api/model", "/metrics", "/openapi.json", "/nowhere"])
@pytest.mark.parametrize("given", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "hitofude_token=wrong"}])
def test_without_the_token_nothing_is_told(path: str, given: dict[str, str], locked: Running) -> None:
    answer = locked.get(path, given)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_opens_as_a_bearer_and_the_health_needs_none(locked: Running) -> None:
    assert locked.get("/api/model", {"Authorization": f"Bearer {TOKEN}"}).status == 200
    assert locked.get("/healthz").status == 200


def test_a_visit_with_the_token_leaves_a_cookie_and_a_bare_address(locked: Running) -> None:
    welcome = locked.get(f"/docs?token={TOKEN}")
    assert (welcome.status, welcome.headers["location"]) == (303, "/docs")
    cookie = welcome.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert locked.get("/docs", {"Cookie": f"other=1; {cookie.split(';')[0]}"}).status == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/%5Cevil.example/", "///evil.example"])
def test_a_visit_is_not_led_to_another_server(path: str, locked: Running) -> None:
    assert re.fullmatch(r"/[^/\\]*/?", locked.get(f"{path}?token={TOKEN}").headers["location"])


def test_a_declared_body_beyond_the_limit_is_refused_before_it_is_read(server: Running) -> None:
    answer = server.exchange(HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"1,000,000 bytes" in answer


def test_a_client_that_sends_before_it_listens_reads_the_refusal(server: Running) -> None:
    assert server.ask("POST", "/api/predict", bytes(5 * LIMIT), JSON).status == 413


@pytest.mark.parametrize("end", [b"", b"no chunk\r\n"])
def test_a_body_in_chunks_is_counted_as_it_arrives(
    end: bytes, server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    chunk = b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n"
    answer = server.exchange(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 11 * chunk + end)
    assert answer.startswith(b"HTTP/1.1 413")
    assert not caplog.text


def test_a_form_is_bounded_as_any_body(server: Running) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(LIMIT) + b"\r\n--x--\r\n"
    assert server.ask("POST", "/api/predict", form, kind).status == 413


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"9" * 5000])
def test_a_length_that_is_none_is_refused(length: bytes, server: Running) -> None:
    answer = server.exchange(HEAD + b"Content-Length: " + length + b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 4(00|13)", answer)


def test_a_body_of_just_the_limit_is_read(server: Running) -> None:
    body = json.dumps(DRAWING).encode().ljust(LIMIT)
    assert server.ask("POST", "/api/predict", body, JSON).status == 200


@pytest.mark.parametrize("path", CLIMBING)
def test_no_path_leads_to_a_file_that_is_not_of_the_page(path: str, server: Running) -> None:
    answer = server.exchange(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert answer.endswith(b'{"detail":"Not Found"}')


def test_every_answer_carries_the_policy(server: Running) -> None:
    answers = [
        server.get("/healthz"), server.get("/docs"), server.get("/nowhere"), server.ask("DELETE", "/healthz"),
        server.get("/healthz", {"Host": "evil.example"}), server.ask("POST", "/api/predict", b"{", JSON),
        server.ask("POST", "/api/predict", b"{}", {"Content-Type": "text/plain"}),
    ]  # fmt: skip
    assert [answer.status for answer in answers] == [200, 200, 404, 405, 403, 422, 415]
    for answer in answers:
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
    malformed = server.exchange(b"nonsense\r\n\r\n")
    assert malformed.startswith(b"HTTP/1.1 400")
    assert POLICY.encode() in malformed


class Broken(Held):
    """A model that fails with a message that no client should read."""

    def answer(self, images: NDArray[np.uint8]) -> OnnxAnswers:
        raise RuntimeError("the secret stands in /home/ana/model.onnx")


def test_a_failure_says_nothing_of_itself_and_the_server_goes_on(
    start: Callable[..., Running], model: OnnxModel, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(Broken(model))
    answer = server.post("/api/predict", DRAWING)
    assert (answer.status, list(answer.json)) == (500, ["detail"])
    assert not re.search(r"secret|ana|RuntimeError", answer.detail)
    assert answer.headers["content-security-policy"] == POLICY
    assert "the secret" in caplog.text
    assert server.get("/healthz").status == 200


@pytest.mark.parametrize(
    "content",
    [
        {}, [], None, {"images": 1}, {"images": []}, {"images": [[1]]}, {"images": [[256] * 784]},
        {"images": [["SECRET"] * 784]}, {"images": [[1.5] * 784]}, {"images": [[True] * 784]}, {**DRAWING, "SECRET": 1},
        {"images": DRAWING["images"] * 65},
    ],
)  # fmt: skip
def test_a_malformed_request_is_told_what_is_wrong_but_not_what_it_sent(content: Any, server: Running) -> None:
    answer = server.post("/api/predict", content)
    assert answer.status == 422
    assert answer.detail
    assert "SECRET" not in answer.detail


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'{"images": [[NaN]]}', b'{"images": [[1e999]]}'])
def test_what_is_no_json_is_refused(body: bytes, server: Running) -> None:
    assert server.ask("POST", "/api/predict", body, JSON).status == 422
