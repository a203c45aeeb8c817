"""hitofude completion."""

from typing import Annotated, Literal

from cyclopts import Parameter

from hitofude.cli.app import app, tell
from hitofude.errors import InputError
from hitofude.language.translation import say

Shell = Literal["bash", "zsh", "fish"]


@app.command
def completion(shell: Shell | None = None, /, *, install: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Print a script by which a shell completes commands, options and names with TAB.

    Or install it: it is written where the shell looks for it and, for bash and
    zsh, a line is added to ~/.bashrc or ~/.zshrc. Terminals opened then have it.

    For example:
      hitofude completion --install
      hitofude completion zsh --install
      hitofude completion bash > hitofude.bash

    Parameters
    ----------
    shell
        bash, zsh or fish; by default the one in use.
    install
        Install the script for the current user in place of printing it.
    """
    chosen = _shell_in_use() if shell is None else shell
    if not install:
        print(_script(chosen))
        return
    try:
        path = app.install_completion(shell=chosen)
        path.write_text(_script(chosen), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{error.filename}: cannot be written ({error.strerror}). Save what hitofude completion {chosen} prints "
            f"where {chosen} looks for it."
        ) from None
    tell(say("Completion for {shell} was written to {path}. Open a new terminal to use it.", shell=chosen, path=path))


def _script(shell: Shell) -> str:
    """Return the script. In bash, files are completed where nothing else is: cyclopts knows those of paths alone."""
    script = str(app.generate_completion(shell=shell))
    return script.replace("\ncomplete -F ", "\ncomplete -o default -F ") if shell == "bash" else script


def _shell_in_use() -> Shell:
    """Raises InputError if it is not known, or not one of these."""
    from cyclopts.completion import ShellDetectionError, detect_shell

    try:
        found = detect_shell()
    except ShellDetectionError:
        found = None
    for shell in ("bash", "zsh", "fish"):
        if found == shell:
            return shell
    raise InputError("Which shell? Name it, such as hitofude completion bash. bash, zsh and fish are known.")
