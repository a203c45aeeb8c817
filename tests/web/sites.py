"""The page as the server sends it, and as files on a plain host."""

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hitofude
from hitofude.export.npm_package import browser_runtime
from hitofude.export.onnx_model import OnnxModel
from hitofude.export.web_bundle import describe_model, page_files

PAGE = Path(hitofude.__file__).parent / "web" / "page"
FOLDER = "some/where"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def hosting(folder: Path) -> Iterator[str]:
    """The address of a folder's files on the loopback."""
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
    """What `hitofude export --web` writes, of a model that is exported already, in the file at the path."""
    folder.mkdir(parents=True)
    shutil.copy(path, folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps(describe_model(model.description)), encoding="utf-8")
    runtime = {f"ort/{name}": content for name, content in browser_runtime().items()}
    (folder / "ort").mkdir()
    for name, content in {**page_files(), **runtime}.items():
        (folder / name).write_bytes(content)
