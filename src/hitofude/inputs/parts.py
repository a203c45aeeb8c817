"""The parts of a data set in a folder or a zip: which files hold training images, images to predict, labels.

Files are told apart by the words in their names and folders' names (hitofude.inputs.formats.naming) and by their
content. Everything that is not read is named.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hitofude.errors import InputError, counted
from hitofude.inputs.dataset import Split
from hitofude.inputs.formats.archive import PACKED_ENDINGS, Member, Place, open_file
from hitofude.inputs.formats.naming import (
    SYSTEM_FILES,
    Name,
    Part,
    is_shard,
    is_template,
    natural,
    read_name,
    to_learn_from,
    to_predict,
    validation_aside,
    validation_asked,
    with_labels_of,
)
from hitofude.inputs.formats.pickles import refuse_batches
from hitofude.inputs.formats.picture_list import is_picture_list
from hitofude.inputs.formats.pictures import ENDINGS
from hitofude.inputs.formats.signatures import kind_of
from hitofude.language.translation import note

MOST_DEPTH = 6
NAMES_SHOWN = 5
ORDER = ("idx", "npz", "npy", "parquet", "hdf5", "mat", "csv", "tsv")
"""The preferred endings, if a part is there in several formats."""
DATA_ENDINGS = {
    ".csv", ".tsv", ".npz", ".npy", ".parquet", ".pq", ".mat", ".h5", ".hdf5", ".arff", ".xlsx", ".libsvm", ".svm",
    ".bin", ".pkl", ".pickle", ".pt", ".pth",
}  # fmt: skip
DOCUMENTS = {
    ".md", ".txt", ".html", ".json", ".pdf", ".py", ".ipynb", ".yaml", ".yml", ".xml", ".log", ".rst", ".names",
}  # fmt: skip
_PLAIN = re.compile(r"(train|test)\.(csv|npz|parquet)(\.gz)?|(train|t10k)-images-idx3-ubyte(\.gz)?")
_NUMBER = re.compile(rb"[-+]?\d[-+.\deE]*")
_WIDE = 16
"""A text file whose first line has as many fields is a table, whatever its name."""

FileKind = Literal["data", "picture", "template", "zip", "other"]


@dataclass(frozen=True)
class StoredFile:
    """A file in a folder or a zip, and the meaning of its name."""

    place: Place
    folders: tuple[str, ...]
    """The folders between the source and the file."""
    kind: FileKind
    name: Name

    @property
    def path(self) -> str:
        """The name within the source."""
        return "/".join((*self.folders, self.place.name))

    @property
    def part(self) -> Part | None:
        """The part that the file's name tells, else that of the innermost folder which tells one."""
        names = (self.name, *(read_name(folder) for folder in reversed(self.folders)))
        return next((name.part for name in names if name.part), None)

    @property
    def set_key(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The data set that the file belongs to: its folders but those of parts, and the rest of its name."""
        stem = self.place.name.split(".")[0]
        kept = [f for f in self.folders if not read_name(f).part and not read_name(f).role and f.split(".")[0] != stem]
        return tuple(kept), self.name.rest

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """Files of the same part in the order in which they are preferred."""
        name = self.place.name
        ending = "idx" if "-ubyte" in name or "idx" in name else _ending(name).removeprefix(".")
        order = ORDER.index(ending) if ending in ORDER else len(ORDER)
        return len(self.folders), name.endswith(PACKED_ENDINGS), order, name


@dataclass(frozen=True)
class Piece:
    """The files of one part."""

    files: tuple[Place, ...]
    """One file, several that follow each other, or a folder of pictures."""
    labels: Place | None = None
    """The file of the labels, if they are apart."""


@dataclass(frozen=True)
class Parts:
    """The parts of a data set, and how they were found."""

    pieces: dict[Split, Piece]
    """That of the training images, and of the images to predict if they are in another file."""
    template: Place | None = None
    reading: tuple[str, ...] = ()
    left_aside: tuple[str, ...] = ()


@dataclass
class Holding:
    """The description of everything that a folder or a zip holds."""

    root: Place
    files: list[StoredFile] = field(default_factory=list)

    @classmethod
    def of(cls, root: Place) -> "Holding":
        """List the files. Zips within are opened if there is nothing else to read."""
        files = list(_walk(root, ()))
        if not any(file.kind in ("data", "picture") for file in files):
            zips = [file for file in files if file.kind == "zip"]
            inner = [
                found for file in zips for found in _walk(Member.of(file.place), (*file.folders, _stem(file.place)))
            ]
            files = [file for file in files if file.kind != "zip"] + inner
        return cls(root, files)

    def of_kind(self, *kinds: FileKind) -> list[StoredFile]:
        return [file for file in self.files if file.kind in kinds]

    @property
    def pictures(self) -> list[StoredFile]:
        return self.of_kind("picture")

    @property
    def template(self) -> Place | None:
        """The sample submission."""
        found = sorted(self.of_kind("template"), key=lambda file: file.rank)
        return found[0].place if found else None

    def tables(self) -> tuple[list[StoredFile], list[StoredFile]]:
        """The files of images or labels, and the lists of pictures."""
        data = self.of_kind("data")
        if not self.pictures and any(file.part is None or file.name.role != "labels" for file in data):
            return data, []
        lists = [f for f in data if _ending(f.place.name) in (".csv", ".tsv", ".txt") and is_picture_list(f.place)]
        return [file for file in data if file not in lists], lists

    def unread(self, used: Iterable[Place]) -> tuple[str, ...]:
        """Name the files that are not used: pictures by their number in each folder, others by their names."""
        taken = set(used)
        others = [_named(file) for file in self.of_kind("data", "other", "zip") if file.place not in taken]
        others += [file.path for file in self.of_kind("template") if file.place not in taken]
        return tuple(_shorten(others))


def find_files(holding: Holding, wanted: tuple[str, ...] | None = None) -> Parts | None:
    """Find the parts among files of images; None if there are no such files.

    wanted: the words in the name of the data set, if the user names one of several. Raise InputError if there are
    several data sets, or files that could be the same part.
    """
    data, _ = holding.tables()
    if wanted is not None:
        data = [file for file in data if wanted in (file.set_key[1], (*file.set_key[0], *file.set_key[1]))]
    sets: dict[tuple[tuple[str, ...], tuple[str, ...]], list[StoredFile]] = {}
    for file in data:
        sets.setdefault(file.set_key, []).append(file)
    readable = {key: files for key, files in sets.items() if any(file.name.role != "labels" for file in files)}
    if not readable:
        return None
    key = _choose_set(readable, holding)
    pieces, reading = _pieces(readable[key], holding)
    used = [place for piece in pieces.values() for place in (*piece.files, *([piece.labels] if piece.labels else []))]
    aside = holding.unread([*used, *([holding.template] if holding.template else [])])
    count = len(holding.pictures)
    if count:
        pictures, first = counted(count, "picture"), holding.pictures[0].path
        aside += (note("{pictures}, such as {first}", pictures=pictures, first=first),)
    return Parts(pieces, holding.template, reading, aside)


def _named(file: StoredFile) -> str:
    return validation_aside(file.path) if file.part == "validation" else file.path


def _choose_set(
    sets: dict[tuple[tuple[str, ...], tuple[str, ...]], list[StoredFile]], holding: Holding
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The data set to read: one that has a training part; plain names such as train.csv go before others."""
    trained = [key for key, files in sets.items() if any(f.part == "train" and f.name.role != "labels" for f in files)]
    whole = [key for key, files in sets.items() if any(f.part is None and f.name.role != "labels" for f in files)]
    candidates = trained or whole or list(sets)
    least = min(len(key[0]) for key in candidates)
    candidates = [key for key in candidates if len(key[0]) == least]
    plain = [key for key in candidates if not key[1]]
    if len(plain) == 1:
        candidates = plain
    if len(candidates) > 1:
        titles = sorted("/".join((*folders, *(["-".join(rest)] if rest else []))) for folders, rest in candidates)
        raise InputError(
            f"{holding.root}: it holds {len(titles)} data sets: {', '.join(titles[:20])}. Name one of them, such as "
            f"'{holding.root}/{titles[0]}', or, if they are parts of one, the files with --train and --test."
        )
    return candidates[0]


def _pieces(files: Sequence[StoredFile], holding: Holding) -> tuple[dict[Split, Piece], tuple[str, ...]]:
    """The pieces of a data set, and how they were found."""
    found = {
        part: _piece([f for f in files if f.part == part], holding) for part in ("train", "test", "validation", None)
    }
    pieces: dict[Split, Piece] = {}
    reading: list[str] = []
    train = found["train"] or found[None]
    if train is None:
        held = ", ".join(sorted(file.path for file in files)[:NAMES_SHOWN])
        raise InputError(
            f"{holding.root}: there is no train.csv in it. It holds: {held}. Name the files with --train and --test."
        )
    pieces["train"] = train
    test = found["test"] or found["validation"]
    if test is not None:
        pieces["test"] = test
        if found["test"] is None:
            reading.append(validation_asked(test.files[0].name))
    if len(files) > 1 and not all(_is_plain(piece) for piece in pieces.values()):
        reading = [
            *(describe_piece(split, piece) for split, piece in pieces.items() if len(piece.files) == 1),
            *reading,
        ]
    return pieces, tuple(reading)


def _is_plain(piece: Piece) -> bool:
    """Whether the files have the usual names: train.csv as on Kaggle, train-images-idx3-ubyte as by MNIST's authors."""
    return len(piece.files) == 1 and _PLAIN.fullmatch(piece.files[0].name) is not None


def describe_piece(split: Split, piece: Piece) -> str:
    """Say which file is read for a split."""
    images = piece.files[0].name
    words = images if piece.labels is None else with_labels_of(images, piece.labels.name)
    return to_learn_from(words) if split == "train" else to_predict(words)


def _piece(files: Sequence[StoredFile], holding: Holding) -> Piece | None:
    images = _best([file for file in files if file.name.role != "labels"], holding)
    labels = _best([file for file in files if file.name.role == "labels"], holding)
    if not images:
        return None
    kinds = {kind_of(file.place) for file in images if is_shard(file.place.name)}
    if kinds == {"pickle"}:
        batches = [file.place.name for file in holding.of_kind("data") if is_shard(file.place.name)]
        train = sorted((name for name in batches if not name.startswith("test")), key=natural)
        raise refuse_batches(images[0].place.parent, train, [name for name in batches if name.startswith("test")])
    return Piece(tuple(file.place for file in images), labels[0].place if labels else None)


def _best(files: Sequence[StoredFile], holding: Holding) -> list[StoredFile]:
    """The preferred file of a part, or all its shards. Raise InputError if two could be meant."""
    ordered = sorted(files, key=lambda file: file.rank)
    if not ordered:
        return []
    first = ordered[0]
    if is_shard(first.place.name):
        shards = [f for f in ordered if is_shard(f.place.name) and f.rank[:3] == first.rank[:3]]
        return sorted(shards, key=lambda file: natural(file.place.name))
    rivals = [file for file in ordered[1:] if file.rank[:3] == first.rank[:3]]
    if rivals:
        names = ", ".join(file.path for file in (first, *rivals)[:NAMES_SHOWN])
        raise InputError(
            f"{holding.root}: several files could be the same part: {names}. Name one with --train '{first.place}', "
            "and the images to predict with --test."
        )
    return [first]


def _walk(folder: Place, folders: tuple[str, ...]) -> Iterator[StoredFile]:
    """All visible files, those of the folder itself first."""
    inner: list[Place] = []
    places: Iterable[Place] = folder.iterdir()
    for place in sorted(places, key=lambda place: natural(place.name)):
        if place.name.startswith(".") or place.name.lower() in SYSTEM_FILES:
            continue
        if place.is_dir():
            inner.append(place)
        else:
            yield StoredFile(place, folders, _kind(place), read_name(place.name))
    for place in inner:
        if len(folders) < MOST_DEPTH:
            yield from _walk(place, (*folders, place.name))


def _kind(place: Place) -> FileKind:
    """The kind of a file by its name; its content decides only if the name does not tell."""
    ending = _ending(place.name)
    if place.suffix.lower() in ENDINGS:
        return "picture"
    if place.suffix.lower() == ".zip":
        return "zip"
    if is_template(place.name) and ending in (".csv", ".tsv"):
        return "template"
    if ending in DATA_ENDINGS or "-ubyte" in place.name or ".idx" in place.name:
        return "data"
    if ending in DOCUMENTS and ending != ".txt":
        return "other"
    try:
        kind = kind_of(place)
    except InputError:
        return "other"
    if kind == "picture" and not ending.strip(".0123456789"):
        return "picture"
    if kind == "text":
        return "data" if _is_wide(place) or (ending == ".txt" and is_picture_list(place)) else "other"
    return "other" if kind in ("zip", "picture") else "data"


def _is_wide(place: Place) -> bool:
    """Whether the first line of a text file has as many fields as a row of pixels."""
    with open_file(place) as stream:
        line = stream.readline(1 << 16)
    numbers = line.split()
    are_numbers = all(_NUMBER.fullmatch(number) for number in numbers)
    return max(line.count(mark) for mark in (b",", b";", b"\t")) >= _WIDE or (len(numbers) >= _WIDE and are_numbers)


def _ending(name: str) -> str:
    """The ending of a name, behind which it may be packed: .csv of train.csv.gz."""
    for packed in PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""


def _stem(place: Place) -> str:
    return place.name.rpartition(".")[0]


def _shorten(names: Sequence[str]) -> list[str]:
    """The first names, and the number of the others."""
    more = len(names) - NAMES_SHOWN
    return [*names[:NAMES_SHOWN], *([f"{counted(more, 'more file')}"] if more > 0 else [])]
