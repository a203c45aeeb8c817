"""A result in words, in a console and in a notebook."""

import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from hitofude.runs.result import RunResult


def test_the_repr_is_one_line_that_a_person_can_read(finished: RunResult) -> None:
    value, expected = finished.accuracy.value, finished.estimate
    assert expected is not None
    assert repr(finished) == (
        f"RunResult('{finished.folder.path}', out-of-fold accuracy {value:.4f}, "
        f"expected test score {expected.value:.4f})"
    )
    without = replace(finished, summary=replace(finished.summary, estimate=None))
    assert repr(without) == f"RunResult('{finished.folder.path}', out-of-fold accuracy {value:.4f})"


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
