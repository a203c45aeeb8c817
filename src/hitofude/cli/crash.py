"""What is kept of a bug of ours: a file to attach to a report, without any of the user's data."""

import os
import platform
import sys
import tempfile
import traceback
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("hitofude", "torch", "numpy", "scikit-learn", "scipy", "pydantic", "cyclopts", "safetensors", "matplotlib")


def write_crash_report(error: BaseException, command: str) -> Path:
    """Write where it happened and with which versions; the file's path.

    command: the command's name, without its arguments. Messages of exceptions, arguments and values are left out, since
    they may hold file names, labels or pixels; paths of source files are cut to what lies within the packages.
    """
    moment = datetime.now().astimezone()
    path = Path(tempfile.gettempdir()) / f"hitofude-crash-{moment:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    lines = [
        "hitofude crash report. It holds no file names, labels, images or arguments of yours.",
        f"when      {moment.isoformat(timespec='seconds')}",
        f"command   {command}",
        f"python    {platform.python_version()}",
        f"system    {platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        *(f"package   {name} {_version(name)}" for name in PACKAGES),
        "",
        *_describe(error),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _describe(error: BaseException) -> list[str]:
    """Types and places of an exception and of those that led to it, the first cause first."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = [*_describe(cause), "", "then"] if cause is not None else []
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"  {_shorten(frame.filename)}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    return [*before, f"{type(error).__module__}.{type(error).__qualname__} at", *places]


def _shorten(filename: str) -> str:
    """The path within the place that Python imports from, without the folders of this machine."""
    roots = sorted((root for root in sys.path if root and filename.startswith(root)), key=len)
    return filename.removeprefix(roots[-1]).lstrip("/\\") if roots else Path(filename).name


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is not there"
