"""The command line: each command as users call it, its exit codes, and no traceback for a user's mistake."""

import logging
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import hitofude
from hitofude.inputs.dataset import Dataset
from hitofude.learning.networks import NETWORKS
from hitofude.learning.speed import multiplications
from hitofude.recipe import preset_names
from hitofude.runs.setting_texts import explain_settings
from tests.conftest import SMALL, Call, chainer_arrays, measure_briefly, wait_for_line
from tests.runs.test_cost import GivenSpeeds

SETTINGS = SMALL | {"schedule.epochs": 1, "schedule.min_steps": 0}
QUICK = [word for name, value in (SETTINGS | {"rows": 60}).items() for word in ("--set", f"{name}={value}")]
COMMANDS = [
    "run", "predict", "audit", "compare", "runs", "augment", "score", "networks", "bench", "data show", "data check",
    "data mnist", "data fashion-mnist", "data kmnist", "data kaggle", "submit", "import-chainer", "export", "serve",
    "sweep", "presets", "settings", "completion",
]  # fmt: skip
HEAVY = {"torch", "scipy", "sklearn", "matplotlib", "numpy"}


@pytest.fixture(scope="module")
def finished(files: Path) -> Path:
    """Tests change only copies of it."""
    return hitofude.run(files, run=files / "run", settings=SETTINGS, workers=1, quiet=True).folder.path


def write_solution(path: Path, dataset: Dataset) -> Path:
    assert dataset.test is not None
    rows = [f"{number},{label}" for number, label in enumerate(dataset.test.known_labels(), start=1)]
    path.write_text("\n".join(["ImageId,Label", *rows, ""]))
    return path


def test_help_answers_in_half_a_second() -> None:
    """In processor time, which does not depend on how busy the machine is."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    best = 9.0
    for _ in range(2):
        before = os.times()
        subprocess.run([sys.executable, "-m", "hitofude", "--help"], check=True, capture_output=True, env=environment)
        after = os.times()
        best = min(best, sum(after[2:4]) - sum(before[2:4]))
    assert best < 0.5


def test_help_and_reading_load_no_heavy_package(finished: Path, files: Path, dataset: Dataset, tmp_path: Path) -> None:
    """All in one process; --help comes first and may not even load NumPy."""
    solution = write_solution(tmp_path / "solution.csv", dataset)
    commands = [
        ["--help"],
        ["runs", finished],
        ["compare", finished, finished],
        ["score", finished / "submission.csv", solution],
        ["data", "check", files / "train.csv"],
    ]
    code = ["import sys", "from hitofude.cli import main"]
    for arguments in commands:
        code += [f"sys.argv = {['hitofude', *map(str, arguments)]}", "try: main()", "except SystemExit as end:"]
        code += [f"    print('loaded', end.code, *({HEAVY!r} & sys.modules.keys()))"]
    out = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=True).stdout
    loaded = [line.split()[1:] for line in out.splitlines() if line.startswith("loaded")]
    assert loaded == [["0"], *[["0", "numpy"]] * 4]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example_and_fits_80_columns(
    command: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below its first paragraph, which is wrapped to the terminal's width as the parameters are."""
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = call(*command.split(), "--help")
    assert code == 0
    assert f"hitofude {command}" in out.split("For example:")[1]
    _, _, body = out.split("╭")[0].split("\n\n", 2)
    assert [line for line in map(str.rstrip, body.splitlines()) if len(line) > 80] == []


def test_run_prints_accuracy_interval_and_paths_in_plain_lines(files: Path, call: Call, tmp_path: Path) -> None:
    named = ["--network", "cnn-lean", "--epochs", "1", "--folds", "2", "--seed", "3"]
    settings = ["schedule.min_steps=0", "schedule.epoch_share=1.0", "rows=60"]
    quick = [*named, *(word for setting in settings for word in ("--set", setting))]
    code, out, err = call("run", files, "--run", tmp_path / "run", *quick)
    assert (code, err) == (0, "")
    recipe = hitofude.load_result(tmp_path / "run").recipe
    assert (recipe.network.name, recipe.schedule.epochs, recipe.ensemble.folds, recipe.seed) == ("cnn-lean", 1, 2, 3)
    assert "\x1b" not in out
    assert "cpu, " in out or "cuda" in out or "mps" in out
    assert "out-of-fold accuracy" in out
    assert "95 % interval" in out
    assert str(tmp_path / "run" / "submission.csv") in out


