"""Sweeps as users run them: ordinary runs, each trained once, continued after any interruption, compared at the end."""

import csv
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import hitofude
from hitofude.errors import ClusterError, DivergedError, OutOfResourcesError, RecipeError, RunFolderError
from hitofude.recipe import Recipe
from hitofude.runs.comparison import compare_runs
from hitofude.runs.listing import list_runs
from hitofude.storage import owning
from hitofude.sweep import running
from hitofude.sweep.ranking import Ranking
from hitofude.sweep.running import Resources, sweep
from hitofude.sweep.table import SweepResult
from hitofude.workers.process import LocalProcesses
from hitofude.workers.worker import Node
from tests.conftest import Call, wait_for_line

SETTINGS = """
[settings]
"rows" = 60
"network.name" = "cnn-lean"
"schedule.epoch_share" = 1.0
"schedule.epochs" = 1
"schedule.min_steps" = 0
"optimizer.batch_size" = 32
"ensemble.folds" = 2
"""
GRID = f"seeds = [0, 1]\n{SETTINGS}\n[vary]\n'optimizer.learning_rate' = [0.02, 0.05]\n"
ONE_WORKER = Resources(workers=1, threads=1)
COMPARED = ("submission.csv", "oof.npz", "members/*/weights.safetensors")


def write_spec(folder: Path, text: str, source: Path) -> Path:
    path = folder / "spec.toml"
    path.write_text(f"source = {json.dumps(str(source))}\n{text}", encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    paths = [path for pattern in COMPARED for path in (folder / "runs").glob(f"*/{pattern}")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def change_state(folder: Path, **changes: object) -> None:
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@pytest.fixture(scope="module")
def spec(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recipes with two seeds."""
    return write_spec(tmp_path_factory.mktemp("spec"), GRID, files)


@pytest.fixture(scope="module")
def finished(spec: Path) -> SweepResult:
    """Tests change only copies of it."""
    return sweep(spec, out=spec.parent / "一筆 sweep", resources=ONE_WORKER, quiet=True)


@pytest.fixture
def copied(finished: SweepResult, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.folder.path, tmp_path / "copy"))


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening workers fails."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("workers were opened")

    monkeypatch.setattr(running, "open_worker_pool", fail)


def test_an_unknown_tracker_is_refused_before_anything_is_written(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no tracker 'tensorbord'"):
        sweep(spec, out=tmp_path / "sweep", resources=Resources(trackers=("tensorbord",)), quiet=True)
    assert not (tmp_path / "sweep").exists()


def test_each_recipe_with_each_seed_is_the_run_of_its_own_command(
    finished: SweepResult, files: Path, tmp_path: Path
) -> None:
    runs = finished.folder.runs
    assert len(list_runs(runs).splitlines()) == 5  # with the header
    ours, theirs = runs / "002-seed-1", tmp_path / "alone"
    report = json.loads((ours / "report.json").read_text(encoding="utf-8"))
    source, *_ = shlex.split(report["command"])[2:]
    hitofude.run(source, preset=ours / "recipe.toml", run=theirs, workers=1, threads=1, quiet=True)
    for name in ("oof.npz", "submission.csv", "members/01/weights.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_the_table_has_a_line_a_run_and_the_best_recipe_is_a_preset(finished: SweepResult) -> None:
    with finished.folder.table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["recipe"], row["seed"]) for row in rows] == [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")]
    for row in rows:
        assert float(row["accuracy"]) == hitofude.load_result(row["run"]).accuracy.value
    best = finished.ranking.best
    assert best.accuracy == max(sum(float(row["accuracy"]) for row in pair) / 2 for pair in (rows[:2], rows[2:]))
    assert Recipe.load(finished.folder.best) == Recipe.load(best.trials[0].path / "recipe.toml")


def test_with_one_seed_the_comparison_is_that_of_compare(finished: SweepResult) -> None:
    one_seed = Ranking.of([candidate.trials[0] for candidate in finished.ranking.candidates])
    (pair,) = compare_runs([candidate.trials[0].path for candidate in one_seed.candidates]).pairs()
    (ours,) = one_seed.comparisons
    assert (ours.better, ours.worse) == (len(pair.only_first), len(pair.only_second))
    assert ours.probability == pair.probability


def test_a_finished_sweep_is_only_read_and_prints_the_same(
    spec: Path, finished: SweepResult, call: Call, no_training: None
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.folder.runs.rglob("*")}
    code, out, err = call("sweep", spec, "--out", finished.folder.path)
    assert (code, err) == (0, "")
    assert finished.describe() in out
    assert {path: path.stat().st_mtime_ns for path in finished.folder.runs.rglob("*")} == before


def test_the_outcome_says_how_it_was_measured(finished: SweepResult) -> None:
    described = finished.describe()
    assert "test images select nothing" in described
    assert "McNemar's test if there is one seed" in described
    assert "Selection bias: the best of 2 was chosen on the images that measure its accuracy" in described
    figures = json.loads(finished.folder.figures.read_text(encoding="utf-8"))
    assert figures["best"] == finished.ranking.best.number
    assert figures["selection_bias"] == finished.ranking.selection_bias
    assert "test" not in figures["recipes"][0]


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        ("[0, 1]", "[0, 2]", "seeds: [0, 1] → [0, 2]"),
        ("0.05", "0.06", "vary.optimizer.learning_rate: [0.02, 0.05] → [0.02, 0.06]"),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused_with_the_difference(
    before: str, after: str, difference: str, copied: Path, files: Path, call: Call, tmp_path: Path
) -> None:
    code, _, err = call("sweep", write_spec(tmp_path, GRID.replace(before, after), files), "--out", copied)
    assert code == 3
    assert difference in err


def test_a_changed_recipe_file_is_noticed(files: Path, tmp_path: Path, no_training: None) -> None:
    preset = tmp_path / "mine.toml"
    path = write_spec(tmp_path, f"preset = {json.dumps(str(preset))}\n{GRID}", files)
    for warmup, error in (("0.2", AssertionError), ("0.3", RunFolderError)):
        preset.write_text(f"[schedule]\nwarmup = {warmup}\n")
        with pytest.raises(error, match=r"workers were opened|schedule.warmup: 0.2 → 0.3"):
            sweep(path, out=tmp_path / "out", quiet=True)


def test_other_data_in_the_same_folder_are_refused(spec: Path, copied: Path, no_training: None) -> None:
    described = copied / "runs" / "001-seed-1" / "data.json"
    content = json.loads(described.read_text(encoding="utf-8"))
    described.write_text(json.dumps(content | {"train_fingerprint": "other"}), encoding="utf-8")
    with pytest.raises(RunFolderError, match="train_fingerprint: other → "):
        sweep(spec, out=copied, quiet=True)


@pytest.mark.slow
def test_other_threads_are_refused_and_by_default_those_of_the_beginning_are_used(
    spec: Path, copied: Path, finished: SweepResult
) -> None:
    with pytest.raises(RunFolderError, match="begun with --threads 1"):
        sweep(spec, out=copied, resources=Resources(threads=2), quiet=True)
    shutil.rmtree(copied / "runs" / "002-seed-1")
    sweep(spec, out=copied, resources=Resources(workers=1), quiet=True)
    assert contents(copied) == contents(finished.folder.path)


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(spec: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("two years of work")
    with pytest.raises(RunFolderError, match=r"it holds thesis\.txt"):
        sweep(spec, out=tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_processes_do_not_work_on_one_sweep(spec: Path, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitofude.runs.claim.SECONDS_FOR_A_DYING_OWNER", 0)
    with owning(copied), pytest.raises(RunFolderError, match="is in use by"):
        sweep(spec, out=copied, quiet=True)


@pytest.mark.parametrize(("key", "value"), [("recipes", 3), ("format_version", 2)])
def test_a_damaged_state_is_named(key: str, value: object, spec: Path, copied: Path) -> None:
    change_state(copied, **{key: value})
    with pytest.raises(RunFolderError, match=rf"state\.json is damaged at {key}"):
        sweep(spec, out=copied, quiet=True)


@pytest.mark.slow
def test_a_sweep_that_is_terminated_and_then_killed_ends_with_the_same_bytes(
    files: Path, finished: SweepResult, tmp_path: Path, call: Call
) -> None:
    """Its first seed is enough."""
    spec = write_spec(tmp_path, GRID.replace("[0, 1]", "[0]"), files)
    arguments = ["sweep", str(spec), "--out", str(tmp_path / "out"), "--workers", "1", "--threads", "1"]
    command = [sys.executable, "-m", "hitofude", *arguments]
    for end, line in ((signal.SIGTERM, " 1/1 "), (signal.SIGKILL, " of 2, ")):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            wait_for_line(process, line)
            process.send_signal(end)
            _, err = process.communicate()
        if end == signal.SIGTERM:
            assert process.returncode == 143
            assert shlex.split(err.splitlines()[-1])[1:] == arguments
            assert "Every finished epoch is safe" in err
    code, out, err = call(*arguments)
    assert code == 0, err
    assert "finished or failed" in out
    expected = contents(finished.folder.path)
    assert contents(tmp_path / "out") == {path: found for path, found in expected.items() if "-seed-0" in path}


@pytest.mark.slow
def test_a_recipe_that_diverges_ends_only_itself_and_is_not_tried_again(
    files: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    several_steps = SETTINGS.replace('batch_size" = 32', 'batch_size" = 8').replace("cnn-lean", "cnn-medium")
    text = f"{several_steps}'optimizer.name' = 'adam'\n[vary]\n"
    path = write_spec(tmp_path, f"{text}'optimizer.learning_rate' = [1e30, 0.001, 0.001]", files)
    result = sweep(path, out=tmp_path / "out", resources=ONE_WORKER, quiet=True)
    assert [candidate.number for candidate in result.ranking.candidates] == [2]
    assert "Failed, and not compared:\n  001-seed-0: optimizer.learning_rate 1e+30: " in result.describe()
    assert sorted(folder.name for folder in (tmp_path / "out" / "runs").iterdir()) == ["001-seed-0", "002-seed-0"]
    request.getfixturevalue("no_training")
    assert sweep(path, out=tmp_path / "out", quiet=True).describe() == result.describe()


def test_if_every_recipe_diverges_the_sweep_has_diverged(spec: Path, copied: Path, no_training: None) -> None:
    change_state(copied, failed=dict.fromkeys(["001-seed-0", "002-seed-1"], "the loss is no longer a number"))
    with pytest.raises(DivergedError, match="Every recipe of the sweep failed, for example 001-seed-0: the loss"):
        sweep(spec, out=copied, quiet=True)


@pytest.mark.slow
def test_an_interrupted_tpe_search_proposes_the_same_recipes_again(files: Path, tmp_path: Path) -> None:
    """The second of its recipes is invalid: its values contradict each other."""
    scales = "'augment.min_scale' = { from = 0.9, to = 1.2 }\n'augment.max_scale' = { from = 0.9, to = 1.2 }\n"
    tpe = "search = 'tpe'\nsearch_seed = 4\ntrials = 2\nbatch = 1\n"
    path, out = write_spec(tmp_path, f"{tpe}{SETTINGS}\n[vary]\n{scales}", files), tmp_path / "out"
    first = sweep(path, out=out, resources=ONE_WORKER, quiet=True)
    (candidate,), (failure,) = first.ranking.candidates, first.ranking.failures
    assert (candidate.number, failure.run.name) == (1, "002-seed-0")
    assert "is above max_scale" in failure.reason
    change_state(out, recipes=[candidate.settings])
    assert sweep(path, out=out, quiet=True).to_json() == first.to_json()
    change_state(out, optuna="4.0.0")
    with pytest.raises(RunFolderError, match=r"begun with Optuna 4\.0\.0.*pip install optuna==4\.0\.0"):
        sweep(path, out=out, quiet=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[vary]\n'schedule.epoch' = [1, 2]", "Did you mean 'schedule.epochs'"),
        ("[vary]\n'network.name' = ['cnn-lean', 'cnn-leen']", "Invalid recipe with network.name cnn-leen"),
        ("groups = 'nobody'", "there is no column 'nobody'"),
        ("search = 'tpe'\n[vary]\n'optimizer.learning_rate' = { from = -1, to = 1 }", "optimizer.learning_rate -1"),
        ("preset = 'fsat'", "Did you mean 'fast'"),
        ("sedes = [1]", "Did you mean 'seeds'"),
    ],
)
def test_an_invalid_recipe_is_named_before_anything_is_written(
    text: str, message: str, files: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = call("sweep", write_spec(tmp_path, text, files))
    assert code == 2
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["spec.toml"]


def test_a_disk_too_small_for_all_runs_is_noticed_before_the_first(
    spec: Path, tmp_path: Path, no_training: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitofude.storage.free_bytes", lambda _: 20_000_000)
    with pytest.raises(OutOfResourcesError, match=r"The 4 runs need about .* with --out"):
        sweep(spec, out=tmp_path / "out", quiet=True)


@pytest.mark.slow
def test_a_lost_cluster_ends_the_sweep_and_finished_runs_are_kept(
    spec: Path, copied: Path, finished: SweepResult
) -> None:
    class Lost(LocalProcesses):
        """A cluster that is lost when one more member is finished."""

        def nodes(self) -> Sequence[Node]:
            if len(list(copied.glob("runs/*/members/*/weights.safetensors"))) > 4:
                raise ClusterError("The connection is lost.")
            return super().nodes()

    shutil.rmtree(copied / "runs" / "001-seed-0")
    shutil.rmtree(copied / "runs" / "002-seed-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hitofude.learning.dispatch.LocalProcesses", Lost)
        patch.setattr("hitofude.workers.pool.SECONDS_BETWEEN_LOOKS", 0.01)
        patch.setattr("hitofude.workers.pool.SECONDS_BETWEEN_SIGNS", 0.01)
        with pytest.raises(ClusterError, match="The connection is lost"):
            sweep(spec, out=copied, resources=ONE_WORKER, quiet=True)
    assert len(list(copied.glob("runs/*/report.json"))) >= 2
    sweep(spec, out=copied, resources=ONE_WORKER, quiet=True)
    assert contents(copied) == contents(finished.folder.path)
