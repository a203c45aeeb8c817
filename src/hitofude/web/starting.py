"""From what a user names to a server that runs: the packages there, the model found or made, the address printed."""

import sys
import threading
import webbrowser
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from joblib import cpu_count

from hitofude.errors import InputError
from hitofude.export.onnx_model import OnnxModel
from hitofude.web.model_process import export_beside
from hitofude.web.settings import Settings

PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "onnxruntime")
MODEL = "model.onnx"
"""In a run's folder; what else lies there is hitofude.runs.folder's, which imports PyTorch."""


def serve_model(source: Path, settings: Settings, opened: Callable[[str], None]) -> None:
    """Serve until the process is asked to end.

    source: a run's folder, in which the model is exported where it is not yet, or an exported model. opened: is told
    the address when the server answers there. Raises InputError where a package is missing, UserError where the model
    cannot be had or the address cannot be listened at.
    """
    check_packages()
    from hitofude.web.app import create_app
    from hitofude.web.server import serve

    model = OnnxModel.load(find_model_file(source), threads=max(1, cpu_count() - 1))  # one is for all else
    serve(create_app(model, settings), settings, opened)


def open_browser(url: str) -> None:
    """Beside the server, for a browser of the terminal only returns at its end."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def check_packages() -> None:
    """Raises InputError naming the extra where a package of it is missing."""
    missing = [name for name in PACKAGES if name not in sys.modules and find_spec(name) is None]
    if missing:
        raise InputError(f"serve needs the package {missing[0].replace('_', '-')}: pip install 'hitofude[serve]'")


def find_model_file(source: Path) -> Path:
    """The exported model; that of a run's folder is made there where it is missing or of other weights."""
    if not source.is_dir():
        return source
    export_beside(source)
    return source / MODEL
