"""Messages and notes in a language, and the language of the user."""

import threading

import pytest

from hitofude.errors import RecipeError
from hitofude.language.translation import (
    VARIABLES,
    language,
    language_of_locale,
    line,
    note,
    say,
    say_count,
    say_of,
    speaking,
    translate,
)


def test_a_message_is_formatted_as_its_english_text_says() -> None:
    assert say("loss {loss:.2f}", loss=0.125) == "loss 0.12"
    with speaking("ja"):
        assert say("loss {loss:.2f}", loss=0.125) == "損失 0.12"
        assert say("The quadratic kappa\n  needs classes that are numbers.").startswith("二次重み付きカッパは")
        assert say("{count} unknown words", count=2) == "2 unknown words"


def test_counts_agree_with_their_number_in_english() -> None:
    one, several = "{labels} is wrong", "{labels} are wrong"
    found = [say_of(count, one, several, labels=say_count(count, "label")) for count in (1, 2000)]
    assert found == ["1 label is wrong", "2,000 labels are wrong"]
    with speaking("ja"):
        assert [say_count(1, "class"), say_count(2000, "image")] == ["1 クラス", "2,000 枚"]


def test_labels_are_filled_up_to_the_same_column() -> None:
    assert line("source", "digits") == "source   digits"
    with speaking("ja"):
        assert line("source", "digits") == "対象     digits"  # the label is four columns wide


def test_a_note_is_english_and_translated_with_the_values_in_it() -> None:
    with speaking("ja"):
        written = note("{network}, variant {number}", network="vgg-24", number=2)
        assert (written, translate(written)) == ("vgg-24, variant 2", "vgg-24（変種 2）")
        steps = (
            "A member makes 1 step in all, too few to learn much. Use --set schedule.min_steps=500, which adds epochs"
        )
        assert translate(f"variant 2: {steps}").startswith("変種 2：メンバーの更新は全部で 1 ステップしかなく")
        assert translate("a text of the user's") == "a text of the user's"


def test_a_value_in_quotes_is_not_translated() -> None:
    with speaking("ja"):
        assert translate("train.csv: the sheet 'light'") == "train.csv：シート「light」"
        assert translate("a light ground, no writing: photos are resized as a whole, not searched for characters") == (
            "地は明るい、文字ではない画像。写真は文字を探さず、全体を縮小します"
        )


@pytest.mark.parametrize(
    ("set_to", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "ja", "LC_ALL": ""}, "ja"),
    ],
)
def test_the_first_variable_of_the_locale_decides(
    set_to: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert language_of_locale() == expected


def test_a_language_is_spoken_in_its_block_and_its_thread_alone() -> None:
    heard: list[str] = []
    with speaking("ja"):
        thread = threading.Thread(target=lambda: heard.append(language()))
        thread.start()
        thread.join()
        with speaking(None):
            assert language() == "ja"
    assert (language(), heard) == ("en", ["en"])


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"no messages in the language 'fr'. Known: en, ja"), speaking("fr"):
        pass
