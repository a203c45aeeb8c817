"""The page's texts: complete in each language, and all of them used."""

import json
import re

import pytest

from tests.web.sites import PAGE

SOURCES = {path.name: path.read_text(encoding="utf-8") for path in PAGE.iterdir() if path.suffix in (".js", ".html")}


@pytest.fixture(scope="module")
def words() -> dict[str, dict[str, str]]:
    """By language and key."""
    text = SOURCES["words.js"]
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


def test_every_word_is_used_and_every_used_word_is_there(words: dict[str, dict[str, str]]) -> None:
    others = "\n".join(text for name, text in SOURCES.items() if name not in ("words.js", "docs.js", "docs.html"))
    asked = set(re.findall(r'(?:say|Trouble)\(\s*"(\w+)"', others)) | set(
        re.findall(r'data-(?:word|label)="(\w+)"', others)
    )
    assert asked <= words["en"].keys()
    assert not {key for key in words["en"] if f'"{key}"' not in others}
