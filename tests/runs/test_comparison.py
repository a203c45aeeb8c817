"""Comparison of runs, checked by counting: a run, and a copy with worse predictions and another setting."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset
from hitofude.metrics.metrics import mcnemar
from hitofude.metrics.scores import Answers, paired_difference, score
from hitofude.recipe import Metric, Recipe
from hitofude.runs.comparison import RunComparison, compare_runs, write_differences
from hitofude.runs.result import RunResult
from hitofude.storage import read_npz, write_npz
from tests.conftest import copy_of


@pytest.fixture(scope="module")
def runs(finished: RunResult, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run whose first 90 rows are predicted as the next class, and the run itself."""
    worse = copy_of(finished, tmp_path_factory.mktemp("worse"))
    arrays = read_npz(worse.out_of_fold)
    arrays["probabilities"][:90] = np.roll(arrays["probabilities"][:90], 1, axis=1)
    write_npz(worse.out_of_fold, **arrays)
    Recipe.load(worse.recipe).with_settings({"schedule.epochs": 1}).save(worse.recipe)
    return [worse.path, finished.folder.path]


@pytest.fixture(scope="module")
def comparison(runs: list[Path]) -> RunComparison:
    return compare_runs(runs)


def test_the_images_that_one_alone_has_right_are_counted(comparison: RunComparison, dataset: Dataset) -> None:
    first, second = (run.out_of_fold_probabilities.argmax(axis=1) == run.labels for run in comparison.results)
    (pair,) = comparison.pairs()
    assert list(pair.only_first) == dataset.train.ids[first & ~second].tolist()
    assert list(pair.only_second) == dataset.train.ids[second & ~first].tolist()
    assert pair.probability == mcnemar(len(pair.only_first), len(pair.only_second))


def test_the_better_run_is_named_with_the_setting_that_differs(comparison: RunComparison) -> None:
    (pair,) = comparison.pairs()
    assert pair.probability < 0.05
    assert f"{comparison.names[1]} is better" in pair.describe()
    assert pair.differences == ("schedule.epochs: 1 → 8",)


def test_a_run_beside_itself_does_not_differ(runs: list[Path]) -> None:
    described = compare_runs([runs[0], runs[0]]).describe()
    assert "no difference beyond chance" in described
    assert "the same settings" in described


def test_groups_that_only_one_run_was_given_are_a_difference(finished: RunResult, tmp_path: Path) -> None:
    grouped = copy_of(finished, tmp_path)
    content = json.loads(grouped.data.read_text())
    grouped.data.write_text(json.dumps(content | {"groups_fingerprint": "of the groups"}))
    comparison = compare_runs([finished.folder.path, grouped.path])
    assert comparison.pairs()[0].differences == ("groups: none → given",)
    assert "settings, first → second\n    groups: none → given" in comparison.describe()


@pytest.mark.parametrize("metric", ["macro-f1", "log-loss"])
def test_runs_are_judged_by_the_metric_that_was_asked_for(runs: list[Path], metric: Metric) -> None:
    comparison = compare_runs(runs, metric)
    (pair,) = comparison.pairs()
    answers = [Answers.of(run.labels, run.out_of_fold_probabilities, run.classes) for run in comparison.results]
    assert pair.difference == paired_difference(metric, answers[:1], answers[1:])
    assert pair.probability < 0.05
    assert f"{comparison.names[1]} is better (bootstrap, paired by image" in pair.describe()
    expected = score(metric, answers[0])
    assert expected is not None
    assert f"{expected.value:.4f}  " in comparison.describe()
    assert ("a lower log loss is better" in comparison.describe()) == (metric == "log-loss")


def test_images_that_belong_together_are_compared_by_group(runs: list[Path], tmp_path: Path) -> None:
    """All images of a group say the same, so they count as one."""
    paths = [shutil.copytree(run, tmp_path / str(number)) for number, run in enumerate(runs)]
    for path in paths:
        arrays = read_npz(path / "oof.npz")
        arrays["groups"] = np.arange(len(arrays["groups"])) // 90
        write_npz(path / "oof.npz", **arrays)
    (pair,) = compare_runs(paths).pairs()
    (alone,) = compare_runs(runs).pairs()
    assert pair.only_second == alone.only_second
    assert pair.probability > 1e6 * alone.probability
    assert "paired by group of images" in pair.describe()


def test_the_metric_is_the_runs_own_if_they_have_the_same(runs: list[Path], tmp_path: Path) -> None:
    paths = [shutil.copytree(run, tmp_path / str(number)) for number, run in enumerate(runs)]
    for path, metric in zip(paths, ("log-loss", "auc"), strict=True):
        report = json.loads((path / "report.json").read_text())
        (path / "report.json").write_text(json.dumps(report | {"metric": metric}))
    assert compare_runs(paths[:1] * 2).metric == "log-loss"
    assert compare_runs(paths).metric == "accuracy"


def test_the_differing_images_are_listed_with_every_answer(comparison: RunComparison, tmp_path: Path) -> None:
    count = write_differences(tmp_path / "differences.csv", comparison)
    frame = pd.read_csv(tmp_path / "differences.csv")
    right = frame[list(comparison.names)].to_numpy() == frame[["label"]].to_numpy()
    (pair,) = comparison.pairs()
    assert len(frame) == count == len(pair.only_first) + len(pair.only_second)
    assert (right.sum(axis=1) == 1).all()


def test_runs_on_other_data_are_not_compared(finished: RunResult, tmp_path: Path) -> None:
    other = copy_of(finished, tmp_path)
    other.data.write_text(json.dumps(json.loads(other.data.read_text()) | {"train_fingerprint": "of other images"}))
    with pytest.raises(InputError, match="copy learned from other images or labels"):
        compare_runs([finished.folder.path, other.path])


def test_one_run_is_not_a_comparison(runs: list[Path]) -> None:
    with pytest.raises(InputError, match="two runs or more: hitofude compare RUN RUN"):
        compare_runs(runs[:1])
