"""A result as a notebook shows it."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from hitofude.runs.result import RunResult


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
