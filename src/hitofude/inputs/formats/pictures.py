"""A folder of pictures with one folder for each class, named after it; or train and test folders of that kind.

FOLDER/CLASS/*.png                           pictures to train on
FOLDER/train/CLASS/* and FOLDER/test/*       and to predict
FOLDER/train/CLASS/* and FOLDER/test/CLASS/* and to predict, with their classes known
"""

import re
import unicodedata
from pathlib import Path

import numpy as np

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.picture import ENDINGS, read_pictures
from hitofude.inputs.layout import ReadOptions

SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx")


def picture_folders(folder: Path) -> dict[str, Path]:
    """Find the folders of `train` and `test`; `train` is the folder itself if it holds the classes. May be empty."""
    train, test = folder / "train", folder / "test"
    if _folders(train):
        return {"train": train} | ({"test": test} if test.is_dir() else {})
    holds_pictures = any(_is_picture(path) for parent in (folder, *_folders(folder)) for path in _entries(parent))
    return {"train": folder} if holds_pictures else {}


def read_picture_folder(folder: Path, options: ReadOptions, *, labelled: bool = True) -> RawImages:
    """Read all pictures of a folder, in the natural order of their names; ids are their paths in it.

    Labels are the names of the class folders. If `labelled` is False, the pictures may be in the folder itself, without
    labels. The images are grey if all pictures are. Raise InputError naming the file that is not a picture, damaged,
    too large or of another size than the first, and the folder without pictures.
    """
    classes, loose = _folders(folder), [path for path in _entries(folder) if _is_picture(path)]
    if loose and (labelled or classes):
        moved = folder / "CLASS" / loose[0].name
        raise InputError(f"{loose[0]}: this picture is not in a class folder. Move it, such as to {moved}.")
    paths = loose or [path for class_folder in classes for path in _pictures_of_class(class_folder)]
    if not paths:
        raise InputError(f"{folder}: there are no pictures in it. Expected {folder / 'CLASS' / 'NAME.png'} and more.")
    names = [str(path) for path in paths]
    images = read_pictures(paths, names, options)
    labels = [path.parent.name.strip() for path in paths]
    ids = [path.name if loose else f"{label}/{path.name}" for path, label in zip(paths, labels, strict=True)]
    known = None if loose else np.asarray(labels)
    return RawImages(str(folder), images, known, np.asarray(ids), row="picture")


def _pictures_of_class(folder: Path) -> list[Path]:
    """Raise InputError if there are no pictures, or other files or folders."""
    found = _entries(folder)
    for path in found:
        if path.is_dir():
            raise InputError(f"{path}: a folder inside a class folder. Move its pictures up, or remove it.")
        if not _is_picture(path):
            raise InputError(f"{path}: this is not a picture ({', '.join(ENDINGS)}). Remove it from the folder.")
    if not found:
        raise InputError(f"{folder}: there is no picture of the class '{folder.name}'. Add some, or remove the folder.")
    return found


def _entries(folder: Path) -> list[Path]:
    """The visible entries of a folder, in natural order. Raise InputError for a name that cannot be printed."""
    seen = [path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in SYSTEM_FILES]
    for path in seen:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in path.name):
            raise InputError(
                f"{folder}: the file name contains control characters or invalid UTF-8. Rename {path.name!a}."
            )
    return sorted(seen, key=lambda path: (natural(path.name), path.name))


def natural(name: str) -> tuple[str | int, ...]:
    """A sort key that puts 2.png before 10.png: text and numbers alternate."""
    return tuple(int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"([0-9]+)", name)))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()] if folder.is_dir() else []


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()
