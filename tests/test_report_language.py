"""The report of a real run in Japanese."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import hitofude
from hitofude.inputs.sources import Dataset
from hitofude.language.translation import catalogue, language
from hitofude.runs.result import RunResult
from tests.conftest import SETTINGS, copy_of

DATA = {"code", "style", "title"}
"""The elements whose text is no message: commands, names of files, the style sheet, source and score."""
NEVER_MESSAGES = {"F1", "Python", "PyTorch", "NumPy", "hitofude", "images", "logits"}
"""Names; and the first and the last operation of a drawn network, which are named as in network.dot."""


class Texts(HTMLParser):
    """Collects the texts that a reader meets: those between tags and of attributes for people."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts, self._open = list[str](), list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.texts += [value or "" for name, value in attrs if name in ("aria-label", "title", "alt")]
        self._open += [] if tag in ("meta", "link", "use", "path", "rect") else [tag]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        is_message = not DATA & {*self._open} or "svg" in self._open
        self.texts += [data] if is_message and data.strip() else []


def words(*texts: str) -> set[str]:
    return {word for text in texts for word in re.findall(r"[A-Za-z][A-Za-z\d.-]*[A-Za-z\d]", text)}


@pytest.fixture(scope="module")
def japanese(finished: RunResult, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A copy of the finished run, with its report written again in Japanese."""
    folder = copy_of(finished, tmp_path_factory.mktemp("japanese")).path
    return hitofude.run(dataset, run=folder, settings=SETTINGS, device="cpu", quiet=True, language="ja")


def test_every_word_of_the_page_is_of_a_japanese_text_or_data(japanese: RunResult) -> None:
    summary = japanese.summary
    page = Texts(japanese.folder.page.read_text(encoding="utf-8"))
    assert len(page.texts) > 500
    of_texts = words(*(text for table in catalogue("ja").values() for text in table.values()))
    layers = re.findall(r'label="([^"\\]*)', japanese.folder.network.read_text(encoding="utf-8"))
    data = words(summary.source, *map(str, summary.environment.values()), *summary.networks, *layers)
    assert words(*page.texts) - of_texts - data - NEVER_MESSAGES == set()
    assert '<html lang="ja">' in japanese.folder.page.read_text(encoding="utf-8")


def test_the_rule_sees_an_english_sentence_and_an_attribute() -> None:
    found = Texts('<p>正解率 in <code>hitofude run</code></p><a title="Top"></a><svg><title>Loss</title></svg>')
    assert words(*found.texts) == {"in", "Top", "Loss"}


def test_the_outcome_is_described_in_the_language_of_the_run(japanese: RunResult, finished: RunResult) -> None:
    assert japanese.describe().startswith("cnn-lean 単独")
    assert "OOF 正解率" in japanese.describe()
    assert "レポート" in japanese._repr_html_()
    assert finished.describe().startswith("single cnn-lean")
    assert repr(japanese.accuracy) == repr(finished.accuracy)
    assert language() == "en"


def test_only_the_report_is_written_again(japanese: RunResult, finished: RunResult) -> None:
    before, after = contents(finished.folder.path), contents(japanese.folder.path)
    differing = [path for path in after if after[path] != before[path]]
    assert differing == [Path("report.html")]


def test_a_report_written_again_in_english_has_its_first_bytes(
    japanese: RunResult, finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    run = copy_of(japanese, tmp_path).path
    hitofude.run(dataset, run=run, settings=SETTINGS, device="cpu", quiet=True)
    assert contents(run) == contents(japanese.folder.path), "without a language a finished run is left alone"
    hitofude.run(dataset, run=run, settings=SETTINGS, device="cpu", quiet=True, language="en")
    assert contents(run) == contents(finished.folder.path)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
