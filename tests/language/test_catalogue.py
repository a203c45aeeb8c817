"""The catalogue of each language: complete, without more than is used, and with the values of each message."""

import re
from string import Formatter

import pytest
from rich.cells import cell_len

from hitofude.language.translation import LABEL_WIDTH, LANGUAGES, catalogue
from tests.language.messages import counts_in_notes, messages

OTHERS = [language for language in LANGUAGES if language != "en"]
KANA_OR_KANJI = re.compile(r"[぀-ヿ一-鿿]")


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_has_its_text_and_none_is_unused(language: str) -> None:
    used = messages()
    assert len(used["messages"]) > 250
    for table, texts in catalogue(language).items():  # type: ignore[arg-type]
        known = used.pop(table)
        assert not known - texts.keys(), f"[{table}] lacks"
        assert not texts.keys() - known - (counts_in_notes() if table == "counts" else set()), f"[{table}], unused"
    assert not used


@pytest.mark.parametrize("language", OTHERS)
def test_each_text_has_the_values_of_its_message_and_no_formats(language: str) -> None:
    for texts in catalogue(language).values():  # type: ignore[arg-type]
        for message, text in texts.items():
            assert fields(message).keys() == fields(text).keys(), text
            assert not any(fields(text).values()), text
            assert re.findall("<[^>]+>", message) == re.findall("<[^>]+>", text)


def fields(text: str) -> dict[str, str | None]:
    """Return the format of each value."""
    return {name: form for _, name, form, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_a_label_leaves_two_spaces_to_its_value(language: str) -> None:
    """Lines that are folded continue below the value, which is found by two spaces."""
    assert all(cell_len(label) <= LABEL_WIDTH - 2 for label in catalogue(language)["labels"].values())  # type: ignore[arg-type]


def test_japanese_texts_are_japanese_and_have_its_punctuation() -> None:
    unchanged = {"macro F1", "log loss", "AUC", "{members}, {flop} TFLOP", ",", ";", "{low:.4f} to {high:.4f}"}
    for texts in catalogue("ja").values():
        for message, text in texts.items():
            words = re.sub(r"\{\w+\}|<.+?>", "", text)
            assert KANA_OR_KANJI.search(words) or message in unchanged or not re.search("[a-z]{2}", words), text
            assert not re.search("[぀-ヿ一-鿿][,.:;()]|[,;()][぀-ヿ一-鿿]", words), text
