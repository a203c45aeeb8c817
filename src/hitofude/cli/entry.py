"""The command's entry point."""

import errno
import logging
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from cyclopts import CycloptsError

from hitofude.cli.app import app, this_command
from hitofude.cli.crash import write_crash_report
from hitofude.errors import ClusterError, OutOfResourcesError, UserError

EXIT_WRONG_CALL, EXIT_OUR_BUG, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 70, 130, 143


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
        print(f"hitofude: {error}{continued}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(f"\nhitofude: interrupted. {_how_to_continue()}", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except _Terminated:
        print(f"hitofude: terminated. {_how_to_continue()}", file=sys.stderr)
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
        place = f"was written to {write_crash_report(error, _command_name())}; please attach it to a report"
    except OSError as reason:
        place = f"could not be written to a file ({reason.strerror})"
    print(
        f"hitofude: this is a bug of ours ({type(error).__name__}). A traceback without any of your data {place}. "
        "HITOFUDE_LOG=debug shows more.",
        file=sys.stderr,
    )
    return EXIT_OUR_BUG


def _how_to_continue() -> str:
    finished = "Every finished epoch is safe. " if _command_name() in ("run", "sweep") else ""
    return f"{finished}Run the same command again to continue:\n  {this_command()}"


def _command_name() -> str:
    """Return the command's name without its arguments, which are private."""
    return next((word for word in sys.argv[1:] if word in app), "none")


class _Terminated(BaseException):
    """Raised on SIGTERM."""


def _terminate(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated
