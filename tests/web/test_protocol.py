"""Slow clients, and too many clients, are cut off; the others never notice."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import uvicorn

from hitofude.export.onnx_model import OnnxModel
from tests.web.conftest import PATIENCE, Running, rest_of, wait_for

UVICORN = "0.54.0"
HEAD = b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_the_protocol_was_checked_with_this_uvicorn() -> None:
    assert uvicorn.__version__ == UVICORN, (
        f"hitofude/web/protocol.py uses more of uvicorn's H11Protocol than is documented. It was checked with uvicorn "
        f"{UVICORN}; this is {uvicorn.__version__}. Compare uvicorn/protocols/http/h11_impl.py of both versions (app, "
        "conn, connections, on_response_complete, send_400_response), run tests/web, and then change UVICORN here."
    )


def trickle(connection: socket.socket, content: bytes) -> bytes:
    """Send a byte at a time until the other side answers; return its answer."""
    connection.settimeout(0.02)
    for byte in content:
        try:
            connection.sendall(bytes([byte]))
            return connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return b""
    raise AssertionError("the server read all of it")


def send_on_and_on(connection: socket.socket, content: bytes) -> None:
    while True:
        connection.sendall(content)


def answer_of(connection: socket.socket) -> bytes:
    """Read one short answer from a connection that stays open."""
    answer = b""
    while not answer.endswith(b"}"):
        answer += connection.recv(65536)
    return answer


def test_a_head_that_trickles_in_is_cut(server: Running) -> None:
    with server.connected() as connection:
        answer = trickle(connection, HEAD + b"X-Long: " + b"x" * 1000)
        answer += rest_of(connection)  # which ends only when it is cut
        assert answer.startswith(b"HTTP/1.1 408")
        assert answer.endswith(b'"The head of the request did not arrive in time."}')


def test_the_head_of_a_later_request_is_awaited_no_longer(server: Running) -> None:
    with server.connected() as connection:
        connection.sendall(HEALTH)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")
        assert trickle(connection, HEAD + b"X-Long: " + b"x" * 1000).startswith(b"HTTP/1.1 408")


def test_a_client_that_says_nothing_is_cut(server: Running) -> None:
    with server.connected() as connection:
        assert rest_of(connection) == b""


def test_a_body_that_trickles_in_is_cut(server: Running) -> None:
    with server.connected() as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        assert trickle(connection, b"x" * 1000).startswith(b"HTTP/1.1 408")


def test_a_client_that_does_not_read_is_cut(server: Running) -> None:
    """It sends requests until neither they nor the answers fit into the buffers."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", server.port))
        question = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_on_and_on(connection, question)


def test_a_refused_client_that_sends_on_and_on_is_cut(server: Running) -> None:
    with server.connected() as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_on_and_on(connection, bytes(100_000))


def test_a_client_that_is_slow_but_not_too_slow_is_served(start: Callable[..., Running], model: OnnxModel) -> None:
    with start(model, {"header_seconds": PATIENCE}).connected() as connection:
        for part in (HEALTH[:10], HEALTH[10:20], HEALTH[20:]):
            connection.sendall(part)
            time.sleep(0.05)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_two_questions_at_once_have_two_answers(server: Running) -> None:
    last = HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert server.exchange(HEALTH + last).count(b"HTTP/1.1 200") == 2


def test_beyond_the_connections_only_the_health_is_answered_and_then_none_at_all(
    start: Callable[..., Running], model: OnnxModel
) -> None:
    server = start(model, {"connections": 2, "spare_connections": 2, "header_seconds": PATIENCE})
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(server.connected())
        refused = server.get("/api/model")
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert server.get("/healthz").status == 200
        for _ in range(2):
            stack.enter_context(server.connected())
        with pytest.raises(ConnectionError):
            server.get("/healthz")
    assert wait_for(lambda: server.is_reachable() and server.get("/api/model").status == 200)
