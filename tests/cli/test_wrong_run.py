"""The name of a run that is none: every command says so before it reads anything else, and suggests the nearest."""

from pathlib import Path

import pytest

import hitofude
from hitofude.errors import RunFolderError
from hitofude.runs.result import RunResult
from tests.conftest import Call

COMMANDS = [
    ["predict", "RUN", "test.csv"],
    ["predict", "RUN", "shards", "--out", "answers/"],
    ["compare", "RUN", "RUN"],
    ["audit", "RUN"],
    ["export", "RUN", "no-source.csv", "--onnx", "model.onnx"],
    ["serve", "RUN"],
    ["distill", "no-source.csv", "--teacher", "RUN"],
    ["submit", "RUN"],
]


@pytest.fixture
def runs(finished: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `runs` with a run `digits`, below the current folder."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(finished.folder.path.resolve())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_missing_folder_is_called_missing_and_the_nearest_run_is_suggested(command: list[str], call: Call) -> None:
    code, out, err = call(*(word.replace("RUN", "runs/digit") for word in command))
    assert (code, out) == (3, "")
    assert err == "hitofude: runs/digit: there is no such folder. Did you mean runs/digits?\n"


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits", r"digits: there is no such folder\. Did you mean runs/digits\?"),
        ("runs/xyz", r"runs/xyz: there is no such folder\. Name the folder of a run: hitofude runs lists"),
        (
            "runs",
            r"there is no recipe\.toml in it\. It holds runs: name one, such as runs/digits",
        ),
        ("runs/digits/recipe.toml", r"recipe\.toml is a file, not the folder of a run"),
    ],
)
def test_python_says_the_same(name: str, message: str) -> None:
    with pytest.raises(RunFolderError, match=message):
        hitofude.load_result(name)
    with pytest.raises(RunFolderError, match=message):
        hitofude.predict(name, [])


@pytest.mark.parametrize("command", ["predict", "distill", "sweep", "presets", "run"])
def test_a_missing_device_is_found_before_a_source_is_read(command: str, runs: Path, call: Call) -> None:
    (runs / "sweep.toml").write_text('source = "no-source.csv"\nseeds = [0]\n')
    words = {
        "predict": ["runs/digits", "no-source.csv"],
        "distill": ["no-source.csv", "--teacher", "runs/digits"],
        "sweep": ["sweep.toml"],
    }
    code, _, err = call(command, *words.get(command, ["no-source.csv"]), "--device", "abacus")
    assert code == 2
    assert "There is no device 'abacus'" in err
