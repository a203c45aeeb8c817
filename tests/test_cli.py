"""The command line: every command as a user would call it, exit codes, and no traceback for a user's mistake."""

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hitofude.benchmark.arithmetic import multiplications
from hitofude.cli import main
from hitofude.inputs.sources import Dataset
from hitofude.learning.networks import NETWORKS
from tests.conftest import wait_for_line, write_csv

Call = Callable[..., tuple[int, str, str]]
QUICK = ["--set", "schedule.epochs=1", "--set", "schedule.minimum_steps=0", "--set", "ensemble.folds=2"]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hitofude", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        captured = capsys.readouterr()
        assert isinstance(ending.value.code, int), captured.err
        return ending.value.code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def files(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    assert dataset.test is not None
    write_csv(folder / "train.csv", dataset.train)
    write_csv(folder / "test.csv", dataset.test, label=None)
    return folder


@pytest.fixture
def finished(files: Path, call: Call) -> Path:
    folder = files / "run"
    assert call("run", files, "--run", folder, *QUICK)[0] == 0
    return folder


def test_help_answers_in_half_a_second() -> None:
    best = 9.0
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "hitofude", "--help"], check=True, capture_output=True)
        best = min(best, time.perf_counter() - started)
    assert best < 0.5


@pytest.mark.parametrize(
    "command",
    [
        "run", "predict", "audit", "compare", "runs", "augment", "score", "networks", "bench", "data show",
        "data check",
    ],
)  # fmt: skip
def test_every_command_has_an_example_in_its_help(command: str, call: Call) -> None:
    code, out, _ = call(*command.split(), "--help")
    assert code == 0
    assert f"hitofude {command}" in out.split("For example:")[1]


def test_run_prints_accuracy_interval_and_paths_in_plain_lines(files: Path, call: Call, tmp_path: Path) -> None:
    code, out, err = call("run", files, "--run", tmp_path / "run", *QUICK)
    assert (code, err) == (0, "")
    assert "\x1b" not in out
    assert "cpu, " in out or "cuda" in out or "mps" in out
    assert "out-of-fold accuracy" in out
    assert "95 % interval" in out
    assert str(tmp_path / "run" / "submission.csv") in out


def test_two_named_files_can_be_run(files: Path, call: Call, tmp_path: Path) -> None:
    train, test = files / "train.csv", files / "test.csv"
    code, out, _ = call("run", "--train", train, "--test", test, "--run", tmp_path / "run", *QUICK)
    assert code == 0
    assert "50 to predict" in out


def test_predict_writes_csv_npz_or_to_the_terminal(finished: Path, files: Path, call: Call, tmp_path: Path) -> None:
    code, out, _ = call("predict", finished, files / "test.csv")
    assert code == 0
    assert len(out.splitlines()) == 51
    assert call("predict", finished, files / "test.csv", "--out", tmp_path / "p.csv")[0] == 0
    assert call("predict", finished, files / "test.csv", files, "--out", tmp_path / "p.npz")[0] == 0
    frame = pd.read_csv(tmp_path / "p.csv")
    submitted = pd.read_csv(finished / "submission.csv")
    assert frame["label"].tolist() == submitted["Label"].tolist()
    with np.load(tmp_path / "p.npz") as arrays:
        assert arrays["probabilities"].shape == (100, 10)


def test_calibrated_predictions_keep_their_labels(finished: Path, files: Path, call: Call, tmp_path: Path) -> None:
    for name, more in (("as-is.csv", []), ("calibrated.csv", ["--calibrated"])):
        assert call("predict", finished, files / "test.csv", "--out", tmp_path / name, *more)[0] == 0
    as_is, calibrated = (pd.read_csv(tmp_path / name) for name in ("as-is.csv", "calibrated.csv"))
    assert as_is["label"].tolist() == calibrated["label"].tolist()
    assert not np.allclose(as_is["probability_0"], calibrated["probability_0"], atol=1e-3)


