"""The whole flow on 300 digits: the files of a run, how it continues, and the errors."""

import itertools
import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

import hitofude
from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.dataset import Dataset
from hitofude.outputs.report import RunSummary, read_summary
from hitofude.recipe import Recipe, choose_recipe
from hitofude.runs.callbacks import RunStart
from hitofude.runs.folder import RunFolder
from hitofude.runs.pipeline import default_folder
from hitofude.runs.plan import choose_rows
from hitofude.runs.result import RunResult, load_result
from tests.conftest import SETTINGS, copy_of

LOG_KEYS = [
    "member", "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate",
    "seconds", "images_per_second",
]  # fmt: skip


def test_the_folder_holds_everything(finished: RunResult) -> None:
    names = {path.name for path in finished.folder.path.iterdir() if not path.name.startswith(".")}
    assert names == {
        "recipe.toml", "data.json", "environment.json", "log.jsonl", "loss.png", "accuracy.png", "network.dot",
        "members", "oof.npz", "test_probabilities.npz", "submission.csv", "hardest.csv", "hardest.png",
        "label_issues.csv", "duplicates.csv", "novelty.npz", "report.html", "report.json",
    }  # fmt: skip


def test_the_log_has_a_line_an_epoch_of_a_member(finished: RunResult) -> None:
    lines = [json.loads(line) for line in finished.folder.log.read_text().splitlines()]
    assert [(line["member"], line["epoch"]) for line in lines] == [(m, e) for m in (0, 1) for e in range(1, 9)]
    assert all(list(line) == LOG_KEYS for line in lines)


def test_the_accuracy_is_that_of_the_out_of_fold_probabilities(finished: RunResult, dataset: Dataset) -> None:
    probabilities = finished.out_of_fold_probabilities
    assert probabilities.shape == (300, 10)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(300), abs=1e-5)
    right = (probabilities.argmax(axis=1) == dataset.train.known_labels()).sum()
    assert (finished.accuracy.right, finished.accuracy.total) == (right, 300)
    assert finished.accuracy.value > 0.7


def test_the_submission_is_the_argmax_of_the_members_mean(finished: RunResult, dataset: Dataset) -> None:
    assert finished.submission is not None
    assert finished.member_probabilities is not None
    assert finished.test_predictions is not None
    frame = pd.read_csv(finished.submission)
    expected = finished.member_probabilities.mean(axis=0).argmax(axis=1)
    assert frame.columns.tolist() == ["ImageId", "Label"]
    assert frame["Label"].tolist() == expected.tolist() == finished.test_predictions.astype(int).tolist()
    assert finished.member_probabilities.shape == (2, 50, 10)


def test_known_test_labels_are_scored_at_the_end(finished: RunResult, dataset: Dataset) -> None:
    assert dataset.test is not None
    assert finished.summary.test is not None
    assert finished.summary.test.total == 50
    assert "test accuracy" in finished.describe()


def test_the_same_command_leaves_a_finished_run_alone_and_says_so(
    finished: RunResult, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.folder.path.rglob("*")}
    again = hitofude.run(dataset, run=finished.folder.path, settings=SETTINGS, device="cpu")
    ended = finished.summary.finished[:16]
    assert capsys.readouterr().out.endswith(f"nothing to do: this run ended on {ended}. Its result:\n")
    assert {path: path.stat().st_mtime_ns for path in finished.folder.path.rglob("*")} == before
    assert again.summary == finished.summary


def cut_off(result: RunResult, folder: Path) -> RunFolder:
    """Copy a run as it is after a crash before the second member was trained."""
    run = copy_of(result, folder)
    for path in (run.report, run.submission, run.out_of_fold, run.test_probabilities, run.log):
        path.unlink()
    shutil.rmtree(run.member(1))
    return run


def assert_ended_the_same(run: RunFolder, expected: RunResult) -> None:
    for name in ("submission.csv", "oof.npz", "test_probabilities.npz", "members/01/weights.safetensors"):
        assert (run.path / name).read_bytes() == (expected.folder.path / name).read_bytes(), name
    assert len(run.log.read_text().splitlines()) == 16


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(finished: RunResult, dataset: Dataset, tmp_path: Path) -> None:
    run = cut_off(finished, tmp_path)
    seen, command = CommandToContinue(), "hitofude run digits --workers 3"
    hitofude.run(dataset, run=run.path, settings=SETTINGS, device="cpu", quiet=True, callbacks=[seen], command=command)
    assert_ended_the_same(run, finished)
    assert seen.found == f"  {command}"
    names, expected = ({path.name for path in folder.rglob("*")} for folder in (run.path, finished.folder.path))
    assert names == expected, "nothing is left of the command"


