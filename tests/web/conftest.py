"""A real server on the loopback address, with limits short enough to wait for, and a small real model."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from numpy.typing import NDArray

from hitofude.export.onnx_model import OnnxAnswers, OnnxModel
from hitofude.web.app import create_app
from hitofude.web.server import Server, listening
from hitofude.web.settings import Limits, Settings
from tests.web.tiny_model import write_tiny_model

SHORT = Limits(header_seconds=1.5, idle_seconds=5, body_seconds=1.5, send_seconds=1.5, shutdown_seconds=5)
PATIENCE = 10


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        return str(self.json["detail"])


@dataclass(frozen=True)
class Running:
    """A running server."""

    port: int
    stop: Callable[[], None]

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request on its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(map(_lower, response.getheaders())), response.read())
        finally:
            connection.close()

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, content: Any) -> Answer:
        return self.ask("POST", path, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def is_reachable(self) -> bool:
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            yield connection

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes; return the answer, up to the end of the connection."""
        with self.connected() as connection:
            connection.sendall(sent)
            return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    """Read until the other side closes the connection; raise TimeoutError if it does not."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether the condition becomes true in time."""
    end = time.monotonic() + PATIENCE
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


def _lower(header: tuple[str, str]) -> tuple[str, str]:
    return header[0].lower(), header[1]


@contextmanager
def running(model: OnnxModel, settings: Settings) -> Iterator[Running]:
    with running_app(create_app(model, settings), settings) as server:
        yield server


@contextmanager
def running_app(app: FastAPI, settings: Settings) -> Iterator[Running]:
    with listening("127.0.0.1", 0) as listener:
        started = threading.Event()
        server = Server(app, settings, started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()

        try:
            assert started.wait(PATIENCE)
            yield Running(listener.getsockname()[1], stop)
        finally:
            stop()


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="session")
def model(model_file: Path) -> OnnxModel:
    return OnnxModel.load(model_file)


@pytest.fixture(scope="module")
def server(model: OnnxModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = Settings(corrections=tmp_path_factory.mktemp("kept") / "corrections", limits=SHORT)
    with running(model, settings) as server:
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a server with any model, other limits or settings."""
    with ExitStack() as stack:

        def start(model: OnnxModel, limits: dict[str, Any] | None = None, **settings: Any) -> Running:
            changed = replace(SHORT, **limits or {})
            chosen = Settings(**{"corrections": tmp_path / "corrections", "limits": changed, **settings})
            return stack.enter_context(running(model, chosen))

        yield start


class Held(OnnxModel):
    """A model that answers only after `go`, and records the sizes of its batches."""

    def __init__(self, model: OnnxModel) -> None:
        super().__init__(None, model.description)
        self._model = model
        self.begun, self.go = threading.Event(), threading.Event()
        self.batches: list[int] = []

    def answer(self, images: NDArray[np.uint8]) -> OnnxAnswers:
        self.batches.append(len(images))
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return self._model.answer(images)


@pytest.fixture
def held(model: OnnxModel) -> Iterator[Held]:
    held = Held(model)
    yield held
    held.go.set()
