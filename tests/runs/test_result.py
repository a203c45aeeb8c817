"""A result in words, in a console and in a notebook."""

import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from sklearn.metrics import log_loss

from hitofude.metrics.calibration import Cascade, Stage
from hitofude.metrics.scores import NAMES
from hitofude.recipe import Metric
from hitofude.runs.result import RunResult


def test_the_repr_is_one_line_that_a_person_can_read(finished: RunResult) -> None:
    value, expected = finished.accuracy.value, finished.estimate
    assert expected is not None
    assert repr(finished) == (
        f"RunResult('{finished.folder.path}', out-of-fold accuracy {value:.4f}, baseline 0.1000, "
        f"expected test score {expected.value:.4f})"
    )
    without = replace(finished, summary=replace(finished.summary, estimate=None))
    assert repr(without) == f"RunResult('{finished.folder.path}', out-of-fold accuracy {value:.4f}, baseline 0.1000)"


@pytest.mark.parametrize("metric", ["accuracy", "macro-f1", "log-loss"])
def test_the_metric_of_the_run_comes_first_with_its_baseline(finished: RunResult, metric: Metric) -> None:
    result = replace(finished, summary=replace(finished.summary, metric=metric))
    names = [line.split("  ")[0] for line in result.describe().splitlines()]
    first = f"out-of-fold {NAMES[metric]}"
    assert names[1:3] == [first, "baseline"]
    assert f"{first:<{max(map(len, names))}}  {result.scores[metric].value:.4f} (95 % interval" in result.describe()


def test_the_scores_are_those_of_the_calibrated_probabilities(finished: RunResult) -> None:
    calibrated = finished.out_of_fold_probabilities
    assert finished.scores["log-loss"].value == pytest.approx(log_loss(finished.labels, calibrated), rel=1e-5)
    assert finished.scores["accuracy"].value == finished.accuracy.value
    assert finished.scores["accuracy"].interval == finished.accuracy.interval
    assert finished.score == finished.scores["accuracy"]


def test_a_notebook_shows_the_lines_of_the_description(finished: RunResult) -> None:
    html = finished._repr_html_()
    names = [line.split("  ")[0] for line in finished.describe().splitlines()]
    assert re.findall(r"<th[^>]*>([^<]*)</th>", html) == names
    assert str(finished.accuracy) in html


def test_its_links_lead_from_the_working_directory_to_the_files(
    finished: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder.path.parent)
    links = [Path(unquote(link)) for link in re.findall(r'href="([^"]*)"', finished._repr_html_())]
    folder = Path(os.path.relpath(finished.folder.path))
    assert links == [folder / "submission.csv", folder / "report.html", folder]


def test_a_cascade_is_told_in_a_line(finished: RunResult, cascaded: RunResult) -> None:
    assert "networks asked" not in finished.describe()
    cascade = Cascade((Stage(1, 0.7, 0.9896), Stage(0, 0.6, 0.0011)), 0.000094)
    told = replace(finished, summary=replace(finished.summary, cascade=cascade)).describe()
    expected = "1 for 98.96 % of images, 2 for 0.11 %, all 2 for the rest; this is expected to change at most 0.94 of"
    assert re.search(rf"networks asked +{re.escape(expected)} 10,000 labels", told)
    assert f"<dt>Networks asked</dt><dd>{cascaded.summary.networks_asked}</dd>" in cascaded.folder.page.read_text()
