"""Find out whether a CSV file has a header, and which columns are pixels and label.

A first line is a row of data if it holds numbers alone, or numbers and one text at either end. Numbers that count from
0 or 1 are names. pandas, which takes the first line for a header, writes a row of data 0,0,7,0 as 0,0.1,7,0.2: this is
undone. Without names, one column more than the images have pixels is the label, the first or the last, by its content.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from hitofude.errors import InputError
from hitofude.inputs.formats.columns import (
    LABEL_NAMES,
    Columns,
    Rows,
    column_number,
    find_columns,
    find_id,
    find_label,
    is_counter,
    is_number,
    pixels_and_label,
    shortened,
)
from hitofude.inputs.formats.csv_careful import split_line
from hitofude.inputs.formats.csv_lines import Lines
from hitofude.inputs.formats.label_column import choose_label
from hitofude.inputs.layout import ReadOptions
from hitofude.language.translation import note

HEAD_ROWS = 200
_MANGLED = re.compile(r"(.+)\.(\d+)", re.ASCII)
_MANGLED_BY_POLARS = re.compile(r"(.+)_duplicated_(\d+)", re.ASCII)


class Head:
    """The beginning of a CSV file."""

    def __init__(self, lines: Lines, options: ReadOptions, probe: Callable[[], list[str]] | None = None) -> None:
        """probe: some lines from all over the file, if it can be opened once more. Raise InputError for no CSV."""
        text = lines.first().decode("utf-8", errors="replace").strip("\r\n").removeprefix("# ")  # as savetxt writes it
        self._lines, self._options, self._probe = lines, options, probe
        self._file, self._delimiter = Path(lines.name).name, lines.delimiter
        self._location = f"{lines.name}, line {lines.line}"
        text = text.strip() if self._delimiter == " " else text
        self._fields = [field.strip() for field in split_line(text, self._delimiter, self._location)]
        self._head, self._has_names = lines.head, True

    def settle(self) -> Columns:
        """Find the columns; leave the header out of the lines, or keep the first line as a row. Raise InputError."""
        header = self._options.header
        row = unmangle(self._fields) if header is None else None
        if row is not None:
            self._lines.replace_first(self._delimiter.join(row).encode() + b"\n")
            self._fields = row
            line = note(
                "{file}: its first line was a row that pandas took for a header; it is a row again", file=self._file
            )
            columns = self._without_names()
            return replace(columns, reading=(line, *columns.reading))
        if header is False or (header is None and self._is_data()):
            return self._without_names()
        self._fields = self._completed()
        _check_distinct(self._fields, self._location)
        self._lines.replace_first(None)
        return find_columns(self._fields, self._location, self._options, self._delimiter, self)

    @cached_property
    def rows(self) -> Rows:
        """The fields of the first rows, those with the first line's number of fields."""
        return [row for row in self._below if len(row) == len(self._fields)]

    @cached_property
    def _below(self) -> Rows:
        """The fields of the lines below the first."""
        lines = self._head.decode("utf-8", errors="replace").split("\n")[1 : HEAD_ROWS + 1]
        return split_rows([line for line in lines if line.strip()], self._delimiter)

    def choose_label(self, first: int, last: int) -> int:
        """The label among two columns, by their content. Raise InputError if both may be it."""
        lines = [] if self._probe is None else self._probe()
        rows = [*([] if self._has_names else [self._fields]), *self.rows, *split_rows(lines, self._delimiter)]
        return choose_label([row for row in rows if len(row) == len(self._fields)], first, last, self._location)

    def _is_data(self) -> bool:
        """Whether the first line is a row."""
        options, fields = self._options, [field for field in self._fields if field]
        known = ["label", *LABEL_NAMES, *options.ignore, *options.usual_ignore]
        known += filter(None, (options.label, options.usual_label, options.groups, options.folds, options.weights))
        numbers = [field for field in fields if is_number(field)]
        if len(self._fields) < 2 or not numbers or find_id(fields) is not None:
            return False
        if any(find_label(fields, name) is not None for name in known if not is_number(name)):
            return False
        if len(numbers) < len(fields):
            at_an_end = not is_number(fields[0]) or not is_number(fields[-1])
            if len(fields) - len(numbers) > 1 or not at_an_end or is_counter(fields[0]) or len(numbers) < 4:
                return False
            if len(set(numbers)) == len(numbers) > 16:
                return False  # pixels, but no names, repeat
        return not (_counts(numbers) or _is_mangled_in_part(numbers)) or len(numbers) == 1

    def _without_names(self) -> Columns:
        """The columns of a file without header."""
        self._has_names = False
        aside, options = self._aside_without_names(), self._options
        kept = [position for position in range(len(self._fields)) if position not in aside]
        asked = options.groups, options.folds, options.weights
        groups, folds, weights = (_numbered(name, len(self._fields)) for name in asked)
        kept = [position for position in kept if position not in (groups, folds, weights)]
        fit = pixels_and_label(len(kept), options)
        label = self._label_asked(fit)
        if fit is None and label is None:
            raise InputError(
                f"{self._location}: there are no column names, and {len(kept):,} columns are no square images, with or "
                "without a label. Give the images' size with --shape HEIGHTxWIDTH, or add a line such as "
                "label,pixel0,pixel1,…"
            )
        if label is None and fit is not None and fit[1]:
            label = self.choose_label(kept[0], kept[-1])
        pixels = tuple(position for position in kept if position != label)
        if label is None:
            found = note(
                "{file} has no header: its {columns:,} columns are pixels", file=self._file, columns=len(pixels)
            )
        else:
            found = note("{file} has no header: column {column} is the label", file=self._file, column=label + 1)
        return Columns(
            tuple(field if i in aside else str(i + 1) for i, field in enumerate(self._fields)),
            self._delimiter,
            pixels,
            label,
            None,
            groups,
            folds,
            ignored=tuple(sorted(aside)),
            has_names=False,
            reading=(found,),
            weights=weights,
        )

    def _aside_without_names(self) -> set[int]:
        """The columns that the user leaves aside, empty ones, and numbers of rows in front."""
        width = len(self._fields)
        asked = {_numbered(name, width) for name in (*self._options.ignore, *self._options.usual_ignore)}
        aside = {i for i, field in enumerate(self._fields) if i in asked or is_counter(field)}
        is_numbered = _count_up([row[0] for row in (self._fields, *self.rows)])
        if is_numbered and pixels_and_label(width - len(aside), self._options) is None:
            aside.add(0)
        return aside

    def _label_asked(self, fit: tuple[int, bool] | None) -> int | None:
        """The label's position by its number. A file to predict need not have it. Raise InputError for a name."""
        options, width = self._options, len(self._fields)
        wanted = options.usual_label if options.label is None else options.label
        if wanted is None or (options.like is not None and fit is not None and not fit[1]):
            return None
        position = column_number(wanted, width)
        if position is None and options.label is not None:
            raise InputError(
                f"{self._location}: there are no column names, so there is no '{shortened(wanted)}'. Name the label's "
                f"column by its number, such as --label 0 for the first or --label {width - 1} for the last."
            )
        return position

    def _completed(self) -> list[str]:
        """Return the names, with '' added if all rows have a field more.

        R writes row names in front, without a name; other programs a delimiter behind the last field.
        """
        names, below = self._fields, self._below
        if not below or {len(row) for row in below} != {len(names) + 1}:
            return names
        first = [row[0] for row in below]
        if not any(row[-1] for row in below):
            return [*names, ""]
        is_in_front = _count_up(first) or (len(first) > 2 and not any(map(is_number, first)))
        return ["", *names] if is_in_front else names


