"""`hitofude serve`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import Plugins, app, tell
from hitofude.cli.logs import is_quiet


@app.command
def serve(
    model: Path,
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: Annotated[str | None, Parameter(env_var="HITOFUDE_TOKEN", show_env_var=False)] = None,
    allow_host: Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)] = (),
    corrections: Path = Path("corrections"),
    open: Annotated[bool, Parameter(negative=())] = False,
    plugin: Plugins = (),
) -> None:
    """Serve a finished run: a page to draw on, and an API.

    By default only this machine can reach it. At any other address a token is
    required, which is part of the printed address. Ctrl-C ends it. Drawings that
    are corrected on the page are saved as pictures, for training.

    For example:
      hitofude serve runs/sample-fast --open
      hitofude serve model.onnx --port 0
      hitofude serve runs/sample-fast --host 0.0.0.0
      hitofude run --train corrections --shape 28x28

    Parameters
    ----------
    model
        The folder of a finished run, or a file written by hitofude export.
    host
        The address to listen at; 0.0.0.0 for all of this machine's.
    port
        0 for any free port.
    token
        The clients' token, 16 characters or more. Better given by the variable HITOFUDE_TOKEN, which other users of
        this machine cannot see. By default none on the loopback address, else a new one.
    allow_host
        A further host name by which clients may call the server, such as a proxy's; may be repeated.
    corrections
        The folder for corrected drawings, with a folder for each label.
    open
        Open the page in the browser.
    plugin
        As for predict, for a run that was not exported yet.
    """
    from hitofude.runs.folder import RunFolder
    from hitofude.web.settings import Settings, choose_token
    from hitofude.web.starting import open_browser, serve_model

    settings = Settings(host, port, choose_token(host, token), allow_host, corrections)

    def opened(url: str) -> None:
        print(url if is_quiet() else f"Serving {model} at {url}", flush=True)  # in one line, for programs
        if open:
            open_browser(url)

    if not model.suffix:
        RunFolder(model).check_is_run()
    if not is_quiet():
        tell(f"Loading {model} ...", sys.stderr)  # the first line of stdout is the address
    serve_model(model, settings, opened, plugin)