def test_the_folds_of_a_run_are_a_number_or_given_by_row(files: Path, call: Call, tmp_path: Path) -> None:
    given = tmp_path / "folds.csv"
    given.write_text("id,fold\n" + "".join(f"{row},{row % 3}\n" for row in range(1, 301)), encoding="utf-8")
    quick = ["--network", "cnn-lean", "--epochs", "1"]
    assert call("run", files, "--run", tmp_path / "run", *quick, "--folds", given)[0] == 0
    assert len(hitofude.load_result(tmp_path / "run").summary.members) == 3


def test_a_source_can_be_two_named_files(files: Path, call: Call) -> None:
    code, out, _ = call("data", "check", "--train", files / "train.csv", "--test", files / "test.csv")
    assert code == 0
    assert "300 in 10 classes" in out
    assert "to predict  50" in out


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


def test_raw_predictions_have_the_same_labels(finished: Path, files: Path, call: Call, tmp_path: Path) -> None:
    for name, more in (("raw.csv", ["--raw"]), ("calibrated.csv", [])):
        assert call("predict", finished, files / "test.csv", "--out", tmp_path / name, *more)[0] == 0
    raw, calibrated = (pd.read_csv(tmp_path / name) for name in ("raw.csv", "calibrated.csv"))
    assert raw["label"].tolist() == calibrated["label"].tolist()
    assert not np.allclose(raw["probability_0"], calibrated["probability_0"], atol=1e-3)


def test_calibrated_is_the_default_now(finished: Path, files: Path, call: Call) -> None:
    code, out, err = call("predict", finished, files / "test.csv", "--calibrated")
    assert (code, out) == (2, "")
    assert "--calibrated is the default now; leave it out." in err


@pytest.fixture
def chainers(tmp_path: Path) -> Path:
    """A folder with a whole model of Chainer's, one cut short, and one without two of its arrays."""
    folder, arrays = tmp_path / "chainer", chainer_arrays()
    folder.mkdir()
    np.savez(folder / "whole.npz", **arrays)
    (folder / "cut.npz").write_bytes((folder / "whole.npz").read_bytes()[:5000])
    np.savez(folder / "partial.npz", **{n: a for n, a in arrays.items() if n not in ("conv1/W", "fc8/b")})
    return folder


def test_chainers_models_are_imported_to_predict_with_and_for_nothing_else(
    chainers: Path, files: Path, call: Call, tmp_path: Path
) -> None:
    run, test = tmp_path / "run", files / "test.csv"
    code, out, err = call("import-chainer", chainers / "whole.npz", chainers / "whole.npz", "--run", run)
    assert (code, err) == (0, "")
    assert f"hitofude predict {run}" in out
    code, _, err = call("predict", run, test, "--out", tmp_path / "p.csv")
    assert (code, err) == (
        0,
        "note: imported networks have no temperature, so these probabilities are as predicted, not calibrated\n",
    )
    assert call("predict", run, test, "--out", tmp_path / "raw.csv", "--raw")[2] == ""
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "raw.csv").read_bytes()
    refused = [["audit", run], ["compare", run, run], ["run", "--run", run]]
    for arguments in refused:
        code, out, err = call(*arguments)
        assert (code, out) == (3, "")
        assert "there are no out-of-fold rows to audit, compare or calibrate by, and no training to continue" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["cut.npz", "--run", "run"], 3, "damaged"),
        (["partial.npz", "--run", "run"], 3, "Missing: conv1/W, fc8/b."),
        (["whole.npz", "cut.npz", "--run", "run"], 3, "cut.npz"),
        (["whole.npz", "--run", "."], 3, "is not empty"),
        (["whole.npz", "--run", "whole.npz"], 3, "is a file"),
        (["none.npz", "--run", "run"], 2, "no such file"),
        (["whole.npz", "--run", "run", "--shape", "28"], 2, "expected HEIGHTxWIDTH"),
        (["whole.npz"], 2, "--run"),
        (["--run", "run"], 2, "MODELS"),
    ],
)
def test_an_invalid_import_ends_with_its_code_and_leaves_nothing(
    arguments: list[str], code: int, message: str, chainers: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chainers)
    before = sorted(chainers.iterdir())
    found, _, err = call("import-chainer", *arguments)
    assert found == code
    assert message in err
    assert sorted(chainers.iterdir()) == before


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
    assert "no writing found" in err


