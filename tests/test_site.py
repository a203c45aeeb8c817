"""The documentation as a site: everything public is in it, and it needs no other host."""

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from inspect import getdoc
from pathlib import Path
from shutil import which

import nbformat
import pytest
from cyclopts import App
from website import notebooks

import hitofude
import hitofude.cli
from hitofude.cli.app import app
from hitofude.runs.setting_texts import explain_settings

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. Warnings, such as a link or an anchor that leads nowhere, fail the build."""
    if not all(find_spec(name) for name in ("mkdocs", "material", "mkdocstrings")):
        pytest.skip("needs pip install 'hitofude[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


def sections(page: Path) -> dict[str, str]:
    """The words of each section by the anchor of its heading."""
    parts = re.split(r'<h[1-6] id="([^"]+)"', page.read_text(encoding="utf-8").partition("<article")[2])
    return {name: words(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def words(text: str) -> str:
    """A text without tags and signs."""
    return " ".join(re.findall(r"\w+", html.unescape(re.sub(r"<[^>]*>", "", text))))


def commands(of: App, name: str) -> Iterator[tuple[str, App]]:
    """All commands that can be called, by their names."""
    for word in of:
        if not word.startswith("-"):
            sub = of[word]
            if sub.default_command is not None:
                yield f"{name} {word}", sub
            yield from commands(sub, f"{name} {word}")


@pytest.mark.slow
def test_every_public_name_is_documented(site: Path) -> None:
    documented = sections(site / "api.html")
    for name in hitofude.__all__:
        first = (getdoc(getattr(hitofude, name)) or "").splitlines()[0]
        assert words(first) in documented[f"hitofude.{name}"]
    assert "<li><code>raw</code>: as predicted" in (site / "api.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_command_is_documented_with_its_options(site: Path) -> None:
    documented = sections(site / "commands.html")
    found = dict(commands(app, "hitofude"))
    assert {"hitofude run", "hitofude data check"} <= set(found)
    for name, command in found.items():
        text = documented[name.replace(" ", "-")]
        assert words(command.help.splitlines()[0]) in text
        arguments = command.assemble_argument_collection(parse_docstring=True)
        first_of_name = {argument.name: argument for argument in reversed(arguments) if argument.show}
        for option, argument in first_of_name.items():
            assert words(option) in text
            assert words(argument.parameter.help or "") in text
    assert "mkdocs" not in (site / "commands.html").read_text(encoding="utf-8").partition("<article")[2]


@pytest.mark.slow
def test_every_setting_is_documented(site: Path) -> None:
    documented = sections(site / "settings.html")
    for setting in explain_settings():
        for text in (setting.text, setting.values, setting.default):
            assert words(text) in documented[setting.name]


@pytest.mark.slow
def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loading = re.findall(r"<(?:link|script|img|iframe|source|video|object)\b[^>]*>", text)
        assert not [tag for tag in loading if re.search(r"""(?:src|href|data)=["']?(?:https?:)?//""", tag)], page
        assert 'class="mermaid"' not in text  # Material would fetch what draws it
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", style.read_text(encoding="utf-8")), style


@pytest.mark.slow
def test_pages_opened_from_the_disk_find_words_and_ask_no_host(site: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if (chromium := which("chromium")) is None:
        pytest.skip("needs Debian's chromium")
    asked = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.click("input[name=query]")
        page.keyboard.type("elastic_std")
        page.locator(".md-search-result__item a", has_text="augment.elastic_std").first.wait_for(state="attached")
        page.goto((site / "architecture.html").as_uri())
        browser.close()
    assert asked
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


@pytest.mark.slow
def test_pages_in_japanese_say_so_and_both_languages_lead_to_each_other(site: Path) -> None:
    assert '<html lang="ja"' in (site / "ja" / "index.html").read_text(encoding="utf-8")
    assert 'href="../index.html" hreflang="en"' in (site / "ja" / "index.html").read_text(encoding="utf-8")
    assert 'href="ja/index.html" hreflang="ja"' in (site / "index.html").read_text(encoding="utf-8")


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook, and a folder of the kept outputs."""
    monkeypatch.setattr(notebooks, "OUTPUTS", tmp_path)
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("print(6 * 7)")]
    path = tmp_path / "some.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def keep(folder: Path, *cells: dict[str, object]) -> None:
    (folder / "some.json").write_text(json.dumps(cells), encoding="utf-8")


def test_the_kept_outputs_of_a_notebook_are_shown_if_they_are_of_its_code(notebook: Path) -> None:
    keep(notebook.parent, {"source": "print(6 * 7)", "outputs": [["text/plain", "42\n"]]})
    shown = "# Title\n\n```python\nprint(6 * 7)\n```\n\n```\n42\n```\n"
    assert notebooks.notebook_page(notebook) == shown
    assert notebooks.notebook_page(notebook.rename(notebook.with_name("some.ja.ipynb"))) == shown


def test_outputs_of_other_code_are_not_shown(notebook: Path) -> None:
    keep(notebook.parent, {"source": "print(6 * 8)", "outputs": [["text/plain", "48\n"]]})
    assert "cells alone" in notebooks.notebook_page(notebook)
    assert "48" not in notebooks.notebook_page(notebook)


@pytest.mark.parametrize("name", ["tutorial.ipynb", "tutorial.ja.ipynb", "kaggle.ipynb"])
def test_the_pages_of_notebooks_show_the_outputs_of_their_code(name: str) -> None:
    page = notebooks.notebook_page(ROOT / "notebooks" / name)
    assert "cells alone" not in page, "make docs NOTEBOOKS=1 renews the outputs of the tutorial"
    assert 'src="data:image/png;base64,' in page


def test_the_kept_outputs_stay_small() -> None:
    assert sum(path.stat().st_size for path in notebooks.OUTPUTS.iterdir()) < 300_000
