"""Numbers are found whatever their spelling, and texts and codes only by their own."""

import pytest

from hitofude.inputs.spelling import Spellings, without_zero_decimals


@pytest.mark.parametrize("spelled", ["7", "7.0", "7.", "07", "0007", "+7", "7e0", "70e-1"])
def test_a_number_is_found_by_any_spelling(spelled: str) -> None:
    assert Spellings(["7", "cat"]).find(spelled) == "7"


@pytest.mark.parametrize("known", ["7.0", "07", "1e+05"])
def test_the_known_texts_spelling_is_returned(known: str) -> None:
    assert Spellings([known]).find("100000" if "e" in known else "7") == known


@pytest.mark.parametrize("text", ["cat", "Cat ", "nan", "inf", "1_0", "0x7", "7,0", "", "seven"])
def test_a_text_that_is_no_number_is_found_only_as_it_is(text: str) -> None:
    assert Spellings(["7", "cat", "10"]).find(text) == ("cat" if text == "cat" else None)


def test_codes_that_are_the_same_number_are_kept_apart() -> None:
    codes = Spellings(["7", "07"])
    assert (codes.find("7"), codes.find("07"), codes.find("7.0")) == ("7", "07", None)


def test_long_ids_are_compared_to_the_last_digit() -> None:
    assert Spellings(["12345678901234567891"]).find("12345678901234567890") is None


def test_only_decimals_that_are_zero_are_dropped() -> None:
    assert [without_zero_decimals(text) for text in ("7.0", "7.", "-7.00", "7.5", "07", "v7.0")] == [
        "7", "7", "-7", "7.5", "07", "v7.0",
    ]  # fmt: skip
