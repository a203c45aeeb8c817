"""Pictures whose labels are in a list beside them, or in their names.

A list is a small table with a column of file names, in full, without their ending, or with the folders before them:
`filename,label`, `image_id,label`, `path,symbol_id,latex`. Names with a class are such as cat.0.jpg and 17_7.png.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import Place, open_file, reading
from hitofude.inputs.formats.label_table import IDS, find_label_and_id, read_rows
from hitofude.inputs.formats.naming import natural
from hitofude.inputs.formats.pictures import ENDINGS, read_pictures
from hitofude.inputs.formats.text_table import DELIMITERS
from hitofude.inputs.layout import ReadOptions

MOST_COLUMNS = 40
FIRST_LINE = 1 << 14
_NUMBERED = re.compile(r"[^\d]*\d+(x\d+)?")
_SEPARATORS = re.compile(r"[._\- ]+")


@dataclass(frozen=True)
class PictureChoice:
    """Pictures in their order, with ids and, if known, labels."""

    name: str
    places: tuple[Place, ...]
    ids: tuple[str, ...]
    labels: tuple[str, ...] | None
    reading: tuple[str, ...] = ()

    def read(self, options: ReadOptions) -> RawImages:
        """Raise InputError naming the picture that is damaged, or of another size than the first."""
        pictures = read_pictures(self.places, [str(place) for place in self.places], options)
        labels = None if self.labels is None else np.array(self.labels)
        missing = "the list has no labels, and training needs them. Name the column with --label."
        return RawImages(
            self.name,
            pictures.images,
            labels,
            np.array(self.ids),
            "picture",
            missing_labels=missing,
            reading=(*self.reading, *pictures.reading),
            behind=pictures.behind,
            nominal=pictures.nominal,
        )


def is_picture_list(path: Place) -> bool:
    """Whether a table lists pictures: few columns, one of which is named like an id or a file, and no pixels."""
    with reading(str(path)), open_file(path) as stream:
        line = stream.readline(FIRST_LINE).decode("utf-8-sig", errors="replace").strip()
    delimiter = max(DELIMITERS, key=line.count)
    try:
        names = next(csv.reader([line], delimiter=delimiter if delimiter in line else " "), [])
    except csv.Error:
        return False  # such as UTF-16
    if 1 < len(names) <= MOST_COLUMNS and any(_is_picture_name(name) for name in names):
        return True
    small = [name.strip().lower().replace(" ", "_") for name in names]
    named = [name for name in small if name in IDS]
    return 0 < len(small) <= MOST_COLUMNS and bool(named) and not any(_NUMBERED.fullmatch(name) for name in small)


def listed_pictures(path: Place, pictures: Sequence[Place], options: ReadOptions, *, labelled: bool) -> PictureChoice:
    """Find the pictures of a list. pictures: those that it may name without their folder.

    Raise InputError for a line whose picture is missing, and if it cannot be known which column holds the labels.
    """
    rows = read_rows(path)
    names, lines = rows[0], rows[1:]
    label: int | None = None
    id: int | None
    first_line = 2
    if any(_is_picture_name(name) for name in names):
        first_line, lines = 1, rows
        id = next(i for i, name in enumerate(names) if _is_picture_name(name))
        label = _label_without_header(names, id, options, path) if labelled else None
        names = [f"column {i + 1}" for i in range(len(names))]
    elif labelled:
        label, id = find_label_and_id(names, options, str(path))
    else:
        small = [name.lower().replace(" ", "_") for name in names]
        id = next((small.index(name) for name in IDS if name in small), 0)
    if id is None or not lines:
        raise InputError(f"{path}: expected a column of picture names (such as filename), and lines below it.")
    by_name = {key: place for place in reversed(pictures) for key in (place.name, place.name.rpartition(".")[0])}
    places = [_find(row[id], path, by_name, line) for line, row in enumerate(lines, first_line)]
    labels = None if label is None else tuple(row[label] for row in lines)
    shown = [name if first_line == 1 else f"column '{name}'" for name in names]
    words = f"{path.name}: {shown[id]} names the pictures"
    line = (
        words if label is None else f"{words}, {shown[label].removeprefix('column ' * (first_line > 1))} is the label"
    )
    return PictureChoice(str(path), tuple(places), tuple(row[id] for row in lines), labels, (line,))


def named_pictures(folder: Place, pictures: Sequence[Place]) -> PictureChoice | None:
    """Take the classes from the pictures' names; None if no part of the names repeats as classes do.

    The parts are separated by dots, underscores, hyphens and spaces. Raise InputError if several could be the class.
    """
    ordered = sorted(pictures, key=lambda place: natural(place.name))
    parts = [_SEPARATORS.split(place.name.rpartition(".")[0]) for place in ordered]
    if len({len(part) for part in parts}) != 1:
        return None
    columns = list(zip(*parts, strict=True))
    classes = [i for i, column in enumerate(columns) if _are_classes(column)]
    if len(classes) > 1:
        shown = ", ".join(f"{'/'.join(sorted(set(columns[i]))[:4])}…" for i in classes)
        raise InputError(
            f"{folder}: the pictures are not in class folders, and several parts of their names could be the class "
            f"({shown}). Put a list beside them, a CSV file with the columns filename and label, and name it with "
            "--labels."
        )
    if not classes:
        return None
    labels = columns[classes[0]]
    counts = {name: labels.count(name) for name in sorted(set(labels))}
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:12])
    example = ordered[0].name
    line = f"the class is in the pictures' names, '{labels[0]}' in {example}: {shown}"
    return PictureChoice(str(folder), tuple(ordered), tuple(place.name for place in ordered), labels, (line,))


def _is_picture_name(text: str) -> bool:
    return text.strip().lower().endswith(ENDINGS)


def _label_without_header(fields: Sequence[str], id: int, options: ReadOptions, path: Place) -> int:
    """The label's column beside that of the names, in a list without a header; if there are several, by its number."""
    others = [i for i in range(len(fields)) if i != id]
    if options.label is not None and options.label.isdecimal() and int(options.label) in others:
        return int(options.label)
    if len(others) == 1:
        return others[0]
    choices = ", ".join(f"{i} ('{fields[i][:20]}')" for i in others)
    raise InputError(f"{path}: it has no header. Which column is the label? Name it by its number, --label: {choices}.")


def _are_classes(values: Sequence[str]) -> bool:
    """Whether a part of the names repeats as classes do: two or more, each at least twice, five on average."""
    counts = np.unique(np.array(values), return_counts=True)[1]
    return len(counts) >= 2 and int(counts.min()) >= 2 and len(values) >= 5 * len(counts)


def _find(name: str, path: Place, by_name: dict[str, Place], line: int) -> Place:
    """The picture that a line of a list names."""
    last = re.split(r"[\\/]", name)[-1]
    if "/" in name and not name.startswith("/"):
        place = path.parent
        for step in name.split("/"):
            place = place.parent if step == ".." else place / step if step not in ("", ".") else place
        if place.suffix.lower() in ENDINGS and place.is_file():
            return place
    found = by_name.get(last) or by_name.get(last.rpartition(".")[0])
    if found is None:
        raise InputError(f"{path}, line {line}: there is no picture '{name}'. Is the folder of pictures complete?")
    return found
