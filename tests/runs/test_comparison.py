"""Runs beside each other, checked by counting."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hitofude
from hitofude.errors import InputError
from hitofude.inputs.sources import Dataset
from hitofude.metrics.metrics import mcnemar
from hitofude.runs.comparison import RunComparison, compare_runs, list_runs, write_differences

SETTINGS = {"schedule.min_steps": 0, "optimizer.batch_size": 32, "ensemble.folds": 2}


@pytest.fixture(scope="module")
def runs(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One epoch, and four."""
    folder = tmp_path_factory.mktemp("runs")
    for epochs in (1, 4):
        settings = SETTINGS | {"schedule.epochs": epochs}
        hitofude.run(dataset, run=folder / f"epochs-{epochs}", settings=settings, device="cpu", workers=1, quiet=True)
    return [folder / "epochs-1", folder / "epochs-4"]


@pytest.fixture(scope="module")
def comparison(runs: list[Path]) -> RunComparison:
    return compare_runs(runs)


def test_the_images_that_one_alone_has_right_are_counted(comparison: RunComparison, dataset: Dataset) -> None:
    first, second = (run.out_of_fold_probabilities.argmax(axis=1) == run.labels for run in comparison.results)
    (pair,) = comparison.pairs()
    assert list(pair.only_first) == dataset.train.ids[first & ~second].tolist()
    assert list(pair.only_second) == dataset.train.ids[second & ~first].tolist()
    assert pair.probability == mcnemar(len(pair.only_first), len(pair.only_second))


def test_more_training_is_said_to_be_better_and_by_which_setting(comparison: RunComparison) -> None:
    (pair,) = comparison.pairs()
    assert pair.probability < 0.05
    assert f"{comparison.names[1]} is better" in pair.describe()
    assert pair.differences == ("schedule.epochs: 1 → 4",)


def test_a_run_beside_itself_does_not_differ(runs: list[Path]) -> None:
    described = compare_runs([runs[0], runs[0]]).describe()
    assert "no difference beyond chance" in described
    assert "the same settings" in described


def test_the_differing_images_are_listed_with_every_answer(comparison: RunComparison, tmp_path: Path) -> None:
    count = write_differences(tmp_path / "differences.csv", comparison)
    frame = pd.read_csv(tmp_path / "differences.csv")
    right = frame[list(comparison.names)].to_numpy() == frame[["label"]].to_numpy()
    (pair,) = comparison.pairs()
    assert len(frame) == count == len(pair.only_first) + len(pair.only_second)
    assert (right.sum(axis=1) == 1).all()


def test_runs_of_other_data_are_not_compared(runs: list[Path], dataset: Dataset, tmp_path: Path) -> None:
    other = replace(dataset, train=dataset.train.take(np.arange(200)))
    settings = SETTINGS | {"schedule.epochs": 1}
    hitofude.run(other, run=tmp_path / "other", settings=settings, device="cpu", workers=1, quiet=True)
    with pytest.raises(InputError, match="other learned from other images or labels"):
        compare_runs([runs[0], tmp_path / "other"])


def test_one_run_is_not_a_comparison(runs: list[Path]) -> None:
    with pytest.raises(InputError, match="two runs or more"):
        compare_runs(runs[:1])


def test_runs_are_listed_finished_or_not(runs: list[Path], tmp_path: Path) -> None:
    shutil.copytree(runs[0], tmp_path / "a" / "whole")
    shutil.copytree(runs[0], tmp_path / "b")
    (tmp_path / "b" / "report.json").unlink()
    whole, cut = list_runs(tmp_path).splitlines()
    assert "2 x cnn-lean" in whole
    assert "out of fold 0." in whole
    assert "not finished, 2 epochs done" in cut


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        list_runs(tmp_path)