def split_rows(lines: Sequence[str], delimiter: str) -> Rows:
    """Split lines into fields; leave out lines that are no CSV."""
    rows = []
    for line in lines:
        try:
            text = line.strip("\r\n")
            fields = text.split(delimiter) if '"' not in text else split_line(text, delimiter, "")
            rows.append(list(map(str.strip, fields)))
        except InputError:
            continue
    return rows


def unmangle(names: Sequence[str]) -> list[str] | None:
    """Return the row that was made distinct names of: 0, 0.1, 7, 0.2 → 0, 0, 7, 0; None if it is no such header.

    pandas writes 0.1, Polars 0_duplicated_0, R X0.1. The numbers of rows that pandas writes in front stay as they are.
    """
    if len(names) > 1 and all(re.fullmatch(r"X\d.*", name, re.ASCII) for name in names):
        names = [name[1:] for name in names]
    counts: Counter[str] = Counter()
    row = []
    for name in names:
        match = _MANGLED_BY_POLARS.fullmatch(name) or _MANGLED.fullmatch(name)
        if match and counts[match[1]] == int(match[2]) + ("_" in name) > 0:
            name = match[1]
        elif counts[name]:
            return None
        row.append(name)
        counts[name] += 1
    texts = [field for field in row[is_counter(row[0]) :] if not is_number(field)]
    return row if max(counts.values()) > 1 and len(texts) <= 1 else None


def _numbered(name: str | None, count: int) -> int | None:
    return None if name is None else column_number(name, count)


def _count_up(fields: Sequence[str]) -> bool:
    """Whether these are 0, 1, 2 … or 1, 2, 3 …, three or more."""
    return len(fields) > 2 and any(list(fields) == [str(i + start) for i in range(len(fields))] for start in (0, 1))


def _is_mangled_in_part(numbers: Sequence[str]) -> bool:
    """Whether half of these are a number with 1, 2, 3 … behind its point: names by pandas, some of which are lost."""
    matches = [match for number in numbers if (match := _MANGLED.fullmatch(number))]
    ends = [int(match[2]) for match in matches if match[1] == matches[0][1]]
    return 2 * len(ends) > len(numbers) > 16 and ends == list(range(ends[0], ends[0] + len(ends)))


def _counts(numbers: Sequence[str]) -> bool:
    """Whether these are the numbers from 0 or 1 on, in any order."""
    if not all(re.fullmatch(r"\d+", number, re.ASCII) for number in numbers):
        return False
    found = sorted(map(int, numbers))
    return found in (list(range(len(found))), list(range(1, len(found) + 1)))


def _check_distinct(names: Sequence[str], location: str) -> None:
    duplicates = sorted(name for name, count in Counter(names).items() if count > 1 and name)
    if duplicates:
        raise InputError(f"{location}: duplicate column '{shortened(duplicates[0])}'. Rename or remove one.")
