"""The parts of a data set of pictures: class folders, flat folders with a list beside them, classes in the names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, Split
from hitofude.inputs.formats.archive import Member, Place
from hitofude.inputs.formats.label_table import read_rows
from hitofude.inputs.formats.naming import (
    Part,
    natural,
    read_name,
    to_learn_from,
    to_predict,
    validation_aside,
    validation_asked,
)
from hitofude.inputs.formats.picture_folder import read_picture_folder
from hitofude.inputs.formats.picture_list import PictureChoice, listed_pictures, named_pictures
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.parts import Holding, StoredFile
from hitofude.language.translation import note

Folders = tuple[str, ...]


@dataclass(frozen=True)
class PictureParts:
    """The pictures of each split: a folder to read, or pictures found by a list or by their names."""

    splits: dict[Split, "Place | PictureChoice"]
    template: Place | None
    reading: tuple[str, ...]
    left_aside: tuple[str, ...]

    def read(self, split: Split, options: ReadOptions) -> RawImages | None:
        """Raise InputError as the readers do."""
        found = self.splits.get(split)
        if found is None:
            return None
        if isinstance(found, PictureChoice):
            return found.read(options)
        return read_picture_folder(found, options, labelled=split == "train")


def find_pictures(holding: Holding, options: ReadOptions, labels: Place | None = None) -> PictureParts | None:
    """Find the parts among pictures; None if there are none.

    labels: a list that the user names. Raise InputError if the classes of the training pictures cannot be found.
    """
    if not holding.pictures:
        return None
    groups = _by_part(holding)
    lists = _lists(holding, labels)
    learned = groups.get("train") or groups.get(None) or []
    if not learned:
        raise InputError(
            f"{holding.root}: there are no training pictures in it, only {_shown(holding.pictures)}. Name the folder "
            "with --train."
        )
    base = _class_parent(holding.root, learned)
    train_list = lists.get("train") or lists.get(None)
    is_one_folder = len({file.folders for file in learned}) == 1
    if base is not None and labels is None and not (is_one_folder and train_list is not None):
        train = base if len(groups) == 1 or base != holding.root else _classes(base, learned)
    else:
        train = _flat(holding, learned, train_list, options)
    splits: dict[Split, Place | PictureChoice] = {"train": train}
    reading: list[str] = []
    test_part: Part = "test" if "test" in groups else "validation"
    asked = groups.get(test_part, [])
    test = _asked(holding, asked, lists, train, options)
    if test is not None:
        splits["test"] = test
        if test_part == "validation" and asked:
            reading.append(validation_asked(_folder_name(asked)))
    if base is None or base != holding.root:
        lines = [to_learn_from(_shown(learned, train))]
        if test is not None:
            lines.append(to_predict(_shown(asked or learned, test)))
        reading = [*lines, *reading]
    read = {found.name for found in splits.values() if isinstance(found, PictureChoice)}
    aside = _left_aside(holding, groups, splits, [place for place in lists.values() if str(place) in read])
    return PictureParts(splits, holding.template, tuple(reading), aside)


def _flat(holding: Holding, learned: Sequence[StoredFile], found: Place | None, options: ReadOptions) -> PictureChoice:
    """The training pictures of a flat folder, with the classes of a list or of their names. Raise InputError."""
    if found is not None:
        return listed_pictures(found, _places(learned), options, labelled=True)
    named = named_pictures(_folder(holding.root, learned), _places(learned))
    if named is None:
        raise _no_classes(holding, learned)
    return named


def read_asked(holding: Holding, options: ReadOptions) -> RawImages | None:
    """Read the pictures to predict: those of the test part, or all if no folder names a part; None without any."""
    if not holding.pictures:
        return None
    groups = _by_part(holding)
    files = groups.get("test") or (groups.get(None) if groups.keys() == {None} else None)
    if not files:
        return None
    folder = _class_parent(holding.root, files)
    return read_picture_folder(folder or _folder(holding.root, files), options, labelled=False)


def _by_part(holding: Holding) -> dict[Part | None, list[StoredFile]]:
    """The pictures of each part, by the first folder in which they differ.

    A folder called train that stands among folders which name no part, and holds pictures itself, is a class.
    """
    depth = len(_common([file.folders for file in holding.pictures]))
    tops = {file.folders[depth : depth + 1] for file in holding.pictures}
    parts = {top: read_name(top[0]).part if top else None for top in tops}
    if any(top and parts[top] is None for top in tops):
        flat = {file.folders[depth:] for file in holding.pictures}
        parts |= {top: None for top, part in parts.items() if part == "train" and top in flat}
    groups: dict[Part | None, list[StoredFile]] = {}
    for file in holding.pictures:
        groups.setdefault(parts[file.folders[depth : depth + 1]], []).append(file)
    return groups


def _lists(holding: Holding, labels: Place | None) -> dict[Part | None, Place]:
    """The list of each part; of several the one nearest to the source."""
    if labels is not None:
        return {"train": labels}
    found: dict[Part | None, Place] = {}
    lists = holding.tables()[1]
    nearest = min((len(file.folders) for file in lists), default=0)
    for file in sorted(lists, key=lambda file: file.rank):
        if len(file.folders) == nearest:
            found.setdefault(file.part, file.place)
    return found


def _classes(base: Place, learned: Sequence[StoredFile]) -> PictureChoice:
    """The pictures of class folders that stand among folders which are no classes."""
    files = sorted(learned, key=lambda file: (natural(file.folders[0]), natural(file.place.name)))
    labels = tuple(file.folders[0] for file in files)
    ids = tuple(f"{label}/{file.place.name}" for label, file in zip(labels, files, strict=True))
    return PictureChoice(str(base), tuple(file.place for file in files), ids, labels)


def _class_parent(root: Place, files: Sequence[StoredFile]) -> Place | None:
    """The folder that holds the class folders of these pictures; None if they are all in one flat folder."""
    folders = sorted({file.folders for file in files})
    common = _common(folders)
    if len(folders) == 1:
        if not common or read_name(common[-1]).part or read_name(common[-1]).role:
            return None
        common = common[:-1]
    return _at(root, common)


def _common(folders: Sequence[Folders]) -> Folders:
    first, last = min(folders), max(folders)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def _asked(
    holding: Holding,
    asked: Sequence[StoredFile],
    lists: dict[Part | None, Place],
    train: "Place | PictureChoice",
    options: ReadOptions,
) -> "Place | PictureChoice | None":
    """The pictures to predict: those of a list, of a folder, or those that the sample submission names."""
    learned = set(train.places) if isinstance(train, PictureChoice) else set()
    others = [file.place for file in holding.pictures if file.place not in learned]
    listed = lists.get("test")
    if listed is not None and isinstance(train, PictureChoice) and others:
        return listed_pictures(listed, _places(asked) or others, options, labelled=False)
    if asked:
        folder = _class_parent(holding.root, asked)
        if folder is not None:
            return folder
        ordered = sorted(_places(asked), key=lambda place: natural(place.name))
        return _with_ids(
            PictureChoice(str(_folder(holding.root, asked)), tuple(ordered), tuple(p.name for p in ordered), None),
            holding,
        )
    if holding.template is not None and isinstance(train, PictureChoice) and others:
        return listed_pictures(holding.template, others, options, labelled=False)
    return None


def _with_ids(pictures: PictureChoice, holding: Holding) -> PictureChoice:
    """Name the pictures as the sample submission does, which may leave out their ending."""
    if holding.template is None:
        return pictures
    stems = tuple(id.rpartition(".")[0] for id in pictures.ids)
    known = {row[0] for row in read_rows(holding.template)[1:]}
    return replace(pictures, ids=stems) if set(stems) == known else pictures


def _left_aside(
    holding: Holding,
    groups: dict[Part | None, list[StoredFile]],
    splits: dict[Split, "Place | PictureChoice"],
    lists: Sequence[Place],
) -> tuple[str, ...]:
    """Name the pictures and files that are not read."""
    used: set[Place] = {
        place for found in splits.values() if isinstance(found, PictureChoice) for place in found.places
    }
    folders = [str(found) for found in splits.values() if not isinstance(found, PictureChoice)]
    lines = []
    for part, files in groups.items():
        unread = [
            f for f in files if f.place not in used and not any(_is_within(f.place, folder) for folder in folders)
        ]
        if unread:
            folder = _folder_name(unread)
            line = note("{folder}, {count:,} pictures", folder=folder, count=len(unread))
            line = line if len(unread) > 1 else note("{folder}, 1 picture", folder=folder)
            lines.append(validation_aside(line) if part == "validation" else line)
    known = [place for place in (*lists, holding.template) if place is not None]
    told = [file.place for file in holding.files if any(_is_within(file.place, folder) for folder in folders)]
    return (*lines, *holding.unread([*known, *told]))


def _is_within(place: Place, folder: str) -> bool:
    return str(place).startswith(f"{folder}/")


def _no_classes(holding: Holding, learned: Sequence[StoredFile]) -> InputError:
    folder, name = _folder(holding.root, learned), learned[0].place.name
    return InputError(
        f"{folder}: the pictures are not in class folders, and there is no list of their labels. Put each into a "
        f"folder named after its class, such as {folder}/CLASS/{name}; or put a CSV file beside {folder.name} with the "
        "columns filename and label, and name it with --labels."
    )


def _shown(files: Sequence[StoredFile], chosen: "Place | PictureChoice | None" = None) -> str:
    """Return the number of pictures, and the folder in which they are."""
    count = len(chosen.places) if isinstance(chosen, PictureChoice) else len(files)
    if count == 1:
        return note("1 picture in {folder}", folder=_folder_name(files))
    return note("{count:,} pictures in {folder}", count=count, folder=_folder_name(files))


def _folder_name(files: Sequence[StoredFile]) -> str:
    common = _common([file.folders for file in files])
    return "/".join(common) + "/" if common else "the folder itself"


def _places(files: Sequence[StoredFile]) -> list[Place]:
    return [file.place for file in files]


def _folder(root: Place, files: Sequence[StoredFile]) -> Place:
    return _at(root, _common([file.folders for file in files]))


def _at(root: Place, folders: Folders) -> Place:
    for name in folders:
        inner = root / name
        root = Member.of(root / f"{name}.zip") if not inner.exists() and (root / f"{name}.zip").is_file() else inner
    return root
