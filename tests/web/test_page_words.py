"""The page's texts: complete in each language, and all of them used."""

import json
import re

import pytest

from tests.web.sites import PAGE, REVIEW_PAGE

SHARED = ("ask.js", "chrome.js", "language.js")
"""The files with words that the page of a review has from the drawing page."""


@pytest.fixture(scope="module", params=[PAGE, REVIEW_PAGE], ids=lambda page: page.name)
def sources(request: pytest.FixtureRequest) -> dict[str, str]:
    """The files of a page with its words, by name."""
    paths = [*request.param.iterdir(), *(PAGE / name for name in SHARED)]
    return {path.name: path.read_text(encoding="utf-8") for path in paths if path.suffix in (".js", ".html")}


@pytest.fixture(scope="module")
def words(sources: dict[str, str]) -> dict[str, dict[str, str]]:
    """By language and key."""
    text = sources["words.js"]
    languages = re.split(r"^  (\w+): \{$", text, flags=re.MULTILINE)[1:]
    entry = re.compile(r'^    (\w+): ("(?:[^"\\]|\\.)*"),$', re.MULTILINE)
    return {
        language: {key: json.loads(value) for key, value in entry.findall(body)}
        for language, body in zip(languages[::2], languages[1::2], strict=True)
    }


def test_each_language_has_the_same_words_with_the_same_values(words: dict[str, dict[str, str]]) -> None:
    assert set(words) == {"en", "ja"}
    assert words["en"].keys() == words["ja"].keys()
    for key, text in words["en"].items():
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", words["ja"][key])), key


def test_every_word_is_used_and_every_used_word_is_there(
    sources: dict[str, str], words: dict[str, dict[str, str]]
) -> None:
    others = "\n".join(text for name, text in sources.items() if name not in ("words.js", "docs.js", "docs.html"))
    asked = set(re.findall(r'(?:say|Trouble)\(\s*"(\w+)"', others)) | set(
        re.findall(r'data-(?:word|label)="(\w+)"', others)
    )
    assert asked <= words["en"].keys()
    assert not {key for key in words["en"] if f'"{key}"' not in others}
