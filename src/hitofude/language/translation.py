"""The report and the terminal in the user's language: messages are looked up by their English text, as in gettext.

A message is a format string with named values: `{rows:,} rows`. The file of a language has a text for each; it has the
same names in braces without their formats, which are those of the English message. Without a text a message stays
English.

Errors, the help, the log and all files but report.html are English. A *note* is a sentence that such a file keeps, such
as a warning in report.json: `note` writes it in English, and `translate` puts it into the language where it is shown.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal, get_args

from hitofude.errors import RecipeError, counted

Language = Literal["en", "ja"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
VARIABLES = "LC_ALL", "LC_MESSAGES", "LANG"
"""The variables of the locale; the first one that is set decides, as POSIX has it."""
LABEL_WIDTH = 9
"""The columns of a label and the spaces behind it in the lines of a run: `source   `."""

_language: ContextVar[Language] = ContextVar("language", default="en")


def language() -> Language:
    """Return the language of this thread's messages."""
    return _language.get()


def language_of_locale() -> Language:
    """Return the language of the user's locale, English if there are no messages in it."""
    locale = next(filter(None, map(os.environ.get, VARIABLES)), "")
    return next((one for one in LANGUAGES if locale.lower().startswith(one)), "en")


@contextmanager
def speaking(wanted: str | None) -> Iterator[None]:
    """Give messages in a language in the block; None changes nothing. Raises RecipeError for an unknown language."""
    known = [one for one in LANGUAGES if one == (wanted or language())]
    if not known:
        raise RecipeError(f"There are no messages in the language '{wanted}'. Known: {', '.join(LANGUAGES)}.")
    before = _language.set(known[0])
    try:
        yield
    finally:
        _language.reset(before)


def say(message: str, /, **values: Any) -> str:
    """Return a message with its values in the language."""
    text, formatted = translated(message, values)
    return text.format(**formatted)


def say_of(count: int, one: str, several: str, /, **values: Any) -> str:
    """Return the message for a count of 1 or for another; other languages than English have only the second."""
    return say(one if count == 1 and language() == "en" else several, **values)


def say_count(count: int, noun: str) -> str:
    """'1 image', '1,200 images', '2 classes' in the language. noun: English, singular."""
    return counted(count, noun) if language() == "en" else say(message_of_count(noun), count=count)


def message_of_count(noun: str) -> str:
    """'image' → '{count:,} images'"""
    return counted(2, noun).replace("2", "{count:,}")


def line(label: str, text: str, width: int = LABEL_WIDTH) -> str:
    """`source   sample: …`: a label in the language, filled up with spaces to `width` columns, and a text."""
    from rich.cells import cell_len

    said = catalogue(language()).get("labels", {}).get(label, label)
    return f"{said}{' ' * (width - cell_len(said))}{text}"


def translated(message: str, values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the text of a message in the language, and the values that its `format` takes."""
    text = _texts(language()).get(" ".join(message.split()))
    if text is None:
        return message, values
    formats = {name: spec for _, name, spec, _ in Formatter().parse(message) if name is not None}
    return text, {name: format(values[name], spec) if spec else values[name] for name, spec in formats.items()}


def note(message: str, /, **values: Any) -> str:
    """Return a sentence in English, whatever the language; `translate` translates it."""
    with speaking("en"):
        return message.format(**values)


def translate(text: str) -> str:
    """Translate a note, by the message that it was made from; another text is returned as it is.

    The values of a note are translated too if they are notes, terms or counts, unless they stand in quotes.
    """
    for pattern, translation, quoted in _patterns(language()):
        if found := pattern.fullmatch(text):
            values = found.groupdict().items()
            return translation.format(**{name: one if name in quoted else translate(one) for name, one in values})
    return text


@cache
def catalogue(wanted: Language) -> dict[str, dict[str, str]]:
    """Return the texts of a language by table and message; English has none."""
    if wanted == "en":
        return {}
    return tomllib.loads((Path(__file__).parent / f"{wanted}.toml").read_text(encoding="utf-8"))


@cache
def _texts(wanted: Language) -> dict[str, str]:
    tables = catalogue(wanted).items()
    return {message: text for name, table in tables if name != "labels" for message, text in table.items()}


@cache
def _patterns(wanted: Language) -> list[tuple[re.Pattern[str], str, frozenset[str]]]:
    """Return a pattern, a translation and the values in quotes for each note, term and count.

    Patterns with more letters come first, so that a sentence is not taken for a more general one.
    """
    tables = catalogue(wanted)
    found = []
    for message, text in [
        pair for name in ("notes", "terms", "purposes", "counts") for pair in tables.get(name, {}).items()
    ]:
        pattern, quoted, letters, names = "", set[str](), 0, set[str]()
        for literal, name, _, _ in Formatter().parse(message):
            pattern, letters = pattern + re.escape(literal), letters + len(literal)
            if name is None:
                continue
            if literal.endswith("'"):
                quoted.add(name)
            values = r"[\d,]+" if message in tables["counts"] else ".+?"
            pattern += f"(?P={name})" if name in names else f"(?P<{name}>{values})"
            names.add(name)
        if message in tables["counts"]:
            pattern = re.sub(r"((?<=s)es|s)$", r"(?:\1)?", pattern)  # of one thing, too
        found.append((letters, re.compile(pattern, re.DOTALL), text, frozenset(quoted)))
    return [(pattern, text, quoted) for letters, pattern, text, quoted in sorted(found, key=lambda one: -one[0])]
