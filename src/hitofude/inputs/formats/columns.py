"""The columns of a table: which hold pixels, which a label, an id, a group; and which are left aside."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isqrt, prod
from pathlib import Path
from typing import Protocol

from hitofude.errors import InputError, counted, suggest
from hitofude.inputs.layout import ReadOptions
from hitofude.language.translation import note

ID_NAMES = ("id", "imageid", "image_id")
LABEL_NAMES = (
    "labels", "class", "target", "y", "category", "species", "breed", "digit", "letter", "character", "emotion",
)  # fmt: skip
"""The names of a label column, beside `label`, that are known without --label, the likeliest first."""
USAGE_NAMES = ("usage", "split", "subset", "set", "partition", "dataset")
USAGES = (
    "training", "train", "publictest", "privatetest", "public", "private", "test", "testing", "val", "valid",
    "validation",
)  # fmt: skip
"""The parts that a column Usage names, in small letters."""
FEWEST_ONE_HOT = 3
"""Columns whose names begin alike, to be taken for one-hot labels."""
SHOWN = 40
"""The characters of a long text that a message shows."""

Rows = list[list[str]]
"""The fields of some rows."""

_COUNTERS = re.compile(r"|unnamed: \d+(_level_\d+)?|index|level_0|__index_level_\d+__", re.IGNORECASE)
_GROUP = re.compile(
    r"(writer|author|subject|patient|person|user|group|session|speaker|participant)([_ ]?id)?", re.IGNORECASE
)
_ONE_NUMBER = re.compile(r"(\D*)(\d+)")
_TWO_NUMBERS = re.compile(r"(\D*)(\d+)[x_,:-](\d+)")
_ROW_AND_COLUMN = re.compile(r"(\D*)r(?:ow)?_?(\d+)_?c(?:ol|olumn)?_?(\d+)", re.IGNORECASE)
_X_AND_Y = re.compile(r"(\D*)x_?(\d+)_?y_?(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Columns:
    """The positions of the pixels, and of the columns of text, among a file's columns."""

    names: tuple[str, ...]
    delimiter: str
    pixels: tuple[int, ...]
    label: int | None
    id: int | None
    groups: int | None = None
    folds: int | None = None
    usage: int | None = None
    ignored: tuple[int, ...] = ()
    """The columns that are left aside."""
    has_names: bool = True
    """Whether the names are the file's own; without a header they are numbers from 1."""
    are_in_one: bool = False
    """Whether one column of text holds all pixels of an image."""
    reading: tuple[str, ...] = ()
    """How the columns were found, if that is not plain."""
    weights: int | None = None
    group_like: int | None = None
    """A column left aside that may tell which rows belong together."""

    @property
    def texts(self) -> tuple[int | None, ...]:
        """The positions of label, id, group, fold, usage and weight."""
        return self.label, self.id, self.groups, self.folds, self.usage, self.weights

    @cached_property
    def pixel_slice(self) -> slice | list[int]:
        """The pixels as an index: a slice, which copies faster, if they are adjacent and in order."""
        first, last = self.pixels[0], self.pixels[-1]
        in_order = self.pixels == tuple(range(first, last + 1))
        return slice(first, last + 1) if in_order else list(self.pixels)

    @property
    def label_column(self) -> str | None:
        """The label's name, or its number from 0 in a file without header."""
        if self.label is None:
            return None
        return self.names[self.label] if self.has_names else str(self.label)

    @property
    def id_column(self) -> str | None:
        return None if self.id is None else self.names[self.id]

    def left_aside(self, name: str) -> tuple[str, ...]:
        """Name the columns that are left aside. name: the file."""
        named = [f"'{shortened(self.names[i])}'" for i in self.ignored if self.names[i]]
        unnamed = sum(not self.names[i] for i in self.ignored)
        columns = ", ".join(named[:5])
        if len(named) > 5:
            lines = [note("{file}: columns {columns}, {count} more", file=name, columns=columns, count=len(named) - 5)]
        elif len(named) > 1:
            lines = [note("{file}: columns {columns}", file=name, columns=columns)]
        else:
            lines = [note("{file}: column {column}", file=name, column=columns)] if named else []
        if self.group_like is not None:
            typed = _quoted(self.names[self.group_like])
            hint = note("{columns}; if its rows belong together: --groups {column}", columns=lines[0], column=typed)
            lines = [hint]
        if unnamed:
            without = note("{file}: {columns} without a name", file=name, columns=counted(unnamed, "column"))
            lines.append(without)
        return tuple(lines)


