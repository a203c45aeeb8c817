"""A finished run as a page to draw on."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hitofude.cli.app import app
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
) -> None:
    """Open a page to draw on, which a finished run answers, and an API.

    By default only this machine reaches it. At any other address a token is asked
    for, which the address that is printed holds. Ctrl-C ends it.

    What you correct on the page is kept as pictures, to learn from.

    For example:
      hitofude serve runs/sample-fast --open
      hitofude serve model.onnx --port 0
      hitofude serve runs/sample-fast --host 0.0.0.0
      hitofude run --train corrections --shape 28x28

    Parameters
    ----------
    model
        The folder of a finished run, or a file that hitofude export wrote.
    host
        The address to listen at; 0.0.0.0 is all of this machine's.
    port
        0 is any that is free.
    token
        What others must know, 16 characters or more; better in the variable HITOFUDE_TOKEN, which other users of this
        machine do not see. Left out: none on the loopback, else a new one.
    allow_host
        A name that the server is asked by, such as a proxy's; may be repeated.
    corrections
        The folder that corrected drawings are kept in, one for each label.
    open
        Open the page in the browser.
    """
    from hitofude.web.settings import Settings, choose_token
    from hitofude.web.starting import open_browser, serve_model

    settings = Settings(host, port, choose_token(host, token), allow_host, corrections)

    def opened(url: str) -> None:
        print(url if is_quiet() else f"Serving {model} at {url}", flush=True)
        if open:
            open_browser(url)

    serve_model(model, settings, opened)
