"""The score of a submission, against scikit-learn, and against files as programs respell them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    log_loss,
    roc_auc_score,
)

from hitofude.errors import InputError
from hitofude.outputs.scoring import score, score_probabilities
from hitofude.recipe import Metric

SOLUTION = "ImageId,Label\n1,7\n2,8\n3,9\n10,0\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "solution.csv").write_text(SOLUTION)
    return tmp_path / "submission.csv", tmp_path / "solution.csv"


def test_it_is_the_share_of_right_labels_whatever_the_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 10, (2, 500))
    frame = pd.DataFrame({"id": np.arange(500), "label": true}).sample(frac=1, random_state=0)
    frame.to_csv(tmp_path / "solution.csv", index=False)
    pd.DataFrame({"id": np.arange(500), "label": predicted}).to_csv(tmp_path / "submission.csv", index=False)
    found = score(tmp_path / "submission.csv", tmp_path / "solution.csv")
    assert found.accuracy.value == accuracy_score(true, predicted)
    assert found.describe() == f"accuracy {found.accuracy}"


@pytest.mark.parametrize(
    "submission",
    [
        "ImageId,Label\n1,7.0\n2,8.0\n3,9.0\n10,0.0\n",
        "ImageId,Label\n0001,07\n0002,08\n0003,09\n0010,00\n",
        "ImageId,Label\n1.0, 7\n2.0, 8\n3.0, 9\n1e+01, 0\n",
        "Label,ImageId\n0,10\n9,3\n8,2\n7,1\n",
        "id,species\n1,7\n2,8\n3,9\n10,0\n",
        "id,label,probability_7\n1,7,0.9\n2,8,0.0\n3,9,0.1\n10,0,0.0\n",
        'ImageId;Label\r\n"1";"7"\r\n"2";"8"\r\n"3";"9"\r\n"10";"0"\r\n',
    ],
)
def test_a_perfect_submission_is_perfect_however_it_is_spelled(submission: str, files: tuple[Path, Path]) -> None:
    files[0].write_text(submission)
    assert score(*files).accuracy.value == 1


@pytest.mark.parametrize("label", ["7", "7.0"])
def test_a_solution_may_spell_a_label_in_two_ways(label: str, files: tuple[Path, Path]) -> None:
    files[1].write_text("id,label\n1,7\n2,7.0\n3,8\n")
    files[0].write_text(f"id,label\n1,{label}\n2,{label}\n3,8\n")
    assert score(*files).accuracy.value == 1


def test_codes_that_are_the_same_number_are_two_labels(files: tuple[Path, Path]) -> None:
    files[1].write_text("id,label\n1,07\n2,7\n")
    files[0].write_text("id,label\n1,7\n2,7\n")
    assert score(*files).accuracy.right == 1


def test_usage_shows_each_part_and_ignored_rows_do_not_count(files: tuple[Path, Path]) -> None:
    files[1].write_text("Usage,Id,Digit\nPublic,1,7\nPrivate,2,8\nPrivate,3,9\nIgnored,10,\n")
    files[0].write_text("Id,Digit\n1,7\n2,8\n3,8\n")
    found = score(*files)
    assert (found.accuracy.right, found.accuracy.total, found.ignored) == (2, 3, 1)
    assert {part: accuracy.value for part, accuracy in found.by_usage.items()} == {"Public": 1, "Private": 0.5}
    assert [line.split()[0] for line in found.describe().splitlines()[:3]] == ["accuracy", "Public", "Private"]


def test_labels_of_one_side_are_said(files: tuple[Path, Path]) -> None:
    files[0].write_text("ImageId,Label\n1,7\n2,seven\n3,7\n10,7\n")
    found = score(*files)
    assert "predicted, but no label of the solution: 'seven' (1 row)" in found.describe()
    assert found.never_predicted == {"8": 1, "9": 1, "0": 1}


def test_the_label_can_be_named(files: tuple[Path, Path]) -> None:
    files[0].write_text("ImageId,first,second\n1,x,7\n2,x,8\n3,x,9\n10,x,0\n")
    assert score(*files, label="second").accuracy.value == 1


@pytest.mark.parametrize(
    ("submission", "message"),
    [
        ("ImageId,Label\n1,7\n2,8\n3,9\n", "1 id is missing, such as '10'"),
        ("ImageId,Label\n1,7\n2,8\n3,9\n10,0\n11,1\n", "the id '11' is not one of the solution's"),
        ("ImageId,Label\n1,7\n1,8\n", "line 3: duplicate id '1'"),
        ("ImageId,Label\n1,7\n1.0,8\n", "the id '1.0' occurs twice, spelled differently"),
        ("ImageId,Label\n1,a\n2,b\n3,c\n10,d\n", "none of its labels .'a', 'b', 'c', 'd'. is among those of"),
        ("1,7\n2,8\n3,9\n", "line 1: expected column names, found numbers"),
        ("ImageId,Label\n1\n", "line 2: expected 2 fields, found 1 field"),
        ("", "expected a header, but the file is empty"),
        ("ImageId,Label\n", "expected a header and at least one row below it"),
        ("ImageId\n1\n2\n", "line 1: expected 2 fields, found 1 field"),
        (None, "no such file"),
    ],
)
def test_a_submission_that_does_not_fit_has_no_score(
    submission: str | None, message: str, files: tuple[Path, Path]
) -> None:
    if submission is not None:
        files[0].write_text(submission)
    with pytest.raises(InputError, match=message):
        score(*files)


@pytest.mark.parametrize(
    ("solution", "message"),
    [
        ("id,label\n1,7\n2,\n", "the label of the id '2' is blank"),
        ("id,label,Usage\n1,7,Ignored\n2,8,Ignored\n", "the Usage of every row is Ignored"),
    ],
)
def test_a_solution_without_answers_is_refused(solution: str, message: str, files: tuple[Path, Path]) -> None:
    files[1].write_text(solution)
    files[0].write_text("id,label\n1,7\n2,8\n")
    with pytest.raises(InputError, match=message):
        score(*files)


@pytest.mark.parametrize(
    ("metric", "oracle"),
    [
        ("balanced-accuracy", balanced_accuracy_score),
        ("macro-f1", partial(f1_score, average="macro")),
        ("quadratic-kappa", partial(cohen_kappa_score, weights="quadratic")),
    ],
)
def test_labels_are_scored_by_any_metric_of_labels(
    metric: Metric, oracle: Callable[..., float], files: tuple[Path, Path]
) -> None:
    true, predicted = np.random.default_rng(0).integers(0, 4, (2, 80))
    for path, labels in zip(files, (predicted, true), strict=True):
        pd.DataFrame({"id": np.arange(80), "label": labels}).to_csv(path, index=False)
    first, second = score(*files).describe(metric).splitlines()
    assert f" {oracle(true, predicted):.4f} (95 % interval" in first
    assert second.startswith("accuracy ")


@pytest.mark.parametrize("metric", ["log-loss", "auc"])
@pytest.mark.parametrize("name", ["{}", "Class_{}"])
def test_probabilities_are_scored_by_a_metric_of_theirs(metric: Metric, name: str, files: tuple[Path, Path]) -> None:
    generator = np.random.default_rng(0)
    true, probabilities = generator.integers(0, 3, 90), generator.dirichlet(np.ones(3), 90)
    pd.DataFrame({"id": np.arange(90), "label": true}).to_csv(files[1], index=False)
    columns = {name.format(label): probabilities[:, label] for label in (2, 0, 1)}
    pd.DataFrame({"id": np.arange(90)} | columns).sample(frac=1, random_state=0).to_csv(files[0], index=False)
    expected = (
        log_loss(true, probabilities) if metric == "log-loss" else roc_auc_score(true, probabilities, multi_class="ovr")
    )
    assert f" {expected:.4f} (95 % interval" in score_probabilities(*files, metric)


def test_one_column_is_the_probability_of_the_second_of_two_classes(files: tuple[Path, Path]) -> None:
    files[1].write_text("id,label\n1,cat\n2,dog\n3,dog\n")
    files[0].write_text("id,target\n1,0.4\n2,0.9\n3,0.3\n")
    assert score_probabilities(*files, "auc").startswith("AUC 0.5000 ")


@pytest.mark.parametrize(
    ("submission", "message"),
    [
        ("id,7,8,9,0\n1,1,0,0,x\n", "line 2: 'x' is not a probability"),
        ("id,7,8\n1,1,0\n", "a column of probabilities for each class of the solution, such as '0', found 7, 8"),
        ("id,7,8,9,0\n5,1,0,0,0\n", "line 2: the id '5' is not one of the solution's"),
        ("id,7,8,9,0\n1,1,0,0,0\n", "3 ids of .* are missing, such as '2'"),
    ],
)
def test_probabilities_that_do_not_fit_have_no_score(submission: str, message: str, files: tuple[Path, Path]) -> None:
    files[0].write_text(submission)
    with pytest.raises(InputError, match=message):
        score_probabilities(*files, "log-loss")


def test_a_kappa_of_labels_without_numbers_is_refused(files: tuple[Path, Path]) -> None:
    for path in files:
        path.write_text("id,label\n1,mild\n2,severe\n")
    with pytest.raises(InputError, match="quadratic-kappa needs classes that are numbers"):
        score(*files).describe("quadratic-kappa")
