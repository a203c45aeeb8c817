"""Names in Arabic or Hebrew, which must not turn the order of the text around them."""

import re
import unicodedata

ISOLATE, END = "\u2068", "\u2069"
QUOTED = re.compile(rf"(?<![\w{ISOLATE}])'[^'\n]+'|(?<!{ISOLATE})「[^」\n]+」")


def isolate(text: str) -> str:
    """Return a text that keeps its place in a line, whichever way it is written.

    A text with letters written from right to left is enclosed in U+2068 and U+2069 (Unicode Standard Annex 9); another
    is unchanged.
    """
    is_turned = any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text)
    return f"{ISOLATE}{text}{END}" if is_turned else text


def isolate_quoted(text: str) -> str:
    """Return a text in which every name in quotes keeps its place. The marks are outside the quotes, so that the name
    can be copied.
    """
    return QUOTED.sub(lambda found: isolate(found[0]), text)


def without_isolates(text: str) -> str:
    """Return a text without these marks, for a program that draws them."""
    return text.replace(ISOLATE, "").replace(END, "")
