"""The table of runs: the newest first, each with the preset that it was made by, whatever the terminal's width."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from hitofude.errors import InputError, RunFolderError
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.listing import list_runs
from hitofude.runs.result import RunResult
from tests.conftest import Call


@pytest.fixture
def add(finished: RunResult, tmp_path: Path) -> Any:
    """Add a run to tmp_path: its name, and whatever differs in its report and recipe."""

    def copy(name: str, recipe: Recipe | None = None, **report: Any) -> RunFolder:
        folder = RunFolder(Path(shutil.copytree(finished.folder.path, tmp_path / name)))
        (recipe or finished.recipe).save(folder.recipe)
        folder.report.write_text(json.dumps(json.loads(folder.report.read_text()) | report))
        return folder

    return copy


def cells(table: str) -> list[list[str]]:
    return [line.split("  ") for line in table.splitlines()]


def test_the_newest_run_is_first_under_a_header(add: Any, tmp_path: Path) -> None:
    for name, finished in (("a", "2026-01-02 10:00:00+09:00"), ("b", "2026-01-02 02:00:00+00:00"), ("c", "2025-12-31")):
        add(name, finished=finished)
    header, *rows = list_runs(tmp_path).splitlines()
    assert header.split()[:4] == ["run", "finished", "preset", "source"]
    assert [Path(row.split()[0]).name for row in rows] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (Recipe.preset("best"), "best"),
        (Recipe.preset("fast").with_settings({"schedule.epochs": 3, "seed": 1}), "fast +2"),
        (Recipe.preset("good").with_settings({"chosen_for": "10m"}), "good (10m)"),
        (Recipe.preset("article").for_debugging(), "article --debug"),
        (Recipe(), "own"),
    ],
)
def test_the_preset_is_found_by_the_settings_that_differ(recipe: Recipe, name: str, add: Any, tmp_path: Path) -> None:
    add("run", recipe)
    assert f"  {name}  " in list_runs(tmp_path)


def test_a_distilled_run_is_called_so(add: Any, tmp_path: Path) -> None:
    folder = add("run")
    folder.data.write_text(json.dumps(json.loads(folder.data.read_text()) | {"teacher_fingerprint": "of the teacher"}))
    assert "  distilled  " in list_runs(tmp_path)


def test_an_unfinished_run_has_its_progress_and_a_damaged_one_its_error(add: Any, tmp_path: Path) -> None:
    cut, damaged = add("a/cut"), add("damaged")
    cut.report.unlink()
    os.utime(cut.log, (0, 0))
    damaged.report.write_text("{")
    table = list_runs(tmp_path).splitlines()
    assert "no, 16 epochs" in table[2]
    assert "damaged" in table[1]
    assert f"{cut.path} is not finished; run its command again to continue it." in table
    assert any(line.startswith(f"{damaged.report} ") for line in table)


def test_an_unfinished_run_shows_the_command_that_continues_it(
    add: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = add("cut")
    cut.report.unlink()
    monkeypatch.chdir(tmp_path)
    cut.keep_command("hitofude run 'my data'")
    assert list_runs(tmp_path).endswith(f"{cut.path} is not finished; this continues it:\n  hitofude run 'my data'")
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path / "a b")
    assert list_runs(tmp_path).endswith(f"\n  cd {tmp_path}\n  hitofude run 'my data'")
    with pytest.raises(RunFolderError, match=r"again to continue it:\n  cd .*\n  hitofude run 'my data'$"):
        cut.load_summary()
    cut.command.write_text("{")
    assert "run its command again" in list_runs(tmp_path)


def test_the_metric_has_a_column_only_if_the_runs_differ(add: Any, tmp_path: Path, finished: RunResult) -> None:
    add("a")
    header, row = list_runs(tmp_path).splitlines()
    assert "accuracy" in header
    assert f"{finished.accuracy.value:.4f}" in row
    add("b", metric="macro-f1")
    header, *rows = list_runs(tmp_path).splitlines()
    assert "metric" in header
    assert "score" in header
    assert any("macro F1" in row for row in rows)


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_columns_are_left_out_until_the_table_fits(
    width: int, add: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("sample-fast")
    monkeypatch.chdir(tmp_path)
    lines = list_runs(Path(), width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "sample-fast" in lines[1]
    assert "accuracy" in lines[0]


def test_a_folder_that_does_not_exist_is_called_so(tmp_path: Path, call: Call) -> None:
    assert call("runs", tmp_path / "nowhere")[::2] == (
        2,
        f"hitofude: {tmp_path / 'nowhere'}: there is no such folder. Start a run with hitofude run, or name another "
        "folder.\n",
    )
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match="this is a file, not a folder"):
        list_runs(tmp_path / "notes.txt")


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        list_runs(tmp_path)
