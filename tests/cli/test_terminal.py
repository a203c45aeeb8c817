"""The commands on a terminal of 80 columns: no line is longer, and no word is broken."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.test_cli import COMMANDS
from tests.conftest import SMALL, Call

SETTINGS = {**SMALL, "schedule.epochs": 1, "schedule.min_steps": 0, "rows": 60}
QUICK = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
SWEEP = f"""
source = "data"
seeds = [0, 1]
[settings]
rows = 60
"schedule.epochs" = 1
"schedule.min_steps" = 0
"schedule.epoch_share" = 1.0
"network.name" = "{SMALL["network.name"]}"
"ensemble.folds" = 2
[vary]
"optimizer.learning_rate" = [0.02, 0.04]
"""


@pytest.fixture(scope="module")
def folder(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, in which the commands are called with short names."""
    folder = tmp_path_factory.mktemp("terminal")
    shutil.copytree(files, folder / "data")
    (folder / "rates.toml").write_text(SWEEP)
    return folder


def too_long(text: str, width: int) -> list[str]:
    """The lines that do not fit; commands to paste stay whole."""
    return [line for line in text.splitlines() if cell_len(line) > width and "hitofude run" not in line]


def test_run_runs_and_compare_fit_80_columns(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HITOFUDE_COLUMNS", "80")
    run = ["run", "data", "--run", "runs/one", "--workers", "1", *QUICK]
    shown = [call(*run), call(*run), call("runs"), call("compare", "runs/one", "runs/one"), call("audit", "runs/one")]
    assert [code for code, _, _ in shown] == [0] * 5
    for _, out, err in shown:
        assert too_long(out + err, 80) == []
    first, again, listed = (out for _, out, _ in shown[:3])
    assert "train acc val. loss val. acc" in first
    assert "nothing to do" in again
    assert "one" in listed


def test_japanese_fits_80_columns(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The language is that of the locale, or that of --language."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HITOFUDE_COLUMNS", "80")
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    run = ["run", "data", "--run", "runs/two", "--workers", "1", *QUICK]
    shown = [call(*run), call("runs"), call("compare", "runs/two", "runs/two"), call("audit", "runs/two")]
    monkeypatch.setenv("LC_ALL", "C")
    shown.append(call(*run, "--language", "ja"))
    assert [code for code, _, _ in shown] == [0] * 5
    for _, out, err in shown:
        assert too_long(out + err, 80) == []
    first, listed, _, _, again = (out for _, out, _ in shown)
    assert too_long(first, 70) != [], "the width is used"
    assert "エポック 学習損失 学習正解率" in first
    assert "実行      終了" in listed
    assert "日本語で書き直しました" in again
    assert 'lang="ja"' in Path("runs/two/report.html").read_text(encoding="utf-8")
    assert "members" in Path("runs/two/report.json").read_text(encoding="utf-8")
    assert call("runs")[1].startswith("run ")


def test_errors_and_help_are_english(call: Call) -> None:
    code, _, err = call("predict", "runs/missing", "x.csv", "--language", "ja")
    assert code == 3
    assert "there is no such folder" in err
    assert "Options of every command" in call("--help", "--language", "ja")[1]
    assert call("runs", "--language", "fr")[0] == 2


@pytest.mark.slow
def test_sweep_fits_80_columns(folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HITOFUDE_COLUMNS", "80")
    code, out, err = call("sweep", "rates.toml", "--workers", "1")
    assert code == 0
    assert too_long(out + err, 80) == []


def test_a_real_terminal_has_its_own_width(folder: Path) -> None:
    """--help and an error, in a pseudo-terminal of 60 columns."""
    for words in (["run", "--help"], ["predict", "runs/missing-folder-of-a-run", "data/test.csv"]):
        out = in_terminal([sys.executable, "-m", "hitofude", *words], folder, 60)
        assert too_long(out, 60) == []
    assert "there is no such folder" in " ".join(out.split())


def in_terminal(command: list[str], folder: Path, width: int) -> str:
    """Return what a command prints to a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TERM": "xterm"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment):
        os.close(theirs)
        printed = b""
        while chunk := read(ours):
            printed += chunk
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", printed.decode())  # without colours


def read(terminal: int) -> bytes:
    """Return the next output; nothing once the other end is closed, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@pytest.mark.parametrize("width", [80, 120])
def test_the_help_of_every_command_fits_the_terminal(width: int, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in ("", *COMMANDS, "distill", "data"):
        code, out, _ = call(*command.split(), "--help")
        assert code == 0
        assert too_long(out, width) == [], command
        assert "…" not in out, "nothing is cut"


def test_help_shows_no_default_that_says_nothing(call: Call) -> None:
    _, out, _ = call("run", "--help")
    assert "[default: auto]" in out
    assert "[default: False]" not in out
    assert "[default: ()]" not in out
