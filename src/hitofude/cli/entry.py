"""The command's entry point."""

import errno
import logging
import os
import platform
import signal
import sys
import tempfile
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cyclopts import CycloptsError

from hitofude.cli.app import app, tell, this_command
from hitofude.errors import ClusterError, OutOfResourcesError, UserError, describe_places

EXIT_WRONG_CALL, EXIT_OUR_BUG, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 70, 130, 143
PACKAGES = ("hitofude", "torch", "numpy", "scikit-learn", "scipy", "pydantic", "cyclopts", "safetensors", "matplotlib")


def main() -> NoReturn:
    """Run the command and exit: every outcome has its exit code, and a user's mistake prints no traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads would slow down other processes
    try:
        app.meta(sys.argv[1:], print_error=True, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        sys.exit(EXIT_WRONG_CALL)
    except UserError as error:
        continued = f"\n{_how_to_continue()}" if isinstance(error, ClusterError) else ""
        tell(f"hitofude: {error}{continued}", sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        tell(f"\nhitofude: interrupted. {_how_to_continue()}", sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except _Terminated:
        tell(f"hitofude: terminated. {_how_to_continue()}", sys.stderr)
        sys.exit(EXIT_TERMINATED)
    except BrokenPipeError:
        _discard_output()
        sys.exit(0)
    except MemoryError:
        print("hitofude: the memory is full. Close other programs, or use fewer images.", file=sys.stderr)
        sys.exit(OutOfResourcesError.exit_code)
    except Exception as error:
        sys.exit(_explain_full_disk() if getattr(error, "errno", None) == errno.ENOSPC else _explain_bug(error))
    sys.exit(0)


def _discard_output() -> None:
    """Send the remaining output nowhere, so that closing it raises no error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain_full_disk() -> int:
    """Explain a full disk that hitofude.storage has not, such as the one behind stdout."""
    print("hitofude: no space left on the disk. Free some space and run the same command again.", file=sys.stderr)
    _discard_output()
    return OutOfResourcesError.exit_code


def _explain_bug(error: Exception) -> int:
    """Write a crash report and return the exit code. HITOFUDE_LOG=debug shows the traceback."""
    logging.getLogger("hitofude").debug("a bug", exc_info=error)
    try:
        place = f"was written to {_write_crash_report(error)}; please attach it to a report"
    except OSError as reason:
        place = f"could not be written to a file ({reason.strerror})"
    tell(
        f"hitofude: this is a bug of ours ({type(error).__name__}). A traceback without any of your data {place}. "
        "HITOFUDE_LOG=debug shows more.",
        sys.stderr,
    )
    return EXIT_OUR_BUG


def _write_crash_report(error: BaseException) -> Path:
    """Write the traceback and the versions of packages to a temporary file, without any of the user's data.

    Return its path. Raises OSError if the file cannot be written.
    """
    now = datetime.now().astimezone()
    path = Path(tempfile.gettempdir()) / f"hitofude-crash-{now:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    lines = [
        "hitofude crash report. It contains no file names, labels, images or arguments of yours.",
        f"when      {now.isoformat(timespec='seconds')}",
        f"command   {_command_name()}",
        f"python    {platform.python_version()}",
        f"system    {platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        *(f"package   {name} {_version(name)}" for name in PACKAGES),
        "",
        *describe_places(error),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not installed"


def _how_to_continue() -> str:
    finished = "Every finished epoch is safe. " if _command_name() in ("run", "distill", "sweep") else ""
    return f"{finished}Run the same command again to continue:\n  {this_command()}"


def _command_name() -> str:
    """Return the command's name without its arguments, which are private."""
    return next((word for word in sys.argv[1:] if word in app), "none")


class _Terminated(BaseException):
    """Raised on SIGTERM."""


def _terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
