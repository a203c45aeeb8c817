"""Numbers that files spell in several ways: 7, 7.0, 07 and 7e0 are the same label, and the same id.

Programs respell numbers: a column with a gap becomes 7.0 in pandas, a spreadsheet drops the zeros of 0007, and R writes
100000 as 1e+05.
"""

import re
from collections.abc import Iterable
from decimal import Decimal

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,2})?")
_SCIENTIFIC = re.compile(r"[+-]?[0-9]\.[0-9]{1,40}[eE][+-][0-9]{2}")  # as NumPy and C write all numbers of a column
_WITH_ZEROS = re.compile(r"([+-]?[0-9]+)\.0*")


def number_of(text: str) -> Decimal | None:
    """Return the number that a text spells, exactly; None if it is not a number."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def without_zero_decimals(text: str) -> str:
    """'7.0' and '7.000e+00' → '7'; any other text is returned as it is, 7e0 too."""
    match = _WITH_ZEROS.fullmatch(text)
    if match or not _SCIENTIFIC.fullmatch(text):
        return match[1] if match else text
    number = Decimal(text)
    return str(int(number)) if number == int(number) else text


class Spellings:
    """Finds a text among known ones: itself, else the one that is the same number.

    If several known texts are the same number, such as the codes 7 and 07, each is found only by its own spelling.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._by_number: dict[Decimal, str | None] = {}
        for text in self._known:
            if (number := number_of(text)) is not None:
                self._by_number[number] = None if number in self._by_number else text

    def find(self, text: str) -> str | None:
        """Return the known text, None if there is none."""
        if text in self._known:
            return text
        number = number_of(text)
        return None if number is None else self._by_number.get(number)
