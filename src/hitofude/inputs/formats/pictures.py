"""A folder of pictures: a folder a class, named as the class; or train and test folders of that kind.

FOLDER/CLASS/*.png                           pictures to learn from
FOLDER/train/CLASS/* and FOLDER/test/*       and to predict
FOLDER/train/CLASS/* and FOLDER/test/CLASS/* and to predict, with their classes known
"""

import re
import unicodedata
from pathlib import Path

import numpy as np

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.picture import ENDINGS, read_picture, stack_pictures
from hitofude.inputs.layout import ReadOptions, channels_first

LEFT_ASIDE = ("thumbs.db", "desktop.ini", "__macosx")


def picture_folders(folder: Path) -> dict[str, Path]:
    """`train`, and `test` where it is there: the folder itself, or those in it; empty where it holds no pictures."""
    train, test = folder / "train", folder / "test"
    if _folders(train):
        return {"train": train} | ({"test": test} if test.is_dir() else {})
    holds_pictures = any(_is_picture(path) for place in (folder, *_folders(folder)) for path in _entries(place))
    return {"train": folder} if holds_pictures else {}


def read_pictures(folder: Path, expected: ReadOptions, *, labelled: bool = True) -> RawImages:
    """All pictures of a folder, in the natural order of their names; ids are their paths within it.

    Labels are the names of the folders; without them where the pictures lie in the folder itself, which may be only
    where labelled is False. They are grey where all are. Raises InputError naming the file that is no picture, damaged,
    of another size than the first or too large, and the folder that holds no picture.
    """
    classes, loose = _folders(folder), [path for path in _entries(folder) if _is_picture(path)]
    if loose and (labelled or classes):
        raise InputError(
            f"{loose[0]}: this picture lies in no folder of a class. Move it into the folder of its class, as "
            f"{folder / 'CLASS' / loose[0].name}."
        )
    paths = loose or [path for place in classes for path in _pictures_of_class(place)]
    if not paths:
        raise InputError(
            f"{folder}: there are no pictures in it. ReadOptions {folder / 'CLASS' / 'NAME.png'} and more."
        )
    names = [str(path) for path in paths]
    images = stack_pictures([read_picture(path, str(path), expected) for path in paths], names, expected)
    labels = None if loose else np.asarray([_label(path) for path in paths])
    ids = [path.name if loose else f"{_label(path)}/{path.name}" for path in paths]
    return RawImages(str(folder), channels_first(images), labels, np.asarray(ids), row="picture")


def _pictures_of_class(folder: Path) -> list[Path]:
    """Raises InputError where there are none, or something else too."""
    found = _entries(folder)
    for path in found:
        if path.is_dir():
            raise InputError(f"{path}: a folder within the folder of a class. Move its pictures up, or remove it.")
        if not _is_picture(path):
            endings = ", ".join(ENDINGS)
            raise InputError(f"{path}: this is no file of a picture ({endings}). Remove it from the folder.")
    if not found:
        raise InputError(f"{folder}: there is no picture of the class '{folder.name}'. Add some, or remove the folder.")
    return found


def _entries(folder: Path) -> list[Path]:
    """What is seen in a folder, in natural order. Raises InputError for a name that is no text."""
    seen = [path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in LEFT_ASIDE]
    for path in seen:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in path.name):
            raise InputError(f"{folder}: the name {path.name!a} holds what is no text. Rename it.")
    return sorted(seen, key=lambda path: (natural(path.name), path.name))


def natural(name: str) -> tuple[str | int, ...]:
    """A key that has 2.png before 10.png: text and numbers by turns."""
    return tuple(int(part) if place % 2 else part for place, part in enumerate(re.split(r"([0-9]+)", name)))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()] if folder.is_dir() else []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def _label(path: Path) -> str:
    return path.parent.name.strip()