def test_predict_reads_a_photo_and_shows_what_it_saw(finished: Path, files: Path, call: Call, tmp_path: Path) -> None:
    bars = np.tile(np.pad(np.zeros((40, 8), dtype=np.uint8), 12, constant_values=255), (1, 3))
    Image.fromarray(bars).save(tmp_path / "photo.png")
    code, out, _ = call("predict", finished, tmp_path / "photo.png", "--show", tmp_path / "seen.png", "--sure", "0")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [f"{tmp_path / 'photo.png'}#{n}" for n in (1, 2, 3)]
    assert (tmp_path / "seen.png").exists()
    code, out, _ = call("predict", finished, files / "test.csv", tmp_path / "photo.png")
    assert len(out.splitlines()) == 1 + 50 + 3
    Image.fromarray(np.full_like(bars, 255)).save(tmp_path / "blank.png")
    code, _, err = call("predict", finished, tmp_path / "blank.png")
    assert code == 2
    assert "nothing written was found" in err


def test_issues_that_were_found_can_be_dropped_or_relabelled(
    finished: Path, files: Path, call: Call, tmp_path: Path
) -> None:
    reviewed = tmp_path / "reviewed.csv"
    reviewed.write_text("".join((finished / "label_issues.csv").read_text().splitlines(keepends=True)[:4]))
    code, out, _ = call("run", files, "--drop-issues", reviewed, "--run", tmp_path / "dropped", *QUICK)
    assert code == 0
    assert "297 images of 28x28" in out
    code, out, _ = call("run", files, "--relabel-issues", reviewed, "--run", tmp_path / "relabelled", *QUICK)
    assert code == 0
    assert "300 images of 28x28" in out


def test_an_audit_is_of_a_run_of_files_or_of_images(finished: Path, files: Path, call: Call, tmp_path: Path) -> None:
    code, out, _ = call("audit", finished, "--source", files, "--out", tmp_path)
    assert code == 0
    assert "labels are probably wrong" in out
    assert "0 images repeat an earlier one" in out
    for name in ("label_issues.csv", "hardest.csv"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()
    (tmp_path / "labels.csv").write_text("id,label\n1,0\n")
    code, _, err = call("audit", "--labels", tmp_path / "labels.csv")
    assert code == 2
    assert "belong together" in err
    assert call("audit")[0] == 2


def test_runs_are_listed_and_compared(finished: Path, files: Path, call: Call, tmp_path: Path) -> None:
    code, out, _ = call("runs", files)
    assert code == 0
    assert str(finished) in out
    code, out, _ = call("compare", finished, finished, "--out", tmp_path / "differences.csv")
    assert code == 0
    assert "0 images written to" in out


def test_score_compares_with_a_solution(finished: Path, files: Path, dataset: Dataset, call: Call) -> None:
    assert dataset.test is not None
    labels = dataset.test.known_labels()
    solution = "".join(f"{i},{label}\n" for i, label in enumerate(labels, start=1))
    (files / "solution.csv").write_text("ImageId,Label\n" + solution)
    code, out, _ = call("score", finished / "submission.csv", files / "solution.csv")
    right = (pd.read_csv(finished / "submission.csv")["Label"].to_numpy() == labels).mean()
    assert code == 0
    assert out.startswith(f"accuracy {right:.4f} (95 % interval")


def test_augment_and_show_draw_pictures(files: Path, call: Call, tmp_path: Path) -> None:
    assert call("augment", files, "--out", tmp_path / "a.png", "--images", "2", "--versions", "3")[0] == 0
    assert call("data", "show", files, "--out", tmp_path / "s.png", "--images", "20")[0] == 0
    for name in ("a.png", "s.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size[0] > 200


def test_networks_lists_each_with_its_size_and_speed(call: Call) -> None:
    code, out, _ = call("networks", "--device", "cpu")
    assert code == 0
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:]}
    assert set(lines) == set(NETWORKS)
    assert lines["cnn-medium"][:2] == ["95,156", f"{multiplications('cnn-medium', (1, 28, 28)):,}"]
    assert all(int(figures[3].replace(",", "")) > int(figures[2].replace(",", "")) > 0 for figures in lines.values())


