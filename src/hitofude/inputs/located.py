"""Read what a path names: a file, a folder, a zip, or one of several data sets in a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from hitofude.errors import InputError, counted
from hitofude.inputs.dataset import RawImages, Split, options_like
from hitofude.inputs.formats.archive import Member, Place, reading
from hitofude.inputs.formats.csv_table import CsvFile, csv_file
from hitofude.inputs.formats.naming import Name, read_name, with_labels_of
from hitofude.inputs.formats.picture_folder import read_picture_folder
from hitofude.inputs.formats.picture_list import is_picture_list, listed_pictures
from hitofude.inputs.formats.signatures import kind_of
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.parts import Holding, Parts, Piece, describe_piece, find_files
from hitofude.inputs.picture_parts import find_pictures, read_asked
from hitofude.inputs.readers import read_both, read_labels, read_shards, read_split
from hitofude.inputs.spelling import Spellings
from hitofude.language.translation import note

KAGGLE_HINT = "`hitofude data kaggle` fetches the Digit Recognizer's digit-recognizer.zip"


@dataclass(frozen=True)
class RawParts:
    """The raw images of a source, and its sample submission."""

    train: RawImages
    test: RawImages | None = None
    template: CsvFile | None = None


def read_path(path: Path, options: ReadOptions, labels: Path | None = None) -> RawParts:
    """Read the training images and, if there are any, the images to predict.

    labels: the file of the training labels, if the user names it. Raise InputError with the place and a remedy.
    """
    place, wanted = _resolve(path)
    if is_holding(place):
        return _read_holding(place if place.is_dir() else Member.of(place), options, labels, wanted)
    if wanted is not None:
        raise InputError(f"{path}: there is no such file or folder.")
    if labels is None and read_name(place.name).role is not None and (found := _siblings(place)) is not None:
        return _read_parts(found, options)
    if labels is None and _is_list(place):
        return RawParts(read_file(place, options, "train"))
    train, test = read_both(place, options)
    return RawParts(_completed(train, place, options, labels or _partner_of(place, train)), test)


def read_file(place: Place, options: ReadOptions, split: Split, labels: Path | None = None) -> RawImages:
    """Read the images of a split from the file or the folder that holds them, with the labels that lie beside them."""
    if is_holding(place):
        return _read_folder(place if place.is_dir() else Member.of(place), options, split, labels)
    if labels is None and _is_list(place):
        pictures = [file.place for file in Holding.of(place.parent).pictures]
        return listed_pictures(place, pictures, options, labelled=split == "train").read(options)
    raw = read_split(place, options, split)
    return _completed(raw, place, options, (labels if split == "train" else None) or _partner_of(place, raw))


def _is_list(place: Place) -> bool:
    return kind_of(place) == "text" and is_picture_list(place)


def is_holding(place: Place) -> bool:
    """Whether it is a folder, or a zip of any name that holds files."""
    if place.is_dir():
        return True
    if not place.is_file():
        return False
    kind = kind_of(place)
    if kind == "text" and place.suffix.lower() == ".zip":
        raise InputError(f"{place}: this is not a zip file. Was the download cut short, or is it a web page?")
    return kind == "zip"


def with_labels(raw: RawImages, place: Place, options: ReadOptions) -> RawImages:
    """Add the labels of a file, by their ids if both have ids, else in their order. Raise InputError if they differ."""
    labels, ids, how = read_labels(place, options)
    if ids is not None and raw.ids is not None:
        spellings, row_of = Spellings(ids.tolist()), {id: row for row, id in enumerate(ids.tolist())}
        found = [spellings.find(id) for id in raw.ids.tolist()]
        if None in found:
            missing = raw.ids[found.index(None)]
            raise InputError(f"{place}: there is no label for the image with the id '{missing}'.")
        labels = np.array([labels[row_of[name]] for name in found if name is not None])
    elif len(labels) != len(raw.images):
        raise InputError(
            f"{place}: {counted(len(labels), 'label')}, but {raw.name} has {counted(len(raw.images), 'image')}."
        )
    aside = () if raw.labels is None else (note("the labels in {file} itself", file=raw.name),)
    return replace(raw, labels=labels, reading=(*raw.reading, *how), left_aside=(*raw.left_aside, *aside))


def explain_missing(path: Path, known: Sequence[str]) -> InputError:
    """Return the error for a path that does not exist, with the nearest name in its folder."""
    hint = _nearest(path)
    if "recogni" in path.name.lower():
        hint += f" {KAGGLE_HINT}."
    return InputError(f"{path}: there is no such file or folder.{hint} Known names: {', '.join(known)}.")


def _nearest(path: Path) -> str:
    """Return ' Did you mean …?' with the entry of the path's folder whose name is like it; '' if none is."""
    if not path.parent.is_dir():
        return ""
    names = sorted(place.name for place in path.parent.iterdir() if not place.name.startswith("."))
    stems = [name for name in names if name.split(".")[0].lower() == path.name.split(".")[0].lower()]
    near = stems or get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f" Did you mean '{path.parent / near[0]}'?" if near else ""


def _resolve(path: Path) -> tuple[Place, tuple[str, ...] | None]:
    """Find the path, also inside a zip; the words of the last name if it names a data set in a folder."""
    if path.exists():
        return path, None
    existing = next(parent for parent in path.parents if parent.exists())
    inner = path.relative_to(existing).parts
    place: Place = existing
    if existing.is_file():
        place = Member.of(existing)
    for number, name in enumerate(inner):
        if not (place / name).exists():
            words = tuple(word for rest in inner[number:] for word in read_name(rest).rest)
            return place, words or (inner[-1],)
        place = place / name
    return place, None


