"""From the user's run or model file to a running server.

python -m hitofude.web.starting RUN exports the run's model. The server starts that as a process of its own: PyTorch and
the exporter leave with it, and the server stays small.
"""

import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from joblib import cpu_count

from hitofude.errors import InputError, OutOfResourcesError, RunFolderError, UserError, install_command
from hitofude.export.onnx_model import OnnxModel
from hitofude.runs.folder import RunFolder
from hitofude.web.settings import Settings, url_of
from hitofude.workers.process import package_environment

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PACKAGES = ("fastapi", "uvicorn", "prometheus_client", "python_multipart", "onnxruntime")
KINDS: dict[int, type[UserError]] = {kind.exit_code: kind for kind in (InputError, RunFolderError, OutOfResourcesError)}


def serve_model(
    source: Path, settings: Settings, announce: Callable[[str], None], plugins: Sequence[Path] = ()
) -> None:
    """Serve until SIGINT or SIGTERM, and then return.

    source: a run's folder, into which the model is exported if necessary, or an exported model. announce: called with
    the address once it is answered. plugins: the files of the run's own networks. Raises InputError if a package is
    missing, UserError if there is no model to serve or the server cannot listen at the address.
    """
    check_packages("serve", PACKAGES)
    from hitofude.web.app import create_app

    model = OnnxModel.load(
        find_model_file(source, plugins), threads=max(1, cpu_count() - 1)
    )  # one is for everything else
    serve_app(create_app(model, settings), settings, announce)


def check_packages(command: str, packages: Sequence[str]) -> None:
    """Raise InputError, with pip's command, if a package is missing that a command needs."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise InputError(f"{command} needs the package {missing[0].replace('_', '-')}: {install_command('serve')}")


def serve_app(app: "ASGIApp", settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve an application until SIGINT or SIGTERM. Raises UserError if it cannot listen at the address."""
    from hitofude.web.server import Server, listening

    with listening(settings.host, settings.port) as listener:
        url = url_of(settings.host, listener.getsockname()[1], settings.token)
        Server(app, settings, lambda: announce(url)).run(sockets=[listener])


def open_browser(url: str) -> None:
    """Open the browser from a thread, because a browser in the terminal returns only at its end."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def find_model_file(source: Path, plugins: Sequence[Path] = ()) -> Path:
    """Return the exported model; export that of a run's folder if it is missing or has other weights.

    Raises UserError if the run is not finished or damaged, or a package or disk space is missing.
    """
    if not source.is_dir():
        return source
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "hitofude.web.starting", str(source), *map(str, plugins)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", env=package_environment(), check=False,
    )  # fmt: skip
    if ended.returncode in KINDS:
        raise KINDS[ended.returncode](ended.stderr.strip())
    if ended.returncode:
        raise RuntimeError(f"exporting ended with {ended.returncode}: {ended.stderr}")
    return RunFolder(source).model


def main(run: Path, plugins: Sequence[Path] = ()) -> int:
    """Export; return the error's exit code after printing its message to standard error."""
    from hitofude.export.onnx_export import model_of_run
    from hitofude.learning.plugins import load_plugins

    try:
        load_plugins(plugins)
        model_of_run(run)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]))
