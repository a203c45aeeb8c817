"""The page as files on a plain host."""

import functools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hitofude
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.web_bundle import browser_runtime, cached_package, write_static_page

PAGE = Path(hitofude.__file__).parent / "web" / "page"
REVIEW_PAGE = PAGE.with_name("review_page")
FOLDER = "some/where"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """Serve a folder's files on the loopback; return the address."""
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def write_site(folder: Path, path: Path, model: OnnxModel) -> None:
    """Write the site as `hitofude export --web` does, for a model that is exported already as the file `path`."""
    if shutil.which("npm") is None and not cached_package().is_file():
        pytest.skip("npm, which fetches onnxruntime-web, is not installed")
    folder.mkdir(parents=True)
    shutil.copy(path, folder / "model.onnx")
    write_static_page(folder, model.description, browser_runtime())
