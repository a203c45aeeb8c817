"""A real web server on the loopback address with scripted answers and failures."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    server: "Server"

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("?")[0]
        self.server.requests.append((path, self.headers.get("Range")))
        with suppress(BrokenPipeError, ConnectionResetError):
            self.server.answers.get(path, status(404))(self)

    do_POST = do_PUT = do_GET  # noqa: N815 - the library's names

    def begin(self, code: int, **headers: Any) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def asked_from(self) -> int:
        """Return the first byte of the requested range."""
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))

    def begin_part(self, content: bytes, **headers: Any) -> bytes:
        """Send the headers for the requested range and return its content."""
        start = self.asked_from()
        part = {"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self.begin(206 if start else 200, Content_Length=len(content) - start, **part, **headers)
        return content[start:]

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """answers: by path; requests: path and range of each, in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str | None]] = []

    def url(self, path: str, answer: Answer | None = None) -> str:
        """Return the address of a path, and set its answer if one is given."""
        if answer is not None:
            self.answers[path] = answer
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self, path: str) -> list[str | None]:
        return [asked for found, asked in self.requests if found == path]


@contextmanager
def serving() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def whole(content: bytes) -> Answer:
    return lambda handler: handler.wfile.write(handler.begin_part(content)) and None


def without_ranges(content: bytes) -> Answer:
    def answer(handler: Handler) -> None:
        handler.begin(200, Content_Length=len(content))
        handler.wfile.write(content)

    return answer


def cut_after(length: int, content: bytes) -> Answer:
    """End each connection after this many bytes."""
    return lambda handler: handler.wfile.write(handler.begin_part(content)[:length]) and None


def trickling(content: bytes, pause: float, piece: int = 1) -> Answer:
    def answer(handler: Handler) -> None:
        rest = handler.begin_part(content)
        for start in range(0, len(rest), piece):
            handler.wfile.write(rest[start : start + piece])
            time.sleep(pause)

    return answer


def silent(seconds: float) -> Answer:
    return lambda handler: time.sleep(seconds)


def status(code: int, **headers: Any) -> Answer:
    return lambda handler: handler.begin(code, Content_Length=0, **headers)


def endless(handler: Handler) -> None:
    """Announce no length, and never end."""
    handler.begin(200)
    while True:
        handler.wfile.write(bytes(1 << 16))


def saying(content: Any, code: int = 200) -> Answer:
    """Answer with JSON."""

    def answer(handler: Handler) -> None:
        text = json.dumps(content).encode()
        handler.begin(code, Content_Type="application/json", Content_Length=len(text))
        handler.wfile.write(text)

    return answer


def announcing(length: int) -> Answer:
    return lambda handler: handler.begin(200, Content_Length=length)
