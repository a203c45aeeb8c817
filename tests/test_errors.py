"""Remedies work as typed."""

import shlex
import sys
from pathlib import Path

import pytest

import hitofude
from hitofude import errors
from hitofude.errors import agree, counted, install_command

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


@pytest.mark.parametrize(("count", "words"), [(0, "0 classes are"), (1, "1 class is"), (1200, "1,200 classes are")])
def test_nouns_and_verbs_agree_with_their_number(count: int, words: str) -> None:
    assert f"{counted(count, 'class')} {agree(count, 'are')}" == words


@pytest.mark.parametrize(
    ("verb", "singular"), [("have", "has"), ("do", "does"), ("were", "was"), ("differ", "differs")]
)
def test_verbs_have_their_singular(verb: str, singular: str) -> None:
    assert (agree(1, verb), agree(2, verb)) == (singular, verb)
