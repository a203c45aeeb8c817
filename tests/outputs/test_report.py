import json
from pathlib import Path

from hitofude.learning.metrics import Accuracy
from hitofude.outputs.report import RunSummary, read_report, write_report


def test_a_report_survives_and_states_its_interval(tmp_path: Path) -> None:
    summary = RunSummary("sample", 4000, 1000, 10, "cnn-medium", 95_156, 3, Accuracy(3960, 4000), None, 12.5)
    write_report(tmp_path / "report.json", summary)
    assert read_report(tmp_path / "report.json") == summary
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["out_of_fold"]["low"] < content["out_of_fold"]["accuracy"] == 0.99 < content["out_of_fold"]["high"]