class CommandToContinue(hitofude.Callback):
    """Reads the command that continues a run while it is trained."""

    def started(self, run: RunStart) -> None:
        self.found = RunFolder(run.folder).how_to_continue()


@pytest.mark.slow
def test_neither_a_clock_that_goes_back_nor_another_place_changes_how_it_ends(
    finished: RunResult, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was moved, its files are from the future, and the clock runs backwards."""
    run = RunFolder(cut_off(finished, tmp_path).path.rename(tmp_path / "moved to 別の場所"))
    seconds = itertools.count(time.time(), -1000)
    for path in run.path.rglob("*"):
        os.utime(path, (time.time() + 1e8, time.time() + 1e8))
    monkeypatch.setattr(time, "time", lambda: next(seconds))
    hitofude.run(dataset, run=run.path, settings=SETTINGS, device="cpu", quiet=True)
    assert_ended_the_same(run, finished)


def test_the_curves_are_drawn_where_a_run_was_cut_off_before_them(
    finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    run = copy_of(finished, tmp_path)
    for path in (run.report, run.loss, run.accuracy):
        path.unlink()
    hitofude.run(dataset, run=run.path, settings=SETTINGS, device="cpu", quiet=True)
    for path in ("loss.png", "accuracy.png"):
        assert (run.path / path).read_bytes() == (finished.folder.path / path).read_bytes()


def test_other_settings_in_the_same_folder_are_refused_showing_the_difference(
    finished: RunResult, dataset: Dataset
) -> None:
    with pytest.raises(RunFolderError, match=r"schedule\.epochs: 8 → 9"):
        hitofude.run(dataset, run=finished.folder.path, settings=SETTINGS | {"schedule.epochs": 9}, quiet=True)


def test_other_data_in_the_same_folder_are_refused(finished: RunResult, dataset: Dataset) -> None:
    other = replace(dataset, train=dataset.train.take(np.arange(299)))
    with pytest.raises(RunFolderError, match="train_fingerprint"):
        hitofude.run(other, run=finished.folder.path, settings=SETTINGS, quiet=True)


def test_a_folder_with_other_things_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match=r"not a run folder: it holds thesis\.tex"):
        hitofude.run(dataset, run=tmp_path, settings=SETTINGS, quiet=True)


def test_a_source_without_test_images_has_no_submission(dataset: Dataset, tmp_path: Path) -> None:
    alone = replace(dataset, test=None)
    result = hitofude.run(alone, run=tmp_path / "run", settings=SETTINGS | {"schedule.epochs": 1}, quiet=True)
    assert result.submission is None
    assert result.test_predictions is None
    assert result.estimate is None
    assert result.accuracy.total == 300


def test_a_single_split_validates_only_its_own_rows(dataset: Dataset, tmp_path: Path) -> None:
    settings = {"schedule.epochs": 1}
    result = hitofude.run(dataset, preset="article-simple", run=tmp_path / "run", settings=settings, quiet=True)
    assert result.accuracy.total == 60
    assert np.isnan(result.out_of_fold_probabilities[:, 0]).sum() == 240


def test_predicting_the_test_images_again_gives_the_same(finished: RunResult, dataset: Dataset) -> None:
    assert dataset.test is not None
    found = hitofude.predict(finished.folder.path, dataset.test.images, device="cpu")
    assert np.array_equal(found, finished.test_probabilities)


@pytest.fixture(scope="module")
def mixed(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """Two networks over two splits, and a member on all rows."""
    settings = SETTINGS | {
        "rows": 200,
        "schedule.epochs": 1,
        "ensemble.repeats": 2,
        "ensemble.full_data_members": 1,
        "ensemble.variants": [{}, {"augment.elastic_std": 0.5, "network.name": "cnn-medium"}],
        "tta.shift": 1,
    }
    return hitofude.run(dataset, run=tmp_path_factory.mktemp("mixed"), settings=settings, device="cpu", quiet=True)


def test_members_of_different_networks_predict_together(mixed: RunResult, dataset: Dataset) -> None:
    assert mixed.summary.networks == ("cnn-lean", "cnn-lean", "cnn-medium", "cnn-medium", "cnn-lean")
    assert [member.variant for member in mixed.summary.members] == [1, 1, 2, 2, 1]
    assert "<td>augment.elastic_std=0.5, network.name=cnn-medium</td>" in mixed.folder.page.read_text()
    assert mixed.member_probabilities is not None
    assert mixed.member_probabilities.shape == (5, 50, 10)
    assert dataset.test is not None
    again = hitofude.predict(mixed.folder.path, dataset.test.images, device="cpu")
    assert np.array_equal(again, mixed.test_probabilities)


def test_single_members_are_judged_by_network_and_only_on_what_they_never_saw(mixed: RunResult) -> None:
    assert {name: single.total for name, single in mixed.summary.single.items()} == {"cnn-lean": 200, "cnn-medium": 200}
    assert "single cnn-medium" in mixed.describe()
    assert mixed.out_of_fold_probabilities.shape == (200, 10)
    assert np.allclose(mixed.out_of_fold_probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_score_of_the_submission_is_expected_with_an_interval(finished: RunResult) -> None:
    assert finished.estimate is not None
    assert finished.summary.test is not None
    low, high = finished.estimate.interval
    assert low <= finished.estimate.value <= high
    assert low <= finished.summary.test.value <= high
    assert finished.estimate.out_of_fold == finished.accuracy
    assert f"expected test score   {finished.estimate}" in finished.describe()


def test_networks_that_are_too_weak_have_no_expected_score_and_the_reason_is_said(mixed: RunResult) -> None:
    assert mixed.accuracy.value < 0.3
    assert mixed.estimate is None
    assert "no estimate: the networks are too weak" in mixed.describe()
    assert "There is no estimate of the score: the networks are too weak" in mixed.folder.page.read_text()


def test_images_of_another_size_are_refused(finished: RunResult) -> None:
    with pytest.raises(InputError, match=r"\(N, 1, 28, 28\)"):
        hitofude.predict(finished.folder.path, np.zeros((2, 1, 20, 20), dtype=np.uint8))


def test_an_unfinished_run_has_no_result(finished: RunResult, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="not a run folder"):
        load_result(tmp_path)
    folder = copy_of(finished, tmp_path)
    folder.report.unlink()
    with pytest.raises(RunFolderError, match="not finished"):
        load_result(folder)


def test_the_saved_recipe_is_the_whole_recipe(finished: RunResult) -> None:
    assert Recipe.load(finished.folder.recipe) == choose_recipe("fast", SETTINGS)
    assert choose_recipe(finished.folder.recipe) == finished.recipe


def test_debugging_takes_1000_rows_with_even_classes() -> None:
    train = hitofude.open_source().train
    rows = choose_rows(train, choose_recipe("article", debug=True))
    assert np.bincount(rows.known_labels()).tolist() == [100] * 10


def test_the_default_folder_is_the_same_for_the_same_command() -> None:
    assert default_folder("sample", "fast") == Path("runs/sample-fast")
    assert default_folder("sample", "mine/recipe.toml", debug=True) == Path("runs/sample-recipe-debug")


def test_the_report_agrees_with_the_result(finished: RunResult) -> None:
    assert read_summary(finished.folder.report, RunSummary) == finished.summary


def test_labels_may_be_any_text_on_images_of_any_shape(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["kind," + ",".join(f"p{i}" for i in range(20 * 24))]
    for row in range(60):
        name, low = (("暗い", 0), ("bright, very", 150))[row % 2]
        lines.append(f'"{name}",' + ",".join(map(str, rng.integers(low, low + 100, 480))))
    (tmp_path / "train.csv").write_text("\n".join(lines), encoding="utf-8")
    source = hitofude.open_source(tmp_path / "train.csv", label="kind", shape=(20, 24))
    result = hitofude.run(source, run=tmp_path / "run", settings=SETTINGS, quiet=True)
    assert result.classes == ("bright, very", "暗い")
    assert result.accuracy.value > 0.9


def test_images_without_anything_in_them_are_refused_before_training(tmp_path: Path) -> None:
    header = "label," + ",".join(f"pixel{i}" for i in range(784))
    lines = [header, *(f"{row % 2}" + ",0" * 784 for row in range(60))]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    with pytest.raises(InputError, match="all 60 training images are the same, so there is nothing to learn"):
        hitofude.run(tmp_path / "train.csv", run=tmp_path / "run", settings=SETTINGS, quiet=True)


@pytest.mark.slow
def test_a_run_for_log_loss_ends_with_calibrated_probabilities(dataset: Dataset, tmp_path: Path) -> None:
    settings = {"rows": 100, "schedule.epochs": 1, "schedule.min_steps": 0, "ensemble.folds": 2}
    result = hitofude.run(
        dataset, run=tmp_path / "run", settings=settings, metric="log-loss", class_weights={"3": 2}, quiet=True
    )
    lines = result.folder.submission.read_text().splitlines()
    assert lines[0] == "id,0,1,2,3,4,5,6,7,8,9"
    found = np.array([line.split(",")[1:] for line in lines[1:]], dtype=np.float32)
    assert dataset.test is not None
    assert dataset.test.labels is not None
    assert result.summary.test_scores is not None
    assert result.summary.test_scores["log-loss"].value == pytest.approx(log_loss(dataset.test.labels, found), rel=1e-5)
    assert "\nout-of-fold log loss" in result.describe()
    assert result.recipe.optimizer.class_weights == {"3": 2.0}
