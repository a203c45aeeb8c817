"""Completion in a shell: the scripts, and what a real bash completes by them."""

import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from hitofude.cli.app import Device, MetricName, Network, Preset
from hitofude.learning.networks import NETWORKS
from hitofude.recipe import Metric, preset_names
from tests.conftest import Call

SYNTAX_CHECKS = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}
COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_hitofude
printf '%s\\n' "${COMPREPLY[@]}"
"""
"""What bash does when TAB is pressed behind the last of the words."""
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


def choices(annotated: object) -> set[str]:
    """The texts that a shell completes for a type of an option."""
    union, *_ = get_args(annotated)
    return set(get_args(get_args(union)[0]))


def test_a_shell_completes_the_names_that_there_are() -> None:
    assert choices(Preset) == set(preset_names())
    assert choices(Network) == set(NETWORKS)
    assert choices(MetricName) == set(get_args(Metric))
    assert "cpu" in choices(Device)


@pytest.mark.parametrize("shell", SYNTAX_CHECKS)
def test_each_shell_has_a_script_that_it_can_read(shell: str, call: Call, tmp_path: Path) -> None:
    code, out, err = call("completion", shell)
    assert (code, err) == (0, "")
    assert "hitofude" in out
    assert "import-chainer" in out
    (tmp_path / "script").write_text(out, encoding="utf-8")
    if shutil.which(shell) is not None:
        subprocess.run([*SYNTAX_CHECKS[shell], tmp_path / "script"], check=True)


@pytest.fixture
def bash_script(call: Call, tmp_path: Path) -> Path:
    path = tmp_path / "hitofude.bash"
    path.write_text(call("completion", "bash")[1], encoding="utf-8")
    return path


def completed(script: Path, folder: Path, *words: str) -> list[str]:
    """What bash offers behind these words."""
    command = ["bash", "-c", COMPLETE, "bash", str(script), "hitofude", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()


@needs_bash
def test_bash_completes_commands_options_names_and_files(bash_script: Path, tmp_path: Path) -> None:
    (tmp_path / "digit-recognizer.zip").touch()

    def offered(*words: str) -> list[str]:
        return completed(bash_script, tmp_path, *words)

    assert offered("pre") == ["predict", "presets"]
    assert offered("data", "fa") == ["fashion-mnist"]
    assert offered("run", "--time") == ["--time-limit"]
    assert offered("run", "--preset", "article") == ["article", "article-simple"]
    assert offered("run", "--network", "vgg") == ["vgg-24", "vgg-32"]
    assert offered("run", "--metric", "lo") == ["log-loss"]
    assert offered("run", "--log", "ml") == ["mlflow"]
    assert offered("run", "dig") == offered("predict", "dig") == ["digit-recognizer.zip"]
    assert offered("completion", "z") == ["zsh"]
    assert "--verbose" in offered("--v")
    assert offered("run", "--preset", "dig") == []
    assert "complete -o default -F _hitofude hitofude" in bash_script.read_text(encoding="utf-8"), "then files"


@pytest.mark.parametrize("shell", SYNTAX_CHECKS)
def test_install_writes_the_script_into_the_home_folder(
    shell: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("ZSH", "ZSH_CUSTOM", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    code, out, err = call("completion", shell, "--install")
    assert (code, err) == (0, "")
    path = Path(out.split(" was written to ")[1].partition(". Open")[0])
    assert path.is_relative_to(tmp_path)
    assert "import-chainer" in path.read_text(encoding="utf-8")


def test_a_shell_that_is_not_known_has_to_be_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cyclopts.completion.detect_shell", lambda: "powershell")
    code, _, err = call("completion")
    assert code == 2
    assert "Name it, such as hitofude completion bash" in err


def test_a_home_folder_that_cannot_be_written_is_named(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    code, _, err = call("completion", "fish", "--install")
    assert code == 2
    assert "cannot be written" in err