def test_issues_that_were_found_can_be_dropped_or_relabelled(
    finished: Path, files: Path, call: Call, tmp_path: Path
) -> None:
    issues = pd.read_csv(finished / "label_issues.csv", dtype=str)
    issues[:3].to_csv(tmp_path / "drop.csv", index=False)
    issues[3:5].to_csv(tmp_path / "relabel.csv", index=False)
    reviewed = ["--drop-issues", tmp_path / "drop.csv", "--relabel-issues", tmp_path / "relabel.csv"]
    reviewed += ["--issues-from", "0"]
    code, out, _ = call("run", files, *reviewed, "--run", tmp_path / "run", *QUICK[:-2])
    assert code == 0
    assert f"issues   3 training images of {tmp_path / 'drop.csv'} left out" in out
    assert "297 images of 28x28" in out
    result = hitofude.load_result(tmp_path / "run")
    labels = dict(zip(result.ids, np.asarray(result.classes)[result.labels], strict=True))
    assert not set(issues["id"][:3]) & labels.keys()
    assert [labels[id] for id in issues["id"][3:5]] == issues["suggested"][3:5].tolist()


def test_an_audit_is_of_a_run_of_files_or_of_images(
    finished: Path, files: Path, dataset: Dataset, call: Call, tmp_path: Path
) -> None:
    code, out, _ = call("audit", finished, "--source", files, "--out", tmp_path)
    assert code == 0
    assert "of 300 labels: " in out
    assert "0 images repeat an earlier one" in out
    for name in ("label_issues.csv", "hardest.csv"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()
    (tmp_path / "labels.csv").write_text("id,label\n1,0\n")
    apart = tmp_path / "images.npy", tmp_path / "apart.npy"
    np.save(apart[0], dataset.train.images[:, 0])
    np.save(apart[1], dataset.train.known_labels())
    code, out, _ = call("audit", "--source", apart[0], "--labels", apart[1], "--out", tmp_path)
    assert code == 0
    assert "0 images repeat an earlier one" in out
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


def test_score_compares_with_a_solution(finished: Path, dataset: Dataset, call: Call, tmp_path: Path) -> None:
    assert dataset.test is not None
    solution = write_solution(tmp_path / "solution.csv", dataset)
    code, out, _ = call("score", finished / "submission.csv", solution)
    right = (pd.read_csv(finished / "submission.csv")["Label"].to_numpy() == dataset.test.known_labels()).mean()
    assert code == 0
    assert out.startswith(f"accuracy {right:.4f} (95 % interval")


def test_augment_and_show_draw_pictures(files: Path, call: Call, tmp_path: Path) -> None:
    assert call("augment", files, "--out", tmp_path / "a.png", "--images", "2", "--versions", "3")[0] == 0
    assert call("data", "show", files, "--out", tmp_path / "s.png", "--images", "20")[0] == 0
    for name in ("a.png", "s.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.size[0] > 200


def test_networks_lists_each_with_its_size_and_speed(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    measure_briefly(monkeypatch)
    code, out, _ = call("networks", "--device", "cpu")
    assert code == 0
    lines = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:]}
    assert set(lines) == set(NETWORKS)
    assert lines["cnn-medium"][:2] == ["95,156", f"{multiplications('cnn-medium', (1, 28, 28)):,}"]
    assert all(int(figure.replace(",", "")) > 0 for figures in lines.values() for figure in figures[2:4])


def test_presets_lists_each_with_its_cost_in_80_columns(
    call: Call, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitofude.learning.speed_meter.SpeedMeter", lambda images: GivenSpeeds(images, 1e11))
    for source, images in (([], "42,000 images"), ([files], "300 images")):
        code, out, _ = call("presets", *source, "--device", "cpu")
        assert code == 0
        assert images in out.splitlines()[0]
        assert set(re.findall(r"^(\S+) +\S+ TFLOP", out, re.MULTILINE)) == set(preset_names())
        assert max(map(len, out.splitlines())) <= 80


def test_presets_tells_how_long_a_recipe_with_an_own_network_takes(
    call: Call, files: Path, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hitofude.learning.speed_meter.SpeedMeter", lambda images: GivenSpeeds(images, 1e11))
    arguments = ["presets", files, "--device", "cpu", "--plugin", plugin]
    code, out, _ = call(*arguments, "--set", "network.name=tiny")
    assert code == 0
    assert re.findall(r"^(\S+) +\S+ TFLOP .*  tiny, ", out, re.MULTILINE)
    assert not re.findall(r"^good ", out, re.MULTILINE), "its variants name other networks"
    recipe = tmp_path / "mine.toml"
    recipe.write_text('# The network of the house.\n[network]\nname = "tiny"\n')
    code, out, _ = call(*arguments, "--preset", recipe)
    assert code == 0
    assert re.findall(r"^(\S+) +\S+ TFLOP .*  tiny, ", out, re.MULTILINE) == ["mine.toml"]
    assert "                The network of the house.\n" in out
    code, _, err = call("presets", files, "--device", "cpu", "--set", "netwrok.name=tiny")
    assert code == 2
    assert "Did you mean 'network.name'" in err


def test_settings_lists_and_explains_all_in_80_columns(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HITOFUDE_COLUMNS", "80")
    code, out, _ = call("settings")
    assert code == 0
    assert set(re.findall(r"^(\S*\.\S+) ", out, re.MULTILINE)) == {
        setting.name for setting in explain_settings() if setting.stage
    }
    assert max(map(len, out.splitlines())) <= 80
    code, out, _ = call("settings", "schedule.epoch_share")
    assert code == 0
    assert "the network was least sure" in out
    assert "a number above 0, to 1" in out
    assert max(map(len, out.splitlines())) <= 80


def test_check_describes_a_source(files: Path, call: Call) -> None:
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
        (["settings", "schedule.epoch_sahre"], "Did you mean 'schedule.epoch_share'"),
        (["settings", "zzz"], "hitofude settings lists all"),
        (["run", "--set", "schedule.epoch=3"], "Did you mean 'schedule.epochs'"),
        (["run", "--set", "network.name=cnn-medum", "--run", "unused"], "Did you mean 'cnn-medium'"),
        (["run", "--device", "tpu"], "no device 'tpu'"),
        (["run", "--train", "a.csv", "--shape", "28"], "expected HEIGHTxWIDTH"),
        (["runn"], "Did you mean"),
        (["run", "--presett", "fast"], "presett"),
        (["run", "--set", "schedule.epochs=three"], "schedule.epochs: Input should be a valid integer"),
        (["run", "--set", "ensemble.folds=1"], "greater than or equal to 2"),
        (["run", "--set", "seed=1", "--set", "seed=2"], "'seed' is set twice"),
        (
            ["run", "--network", "cnn-lean", "--set", "network.name=vgg-24"],
            "--set network.name are the same setting",
        ),
        (["run", "none.zip", "--device", "tpu"], "no device 'tpu'"),
        (["run", "--folds", "1"], "greater than or equal to 2"),
        (["run", "--preset", "best", "--set", "network.name=cnn-lean"], "contradicts ensemble.variants"),
        (["run", "sample", "--train", "a.csv"], "not both"),
        (["run", "--test", "a.csv"], "--train must name"),
        (["run", "--label", "species"], "The sample has its own labels"),
        (["run", "--verbose", "--quiet"], "contradict each other"),
        (["predict"], "RUN"),
        (["data", "kaggle", "../up"], "not a competition's name"),
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
    report = Path(err.split(" was written to ")[1].split(";")[0])
    text = report.read_text()
    report.unlink()
    assert "hitofude/cli/data.py" in text
    assert "package   torch" in text
    assert "secret-file" not in text


def test_verbose_logs_and_quiet_prints_only_the_result(
    finished: Path, files: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["run", files, "--run", tmp_path / "run", "--workers", "2", *QUICK]
    _, out, err = call(*command, "--verbose")
    assert "members side by side" in out
    assert "INFO: audit and report took" in err
    assert "INFO: member 2: predicting took" in err, "of a worker process"
    _, out, err = call(*command, "--quiet")
    assert "\nsingle cnn-lean" in out, "after the warning that so few epochs are no better than a guess"
    assert " 1/1 " not in out
    assert err == ""
    monkeypatch.setenv("HITOFUDE_LOG", "loud")
    code, _, err = call("data", "check")
    assert code == 2
    assert "Use debug, info, warning, error" in err


@pytest.mark.parametrize(("level", "is_shown"), [("warning", False), ("debug", True)])
def test_warnings_of_libraries_are_shown_only_at_debug(
    level: str, is_shown: bool, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings(action="default"):
        monkeypatch.setenv("HITOFUDE_LOG", level)
        monkeypatch.setattr(
            "hitofude.inputs.dataset.describe_dataset", lambda _: str(warnings.warn("deprecated", stacklevel=1))
        )
        code, _, err = call("data", "check")
        logging.captureWarnings(capture=False)
    assert code == 0
    assert ("deprecated" in err) == is_shown


def test_a_single_image_is_too_few_to_learn_from(call: Call, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("label,pixel0\n1,2\n")
    code, _, err = call("run", tmp_path / "train.csv")
    assert code == 2
    assert "All images have the label '1'" in err


def test_a_bug_in_a_worker_process_is_placed_in_the_report(files: Path, call: Call, tmp_path: Path) -> None:
    """A real bug: a message lacks the key that the worker reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hitofude.learning.worker.EnsembleMessage.images", ({"ask": "images"}, b""))
        code, _, err = call("run", files, "--run", tmp_path / "run", "--workers", "2", *QUICK)
    report = Path(err.split(" was written to ")[1].split(";")[0])
    text = report.read_text()
    report.unlink()
    assert code == 70
    assert "in a worker process:" in text
    assert "in answer" in text


def test_ctrl_c_and_sigterm_say_how_to_continue(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.slow
def test_a_terminated_run_is_continued_by_the_command_that_it_prints(files: Path, tmp_path: Path, call: Call) -> None:
    settings = [word.replace("epochs=1", "epochs=4") for word in QUICK]
    arguments = ["run", str(files), "--run", str(tmp_path / "一筆 run"), "--workers", "2", *settings]
    command = [sys.executable, "-m", "hitofude", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for_line(process, " 1/4 ")
        process.terminate()
        _, err = process.communicate()
    assert process.returncode == 143
    assert shlex.split(err.splitlines()[-1])[1:] == arguments
    code, out, complaints = call(*arguments)
    assert code == 0
    assert "continuing after epoch" in out
    assert "Traceback" not in err + complaints


@pytest.mark.slow
def test_bench_shows_each_network_beside_the_matmul_rate(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    measure_briefly(monkeypatch)
    code, out, _ = call("bench", "--device", "cpu")
    assert code == 0
    assert "PyTorch" in out.splitlines()[0]
    assert out.splitlines()[1].startswith("matmul ")
    assert [line.split()[0] for line in out.splitlines()[3:]] == list(NETWORKS)
    assert all(line.endswith("%") for line in out.splitlines()[3:])


@pytest.mark.parametrize("workers", ["0", "two", "-1"])
def test_a_wrong_number_of_workers_is_refused(workers: str, call: Call) -> None:
    code, _, err = call("run", f"--workers={workers}")
    assert code == 2
    assert "expected auto, a number from 1 up, dask" in err
