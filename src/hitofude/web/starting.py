"""From the user's run or model file to a running server."""

import sys
import threading
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from joblib import cpu_count

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxModel
from hitofude.runs.folder import RunFolder
from hitofude.web.model_process import export_in_process
from hitofude.web.settings import Settings

PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "onnxruntime")


def serve_model(source: Path, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until the process is asked to end.

    source: a run's folder, into which the model is exported if necessary, or an exported model. announce: called with
    the address once it is answered. Raises InputError if a package is missing, UserError if there is no model to serve
    or the server cannot listen at the address.
    """
    check_packages()
    from hitofude.web.app import create_app
    from hitofude.web.server import serve_app

    model = OnnxModel.load(find_model_file(source), threads=max(1, cpu_count() - 1))  # one is for everything else
    serve_app(create_app(model, settings), settings, announce)


def open_browser(url: str) -> None:
    """Open the browser from a thread, because a browser in the terminal returns only at its end."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def check_packages() -> None:
    """Raise InputError naming the extra if one of its packages is missing."""
    missing = [name for name in PACKAGES if name not in sys.modules and find_spec(name) is None]
    if missing:
        raise InputError(f"serve needs the package {missing[0].replace('_', '-')}: pip install 'hitofude[serve]'")


def find_model_file(source: Path) -> Path:
    """Return the exported model; export that of a run's folder if it is missing or has other weights."""
    if not source.is_dir():
        return source
    export_in_process(source)
    return RunFolder(source).model
