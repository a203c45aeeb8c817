"""Text for people, folded between words at the width of their terminal; into a file or a pipe, lines stay whole."""

import os
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from rich.cells import cell_len

from hitofude.inputs.direction import END, ISOLATE, isolate_quoted, without_isolates
from hitofude.language.translation import language

LABEL = re.compile(r"\s*(?:(?:warning|note|hitofude): |(?:警告|注意)：|\S+(?: \S+)*\s{2,}(?=\S))")
"""The beginning of a line, up to the column of its value: `source   sample: 4,000 images`."""
COMMAND_LINE = re.compile(r"\s*(?:hitofude|pip|python3?|docker|kubectl) ")
PIECE = re.compile(
    rf"(?P<space> *)(?P<text>{ISOLATE}[^{END}]*{END}\S*|'[^']+'\S*|\S+ -m pip install .+|pip install (?:-\S+ )*\S+"
    r"|hitofude [a-z-]+(?: (?:--?[a-z]\S*|[A-Z]{2,}\S*|\S*[./]\w\S*))*|(?P<word>\S+))"
)
"""A word, a name written from right to left or, since it must be pasted whole, a text in quotes or a command."""
NOT_AT_START, NOT_AT_END = "、。，．・：；？！）」』】〜ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ", "（「『【"
"""Japanese characters that no line begins or ends with."""
PUNCTUATION = frozenset("、。：（）「」")
"""Signs of a sentence, which no path has."""
KATAKANA = re.compile("[ァ-ヴー]+")
"""Foreign words, which are not broken."""
MOST_SPACES = 8
"""Of a path in a line; see _join_path."""


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return the columns of the stream's terminal: the variable COLUMNS if it is set, else those that the system knows.

    stream: by default stdout. Returns None for a file or a pipe, unless HITOFUDE_COLUMNS is set. COLUMNS does not count
    for these: GNU readline sets it in Python's terminal for all programs that are started from there.
    """
    if (columns := _number_in("HITOFUDE_COLUMNS")) is not None:
        return columns
    try:
        known = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (OSError, ValueError, AttributeError):  # no terminal, or no file at all
        return None
    return _number_in("COLUMNS") or known or None


def _number_in(variable: str) -> int | None:
    """Return the number above 0 in a variable of the environment, if it is one."""
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else None


def tell(text: str, stream: TextIO | None = None) -> None:
    """Print a text for people, folded at the terminal's width. stream: by default stdout."""
    print(wrap(text, terminal_width(stream)), file=stream, flush=True)


def wrap(text: str, width: int | None) -> str:
    """Fold lines that are longer than `width` columns between words, and indent what follows to the value's column.

    Paths, commands and texts in quotes are not broken, however long they are, and names in quotes keep their place if
    they are written from right to left. width: None leaves all lines whole.
    """
    text = isolate_quoted(text)
    return text if width is None else "\n".join(_fold(line, width) for line in text.split("\n"))


def text_width(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    return cell_len(without_isolates(text))


def _fold(line: str, width: int) -> str:
    if text_width(line) <= width or COMMAND_LINE.match(line):
        return line
    label = LABEL.match(line)
    begin = label[0] if label and text_width(label[0]) <= width // 2 else ""
    leading = len(line) - len(line.lstrip())
    indent = " " * (text_width(begin) or (leading if leading > 8 else leading + 2))
    return _filled(line[len(begin) :], width, begin, indent)


def fill(text: str, width: int, begin: str) -> str:
    """Fold a text at `width` columns behind a beginning, and indent what follows to the column behind it."""
    return _filled(text, width, begin, " " * text_width(begin))


def _filled(text: str, width: int, begin: str, indent: str) -> str:
    lines, current, is_empty = [], begin, True
    for space, piece in _pieces(text):
        if not is_empty and text_width(current + space + piece) > width:
            lines.append(current)
            current, space = indent, ""
        current, is_empty = current + space + piece, False
    return "\n".join([*lines, current])


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield what must not be broken, each with the spaces before it."""
    found = [(piece["space"], piece["text"], piece["word"] is not None) for piece in PIECE.finditer(text)]
    while found:
        count = _join_path([piece for _, piece, _ in found[: MOST_SPACES + 1]])
        space, first, is_word = found[0]
        if is_word and (os.sep not in first or PUNCTUATION & {*first}):
            first, *others = _broken(first)
        else:
            first, others = first + "".join(before + piece for before, piece, _ in found[1:count]), []
        yield space, first
        yield from (("", other) for other in others)
        del found[:count]


def _broken(word: str) -> list[str]:
    """Return the parts of a word between which a line may end: in Japanese text, the characters that are wide."""
    parts = [word[:1]]
    for before, after in pairwise(word):
        is_wide = cell_len(before) == 2 or cell_len(after) == 2
        is_within_word = KATAKANA.fullmatch(before + after) or before in NOT_AT_END or after in NOT_AT_START
        if language() == "ja" and is_wide and not is_within_word:
            parts.append("")
        parts[-1] += after
    return parts


def _join_path(words: list[str]) -> int:
    """Return how many of the words, from the first on, are one path with spaces in it that exists; else 1."""
    if os.sep not in words[0]:
        return 1
    counts = range(len(words), 1, -1)
    return next((count for count in counts if Path(" ".join(words[:count]).rstrip(",;:.")).exists()), 1)
