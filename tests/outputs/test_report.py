import json
from pathlib import Path

import pytest

from hitofude.errors import RunFolderError
from hitofude.learning.estimate import Estimate
from hitofude.learning.metrics import Accuracy
from hitofude.outputs.report import RunSummary, read_report, write_report

OUT_OF_FOLD = Accuracy(3960, 4000)
SUMMARY = RunSummary(
    source="sample",
    images_to_train=4000,
    images_to_predict=1000,
    classes=10,
    networks=("cnn-lean", "cnn-medium"),
    parameters={"cnn-lean": 140_554, "cnn-medium": 95_156},
    single={"cnn-lean": OUT_OF_FOLD},
    out_of_fold=OUT_OF_FOLD,
    estimate=Estimate(OUT_OF_FOLD, gain=0.003, ease=-0.001, images=1000),
    test=None,
    training_seconds=12.5,
)


def test_a_report_survives_and_states_its_intervals(tmp_path: Path) -> None:
    write_report(tmp_path / "report.json", SUMMARY)
    assert read_report(tmp_path / "report.json") == SUMMARY
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["out_of_fold"]["low"] < content["out_of_fold"]["accuracy"] == 0.99 < content["out_of_fold"]["high"]
    assert content["estimate"]["accuracy"] == pytest.approx(0.992)
    assert content["estimate"]["low"] < 0.992 < content["estimate"]["high"]


def test_a_report_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, SUMMARY)
    path.write_text(path.read_text().replace('"format_version": 3', '"format_version": 1'))
    with pytest.raises(RunFolderError, match="another version of hitofude"):
        read_report(path)