def test_check_says_what_is_there(files: Path, call: Call) -> None:
    code, out, _ = call("data", "check", files)
    assert code == 0
    assert "300 in 10 classes" in out
    assert "to predict  50" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "check", "none.zip"], "no such file"),
        (["run", "none.zip"], "no such file"),
        (["run", "--preset", "fsat"], "Did you mean 'fast'"),
        (["run", "--set", "schedule.epoch=3"], "Did you mean 'schedule.epochs'"),
        (["run", "--set", "network.name=cnn-medum", "--run", "unused"], "Did you mean 'cnn-medium'"),
        (["run", "--device", "tpu"], "no device 'tpu'"),
        (["run", "--train", "a.csv", "--shape", "28"], "expected HEIGHTxWIDTH"),
        (["runn"], "Did you mean"),
        (["run", "--presett", "fast"], "presett"),
        (["predict"], "RUN"),
    ],
)
def test_a_users_mistake_ends_with_2_and_no_traceback(
    arguments: list[str], message: str, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = call(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_a_wrong_file_is_named_with_its_line(files: Path, call: Call) -> None:
    text = (files / "train.csv").read_text().splitlines()
    text[4] = text[4].replace(",0,", ",zero,", 1)
    (files / "wrong.csv").write_text("\n".join(text))
    code, _, err = call("data", "check", files / "wrong.csv")
    assert code == 2
    assert "wrong.csv, line 5, column 'pixel0': found 'zero'" in err


def test_a_folder_of_another_run_ends_with_3(finished: Path, files: Path, call: Call) -> None:
    code, _, err = call("run", files, "--run", finished, "--preset", "article")
    assert code == 3
    assert "network.name: cnn-lean → cnn-medium" in err


def test_a_bug_of_ours_ends_with_70_and_says_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hitofude.inputs.sources.open_source", lambda *_, **__: 1 / 0)
    code, _, err = call("data", "check", "secret-file.csv")
    assert code == 70
    assert "a bug of ours (ZeroDivisionError)" in err
    assert "Traceback" not in err
    report = Path(err.split(" stands in ")[1].split(";")[0])
    text = report.read_text()
    report.unlink()
    assert "hitofude/cli/looking.py" in text
    assert "package   torch" in text
    assert "secret-file" not in text


def test_a_log_is_there_for_who_asks(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITOFUDE_LOG", "loud")
    code, _, err = call("data", "check")
    assert code == 2
    assert "Use debug, info, warning, error" in err


def test_ctrl_c_and_sigterm_say_how_to_continue(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        monkeypatch.setattr(
            "hitofude.inputs.sources.open_source", lambda *_, number=number, **__: os.kill(os.getpid(), number)
        )
        found, _, err = call("data", "check")
        assert found == code
        assert "again to continue:\n  hitofude data check" in err
    signal.signal(signal.SIGINT, before)


def test_a_terminated_run_is_continued_by_the_command_that_it_prints(files: Path, tmp_path: Path) -> None:
    folder, epochs = str(tmp_path / "一筆 run"), ["--set", "schedule.epochs=8"]
    arguments = ["run", str(files), "--run", folder, "--workers", "2", *QUICK, *epochs]
    command = [sys.executable, "-m", "hitofude", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for_line(process, " 1/8 ")
        process.terminate()
        _, err = process.communicate()
    assert process.returncode == 143
    assert shlex.split(err.splitlines()[-1])[1:] == arguments
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0
    assert "continuing after epoch" in again.stdout
    assert "Traceback" not in err + again.stderr


def test_a_reading_benchmark_prints_a_ratio(files: Path, call: Call) -> None:
    code, out, _ = call("bench", "--csv", files / "train.csv")
    assert code == 0
    assert "pandas" in out
    assert "PyTorch" in out


@pytest.mark.parametrize("workers", ["0", "two", "-1"])
def test_a_wrong_number_of_workers_is_refused(workers: str, call: Call) -> None:
    code, _, err = call("run", f"--workers={workers}")
    assert code == 2
    assert "expected auto or a number" in err