def shortened(text: str) -> str:
    """Return a text as a message shows it: 40 characters at most."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def is_number(text: str) -> bool:
    """Whether a field is a decimal number; its point may be a comma."""
    return _NUMBER.fullmatch(text.strip()) is not None


class Content(Protocol):
    """The content of a table, for columns whose names do not tell."""

    @property
    def rows(self) -> Rows:
        """The fields of some rows."""
        ...

    def choose_label(self, first: int, last: int) -> int:
        """The label among two columns. Raise InputError if both may be it."""
        ...


def find_columns(
    names: Sequence[str], location: str, options: ReadOptions, delimiter: str = ",", content: Content | None = None
) -> Columns:
    """Assign the columns by their names, and by their content, if it is known, if the names do not tell.

    location: the header, for messages. Raise InputError for a column that is neither a pixel nor anything else.
    """
    by_user = _ignored_by_user(names, options, location)
    ignored = set(by_user)
    kept = [None if position in ignored else name for position, name in enumerate(names)]
    label, id, *related = find_texts([name or "" for name in kept], options, location)
    usage = None if content is None else _find_usage(kept, (label, id, *related), content)
    taken = {position for position in (label, id, *related, usage) if position is not None} | ignored
    ignored |= {i for i, name in enumerate(names) if i not in taken and is_counter(name)}
    free = [i for i in range(len(names)) if i not in taken | ignored]
    in_one = None if content is None else _find_pixel_text(free, content)
    if in_one is not None:
        pixels: tuple[int, ...] = (in_one,)
        ignored |= set(free) - {in_one}
    else:
        pixels = _pixel_order(names, free)
        others = sorted(set(free) - set(pixels))
        aside = {i for i in others if content is not None and _is_left_aside(i, content.rows, label is not None)}
        if refused := [i for i in others if i not in aside]:
            raise _unknown_column(names, refused[0], location, options, related)
        if not pixels:
            raise InputError(f"{location}: there are no pixel columns. Expected names such as pixel0, pixel1, …")
        ignored |= aside
        label, pixels = _label_among_pixels(names, label, pixels, options, content)
    reading = _say_label(Path(location.rsplit(", line", 1)[0]).name, names, label, options)
    groups, folds, weights = related
    is_grouped = groups is not None or folds is not None
    group_like = None if label is None or is_grouped else _find_group_like(names, ignored.difference(by_user))
    return Columns(
        tuple(names), delimiter, pixels, label, id, groups, folds, usage, tuple(sorted(ignored)),
        are_in_one=in_one is not None, reading=reading, weights=weights, group_like=group_like,
    )  # fmt: skip


def _label_among_pixels(
    names: Sequence[str], label: int | None, pixels: tuple[int, ...], options: ReadOptions, content: Content | None
) -> tuple[int | None, tuple[int, ...]]:
    """Find the label among columns that are only numbered, 0 to 784 or V1 to V785; it is the first or the last.

    In a file to predict, which has no label, the label's number names a pixel.
    """
    if label is not None and options.like is not None and len(pixels) + 1 == prod(options.like):
        if _pixel_key(names[label]) is not None:
            return None, _pixel_order(names, [*pixels, label])
        return label, pixels
    fit = pixels_and_label(len(pixels), options)
    if label is not None or options.label is not None or content is None or fit is None or not fit[1] or fit[0] == 1:
        return label, pixels
    label = content.choose_label(pixels[0], pixels[-1])
    return label, tuple(position for position in pixels if position != label)


def _say_label(file: str, names: Sequence[str], label: int | None, options: ReadOptions) -> tuple[str, ...]:
    """Say which column is the label, if neither its name nor the user says so."""
    if label is None or options.label is not None or names[label].lower() == "label":
        return ()
    return (note("{file}: column '{column}' is the label", file=file, column=shortened(names[label])),)


def _find_group_like(names: Sequence[str], ignored: set[int]) -> int | None:
    """The first column left aside that is named as rows that belong together are, such as `writer`."""
    return next((position for position in sorted(ignored) if _GROUP.fullmatch(names[position])), None)


def is_counter(name: str) -> bool:
    """Whether a column's name is none, or that of the numbers of rows, as pandas writes them."""
    return _COUNTERS.fullmatch(name) is not None


