"""Crash reports: a file to attach to a bug report, without any of the user's data."""

import os
import platform
import tempfile
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hitofude.errors import describe_places

PACKAGES = ("hitofude", "torch", "numpy", "scikit-learn", "scipy", "pydantic", "cyclopts", "safetensors", "matplotlib")


def write_crash_report(error: BaseException, command: str) -> Path:
    """Write the traceback and the versions of packages to a temporary file; return its path.

    command: the command's name, without its arguments. Raises OSError if the file cannot be written.
    """
    now = datetime.now().astimezone()
    path = Path(tempfile.gettempdir()) / f"hitofude-crash-{now:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    lines = [
        "hitofude crash report. It contains no file names, labels, images or arguments of yours.",
        f"when      {now.isoformat(timespec='seconds')}",
        f"command   {command}",
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
