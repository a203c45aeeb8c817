import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import RunFolderError
from hitofude.metrics.calibration import Reliability
from hitofude.metrics.estimate import Estimate
from hitofude.metrics.metrics import Accuracy, class_scores
from hitofude.metrics.scores import Score
from hitofude.outputs.report import (
    AuditSummary,
    Calibration,
    MemberSummary,
    RunSummary,
    read_summary,
    write_summary,
)

OUT_OF_FOLD = Accuracy(3960, 4000)
CONFUSION = np.array([[1990, 10], [30, 1970]])
RELIABILITY = Reliability((1000, 3000), (0.6, 0.9), (0.7, 0.98))
SUMMARY = RunSummary(
    source="sample",
    command="hitofude run",
    finished="2026-01-01 12:00:00+00:00",
    environment={"hitofude": "0.1.0", "threads": 1},
    images_to_train=4000,
    images_to_predict=1000,
    classes=("no", "yes"),
    parameters={"cnn-lean": 140_554, "cnn-medium": 95_156},
    members=(MemberSummary("cnn-lean", 4000, OUT_OF_FOLD), MemberSummary("cnn-medium", 4000, None)),
    agreement=((1.0, 0.98), (0.98, 1.0)),
    metric="macro-f1",
    scores={"accuracy": Score(0.99, 0.986, 0.993, 0.5), "macro-f1": Score(0.99, 0.986, 0.993, 0.33)},
    test_scores=None,
    single={"cnn-lean": OUT_OF_FOLD},
    out_of_fold=OUT_OF_FOLD,
    confusion=tuple(map(tuple, CONFUSION.tolist())),
    class_scores=tuple(class_scores(CONFUSION)),
    calibration=Calibration(0.7, 0.8, RELIABILITY, RELIABILITY, {"0.95": 0.1}),
    estimate=Estimate(OUT_OF_FOLD, 0.003, -0.001, 0.002, (0.98, 0.995), images=1000),
    no_estimate=None,
    test=None,
    audit=AuditSummary(
        label_issues=3, probably_wrong=2, expected_wrong=1.5, same_images=2, near_images=1, differing_labels=1, leaks=0
    ),
    warnings=("ema.decay=0.999 is never reached in 40 steps",),
    training_seconds=12.5,
)


def test_a_report_survives_and_states_its_intervals(tmp_path: Path) -> None:
    write_summary(tmp_path / "report.json", SUMMARY)
    assert read_summary(tmp_path / "report.json", RunSummary) == SUMMARY
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["out_of_fold"]["low"] < content["out_of_fold"]["accuracy"] == 0.99 < content["out_of_fold"]["high"]
    assert content["estimate"]["accuracy"] == pytest.approx(0.992)
    assert content["estimate"]["low"] < 0.992 < content["estimate"]["high"]


def test_a_report_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_summary(path, SUMMARY)
    path.write_text(path.read_text().replace('"format_version": 5', '"format_version": 1'))
    with pytest.raises(RunFolderError, match="another version of hitofude"):
        read_summary(path, RunSummary)


def test_a_report_states_what_follows_from_its_figures(tmp_path: Path) -> None:
    write_summary(tmp_path / "report.json", SUMMARY)
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["class_scores"][0]["f1"] == pytest.approx(2 * 1990 / (2 * 1990 + 10 + 30))
    error = content["calibration"]["as_predicted"]["expected_calibration_error"]
    assert error == pytest.approx((1000 * 0.1 + 3000 * 0.08) / 4000)


def with_confusion(*rows: tuple[int, ...]) -> RunSummary:
    return replace(SUMMARY, classes=("three", "eight", "none")[: len(rows)], confusion=rows)


def test_the_worst_class_is_named_if_the_classes_are_uneven() -> None:
    worst = with_confusion((300, 0), (10, 2)).worst_class
    assert str(worst) == "eight: 10 of 12 wrong, most often answered three"


def test_the_worst_class_is_named_if_most_of_it_is_wrong() -> None:
    assert str(with_confusion((100, 0), (60, 40)).worst_class).startswith("eight: 60 of 100 wrong")


def test_no_class_is_called_the_worst_if_the_mean_hides_nothing() -> None:
    assert with_confusion((95, 5), (3, 97)).worst_class is None
    assert with_confusion((300, 0), (0, 12)).worst_class is None
    assert with_confusion((95, 5, 0), (3, 97, 0), (0, 0, 0)).worst_class is None  # no row of a class was held out


def test_the_baseline_answers_the_commonest_class() -> None:
    assert with_confusion((12, 0), (10, 290)).baseline_answer == "eight, the commonest class"
    assert with_confusion((12, 0), (10, 2)).baseline_answer == "one class, as all are equally common"


def test_a_damaged_report_names_the_place(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_summary(path, SUMMARY)
    path.write_text(path.read_text().replace('"label_issues": 3', '"label_issues": "many"'))
    with pytest.raises(RunFolderError, match=r"damaged at audit\.label_issues"):
        read_summary(path, RunSummary)