def find_texts(names: Sequence[str], options: ReadOptions, location: str) -> tuple[int | None, ...]:
    """The positions of label, id, group, fold and weight. Raise InputError if the label is named as one of these."""
    label, id = _find_label_as_asked(names, options, location), find_id(names)
    asked = {"groups": options.groups, "folds": options.folds, "weights": options.weights}
    others = [None if name is None else find_label(names, name) for name in asked.values()]
    for word, position in zip(asked, others, strict=True):
        if position is not None and position == label:
            if options.label is None and find_label(names, "label") is None:
                label = None  # it was only guessed by its name
                continue
            raise InputError(f"{location}: '{names[position]}' is the label column; --{word} needs another one.")
    return label, None if id == label else id, *others


def find_label(names: Sequence[str], wanted: str) -> int | None:
    """The column of that name; failing that, of that name in other capitals."""
    if wanted in names:
        return names.index(wanted)
    return next((i for i, column in enumerate(names) if column.lower() == wanted.lower()), None)


def find_id(names: Sequence[str]) -> int | None:
    return next((i for i, column in enumerate(names) if column.lower() in ID_NAMES), None)


def column_number(text: str, count: int) -> int | None:
    """The position that a number means: from 0, as pandas counts; `count` is the last one too. None for other texts."""
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or int(text) > count:
        return None
    return min(int(text), count - 1)


