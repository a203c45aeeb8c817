"""Remedies work as typed."""

import shlex
import sys
from pathlib import Path

import pytest

import hitofude
from hitofude import errors
from hitofude.errors import install_command

CLONE = Path(hitofude.__file__).parents[2]


def test_in_a_clone_an_extra_is_installed_from_its_folder_by_this_python() -> None:
    command = shlex.split(install_command("serve"))
    assert command == [sys.executable, "-m", "pip", "install", "-e", f"{CLONE}[serve]"]


def test_elsewhere_the_packages_of_an_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2",
        "hitofude[onnx]; extra == 'serve'",
        'fastapi>=0.115; extra == "serve"',
        "onnx>=1; extra == 'onnx'",
    ]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: lines)
    monkeypatch.setattr(errors, "__file__", "/site-packages/hitofude/errors.py")
    assert shlex.split(install_command("serve"))[4:] == ["fastapi>=0.115", "onnx>=1"]
    assert shlex.split(install_command("unknown"))[4:] == ["hitofude[unknown]"]