def _read_holding(root: Place, options: ReadOptions, labels: Path | None, wanted: tuple[str, ...] | None) -> RawParts:
    holding = Holding.of(root)
    parts = find_files(holding, wanted)
    if parts is not None:
        if labels is not None:
            parts.pieces["train"] = replace(parts.pieces["train"], labels=labels)
        return _read_parts(parts, options)
    pictures = find_pictures(holding, options, labels)
    if pictures is None or wanted is not None:
        raise _nothing_found(holding, wanted)
    raw = pictures.read("train", options)
    assert raw is not None  # noqa: S101
    train = _noted(raw, pictures.reading, pictures.left_aside)
    return RawParts(train, pictures.read("test", options_like(train, options)), _template(pictures.template))


def _read_folder(root: Place, options: ReadOptions, split: Split, labels: Path | None) -> RawImages:
    """Read the images of a split from a folder that the user names for it."""
    holding = Holding.of(root)
    parts = find_files(holding)
    if parts is not None:
        piece = parts.pieces.get(split, parts.pieces["train"])
        if labels is not None and split == "train":
            piece = replace(piece, labels=labels)
        return _noted(_read_piece(piece, options, split), parts.reading, parts.left_aside)
    if split == "test":
        found = read_asked(holding, options)
        return read_picture_folder(root, options, labelled=False) if found is None else found
    pictures = find_pictures(holding, options, labels)
    raw = None if pictures is None else pictures.read("train", options)
    if raw is None or pictures is None:
        return read_picture_folder(root, options)
    return _noted(raw, pictures.reading, pictures.left_aside)


def _read_parts(parts: Parts, options: ReadOptions) -> RawParts:
    piece, asked, reading = parts.pieces["train"], parts.pieces.get("test"), parts.reading
    if asked is None and len(piece.files) == 1:
        raw, test = read_both(piece.files[0], options)
        train = _with_labels_of(piece, raw, options, "train")
        if test is not None and reading:
            reading = (*reading, describe_piece("test", piece))
    else:
        train = _read_piece(piece, options, "train")
        test = None if asked is None else _read_piece(asked, options_like(train, options), "test")
    return RawParts(_noted(train, reading, parts.left_aside), test, _template(parts.template))


def _read_piece(piece: Piece, options: ReadOptions, split: Split) -> RawImages:
    return _with_labels_of(piece, read_shards(piece.files, options, split), options, split)


def _with_labels_of(piece: Piece, raw: RawImages, options: ReadOptions, split: Split) -> RawImages:
    """Add the labels that are apart; if the user does not name their file, the labels beside the images go first."""
    if piece.labels is None:
        return raw
    if raw.labels is not None and split == "train" and not isinstance(piece.labels, Path):
        return raw
    return with_labels(raw, piece.labels, options)


def _siblings(place: Place) -> Parts | None:
    """The parts of the data set that a file of images or of labels belongs to; None if it is not among them."""
    parts = find_files(Holding.of(place.parent), read_name(place.name).rest)
    pieces = [] if parts is None else parts.pieces.values()
    return parts if any(place in (*piece.files, piece.labels) for piece in pieces) else None


def _completed(raw: RawImages, place: Place, options: ReadOptions, labels: Place | None) -> RawImages:
    """Add the labels of another file, if they are in one."""
    if labels is None:
        return raw
    return _noted(with_labels(raw, labels, options), (with_labels_of(place.name, labels.name),), ())


def _partner_of(place: Place, raw: RawImages) -> Place | None:
    """The file of labels beside a file of images without any: the only one of the same part and data set."""
    if raw.labels is not None:
        return None
    own = read_name(place.name)
    found = [other for other in place.parent.iterdir() if other.is_file() and _is_partner(read_name(other.name), own)]
    return found[0] if len(found) == 1 else None


def _is_partner(name: Name, own: Name) -> bool:
    return name.role == "labels" and own.role != "labels" and (name.part, name.rest) == (own.part, own.rest)


def _noted(raw: RawImages, lines: tuple[str, ...], aside: tuple[str, ...]) -> RawImages:
    return replace(raw, reading=(*lines, *raw.reading), left_aside=(*raw.left_aside, *aside))


def _template(place: Place | None) -> CsvFile | None:
    return None if place is None else csv_file(place)


def _nothing_found(holding: Holding, wanted: tuple[str, ...] | None) -> InputError:
    root = holding.root
    if wanted is not None:
        name = "-".join(wanted)
        near = _nearest(root / name) if isinstance(root, Path) else ""
        return InputError(f"{root}/{name}: there is no such file or folder, nor a data set '{name}' in {root}.{near}")
    held = ", ".join(file.path for file in holding.files[:5]) or "nothing"
    for file in holding.files:
        with reading(str(file.place)):
            kind_of(file.place)  # raises for a kind that is not read, with the way out
    classes = root / "train"
    if classes.is_dir() and not any(file.kind == "data" for file in holding.files):
        read_picture_folder(classes, ReadOptions())  # raises for classes without pictures
    return InputError(
        f"{root}: there is no train.csv in it (nor train.csv.gz, train.npz, train.parquet, IDX files or a folder of "
        f"pictures for each class). It holds: {held}. Name the files with --train and --test."
    )