def pixels_and_label(count: int, options: ReadOptions) -> tuple[int, bool] | None:
    """The number of pixels among this many columns, and whether one more is a label; None if neither fits."""
    if options.like is not None:
        expected = [prod(options.like)]
    elif options.size is not None:
        expected = [prod(options.size) * channels for channels in ((options.channels,) if options.channels else (1, 3))]
    else:
        expected = [n for n in (count, count - 1) if n > 0 and isqrt(n) ** 2 == n]
        expected += [n for n in (count, count - 1) if n > 0 and isqrt(n // 3) ** 2 * 3 == n]
    return next(((n, count == n + 1) for n in expected if count - n in (0, 1)), None)


def _find_label_as_asked(names: Sequence[str], options: ReadOptions, location: str) -> int | None:
    """The label by the name that the user gives, or its number; else `label`, else another usual name."""
    known = (options.label,) if options.label is not None else (options.usual_label, "label")
    found = [position for name in known if name is not None and (position := find_label(names, name)) is not None]
    if found:
        return found[0]
    if options.label is not None:
        return column_number(options.label, len(names))
    usual_names = [i for i, name in enumerate(names) if name.lower() in LABEL_NAMES]
    if len(usual_names) > 1:
        listed = " and ".join(f"'{names[i]}'" for i in usual_names)
        raise InputError(
            f"{location}: {listed} may each be the label. Name it with --label {_quoted(names[usual_names[0]])}, and "
            f"leave aside the other with --ignore {_quoted(names[usual_names[1]])}."
        )
    return usual_names[0] if usual_names else None


def _ignored_by_user(names: Sequence[str], options: ReadOptions, location: str) -> list[int]:
    """Raise InputError for a column that does not exist; a file to predict need not have it."""
    found = []
    for name in options.ignore:
        position = find_label(names, name)
        position = column_number(name, len(names)) if position is None else position
        if position is not None:
            found.append(position)
        elif options.like is None:
            hint = suggest(name, list(names))
            raise InputError(f"{location}: there is no column '{shortened(name)}', which --ignore names.{hint}")
    return found + [i for name in options.usual_ignore if (i := find_label(names, name)) is not None]


def _find_usage(names: Sequence[str | None], texts: Sequence[int | None], content: Content) -> int | None:
    """The column that says which part each row belongs to: Training, PublicTest."""
    for position, name in enumerate(names):
        if name is not None and name.lower() in USAGE_NAMES and position not in texts:
            values = {row[position].lower() for row in content.rows}
            if values and values.issubset(USAGES):
                return position
    return None


def _find_pixel_text(free: Sequence[int], content: Content) -> int | None:
    """The column whose fields hold many numbers each; None if there is none."""
    for position in free if len(free) <= 10 else []:
        fields = [numbers_in(row[position]) for row in content.rows[:20]]
        holding = [texts for texts in fields if len(texts) > 3 and 2 * sum(map(is_number, texts)) > len(texts)]
        if fields and 2 * len(holding) >= len(fields):
            return position
    return None


def numbers_in(field: str) -> list[str]:
    """'0 12 255' → its numbers; also '[0, 12, 255]'."""
    return field.strip().strip("[]()").replace(",", " ").split()


def _pixel_order(names: Sequence[str], free: Sequence[int]) -> tuple[int, ...]:
    """The positions of the pixels, in the order of the numbers in their names.

    The pixels are the columns of the commonest beginning, such as `pixel`; of equally common ones, such as r, g and b,
    all. Names that are numbers with a point, as pandas makes them of a file without header, keep the file's order.
    """
    pointed = [i for i in free if re.fullmatch(r"\d+(\.\d+)+", names[i])]
    if len(pointed) > len(free) / 2:
        return tuple(i for i in free if re.fullmatch(r"\d+(\.\d+)*", names[i]))
    found = {position: key for position in free if (key := _pixel_key(names[position])) is not None}
    counts = Counter(beginning for beginning, *_ in found.values())
    most = max(counts.values(), default=0)
    keys = {position: numbers for position, (beginning, *numbers) in found.items() if counts[beginning] == most}
    return tuple(sorted(keys, key=keys.__getitem__))


def _pixel_key(name: str) -> tuple[str, int, int] | None:
    """The beginning of a pixel's name, and the one or two numbers in it, the row first."""
    for pattern, is_turned in ((_ROW_AND_COLUMN, False), (_X_AND_Y, True), (_TWO_NUMBERS, False)):
        if match := pattern.fullmatch(name):
            first, second = int(match[2]), int(match[3])
            return (match[1].lower(), second, first) if is_turned else (match[1].lower(), first, second)
    match = _ONE_NUMBER.fullmatch(name)
    return None if match is None else (match[1].lower(), int(match[2]), 0)


def _is_left_aside(position: int, rows: Rows, has_label: bool) -> bool:
    """Whether a column holds nothing; or text, beside a label: then it is no pixel."""
    fields = [row[position].strip() for row in rows]
    is_empty = not any(fields)
    return bool(fields) and (is_empty or (has_label and not any(map(is_number, fields))))


def _one_hot_remedy(names: Sequence[str], name: str, location: str) -> str | None:
    """The conversion of one-hot columns such as label_0, label_1 …, as pandas' get_dummies names them."""
    match = re.fullmatch(r"(\w*[A-Za-z]_)\w+", name)
    if match is None:
        return None
    count = sum(other.startswith(match[1]) for other in names)
    if not FEWEST_ONE_HOT <= count < len(names) / 2:
        return None
    file = location.partition(", line ")[0]
    return (
        f"{count} columns begin with '{match[1]}', as one-hot labels do. Make one column of them:\n"
        f"  python -c \"import pandas; t = pandas.read_csv('{file}'); o = t.filter(regex='^{match[1]}'); "
        f"t.drop(columns=o.columns).assign(label=o.idxmax(axis=1).str.removeprefix('{match[1]}'))"
        ".to_csv('labelled.csv', index=False)\"\n  hitofude run labelled.csv"
    )


def _unknown_column(
    names: Sequence[str], position: int, location: str, options: ReadOptions, related: Sequence[int | None]
) -> InputError:
    asked = options.groups, options.folds, options.weights
    missing = [name for name, i in zip(asked, related, strict=True) if i is None]
    hint = "".join(f" There is no column '{name}'." for name in missing if name is not None)
    name = names[position]
    if len(names) == 1:
        return InputError(
            f"{location}: found one column, '{shortened(name)}'; expected columns of pixels, separated by commas, "
            "semicolons, tabs, bars or spaces. Save the table with one of these."
        )
    if one_hot := _one_hot_remedy(names, name, location):
        return InputError(f"{location}, column {position + 1}: {one_hot}")
    typed = _quoted(name) if len(name) <= SHOWN else str(position)
    return InputError(
        f"{location}, column {position + 1}: '{shortened(name)}' is neither a pixel (such as pixel0 or 1x1), "
        f"an id nor the label. If it is the label, name it with --label {typed}; if it tells which rows belong "
        f"together, with --groups or --folds; otherwise leave it aside with --ignore {typed}.{hint}"
    )


def _quoted(name: str) -> str:
    return shlex.quote(name)
