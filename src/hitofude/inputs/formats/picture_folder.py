"""Folders of pictures: one for each class, named after it, or pictures to predict in the folder itself.

FOLDER/CLASS/*.png      pictures with labels
FOLDER/*.png            without
"""

import shlex
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import Place
from hitofude.inputs.formats.naming import SYSTEM_FILES, is_template, natural
from hitofude.inputs.formats.pictures import BEGINNINGS, ENDINGS, read_pictures
from hitofude.inputs.layout import ReadOptions
from hitofude.language.translation import note

UNREADABLE = (".heic", ".heif", ".svg", ".pdf", ".eps", ".psd", ".ai", ".dng", ".raw", ".nef", ".cr2", ".ico", ".xcf")
"""The endings of pictures that cannot be read."""


def read_picture_folder(folder: Place, options: ReadOptions, *, labelled: bool = True) -> RawImages:
    """Read all pictures of a folder, in the natural order of their names; ids are their paths in it.

    Labels are the names of the class folders. If `labelled` is False, the pictures may be in the folder itself, without
    labels. The images are grey if all pictures are. Raise InputError naming the files that are damaged, the first that
    is too large or of another size, and the folder without pictures.
    """
    if labelled:
        _check_upright(folder, options)
    classes, loose = _folders(folder), [path for path in _entries(folder) if _is_picture(path)]
    if loose and (labelled or classes):
        moved = folder / "CLASS" / loose[0].name
        raise InputError(f"{loose[0]}: this picture is not in a class folder. Move it, such as to {moved}.")
    found = [_pictures_of_class(class_folder) for class_folder in classes]
    paths = loose or [path for pictures, _ in found for path in pictures]
    if not paths:
        raise InputError(f"{folder}: there are no pictures in it. Expected {folder / 'CLASS' / 'NAME.png'} and more.")
    pictures = read_pictures(paths, [str(path) for path in paths], options)
    labels = [path.parent.name.strip() for path in paths]
    ids = [path.name if loose else f"{label}/{path.name}" for path, label in zip(paths, labels, strict=True)]
    others = [path for path in _entries(folder) if path.is_file() and not _is_picture(path)]
    left = [path for path in others if not is_template(path.name)]
    left += [path for _, others in found for path in others]
    return RawImages(
        str(folder),
        pictures.images,
        None if loose else np.asarray(labels),
        np.asarray(ids),
        row="picture",
        behind=pictures.behind,
        nominal=pictures.nominal,
        reading=pictures.reading,
        left_aside=tuple(_describe_left(folder, left)),
    )


def read_loose_picture(path: Path, options: ReadOptions) -> RawImages:
    """Read one picture to predict, resized to `options.like`; its id is its path. Raise as read_picture does."""
    if options.like is not None:
        channels, height, width = options.like
        options = replace(options, shape=(height, width, channels))
    pictures = read_pictures([path], [str(path)], options)
    ids = np.asarray([str(path)])
    return RawImages(
        str(path), pictures.images, None, ids, row="picture", behind=pictures.behind, nominal=pictures.nominal
    )


def _describe_left(folder: Place, left: Sequence[Place]) -> Iterator[str]:
    """Name the files that are no pictures, at most a few of them."""
    if left:
        names = ", ".join(str(path).removeprefix(f"{folder}/") for path in left[:5])
        if len(left) > 5:
            yield note("{files} and {count:,} more: not pictures", files=names, count=len(left) - 5)
        elif len(left) > 1:
            yield note("{files}: not pictures", files=names)
        else:
            yield note("{file}: not a picture", file=names)


def _pictures_of_class(folder: Place) -> tuple[list[Place], list[Place]]:
    """Return the pictures, and the other files. Raise InputError if there are no pictures, or folders."""
    found = _entries(folder)
    for path in found:
        if path.is_dir():
            raise InputError(_explain_inner(path))
        if path.suffix.lower() in UNREADABLE:
            raise InputError(f"{path}: pictures of this kind cannot be read. Save it as PNG or JPEG.")
    pictures = [path for path in found if _is_picture(path)]
    if not pictures:
        raise InputError(f"{folder}: there is no picture of the class '{folder.name}'. Add some, or remove the folder.")
    return pictures, [path for path in found if path not in set(pictures)]


def _explain_inner(inner: Place) -> str:
    """Explain a folder inside a class folder, by what it seems to be."""
    outer = inner.parent
    problem = f"{inner}: a folder inside a class folder"
    if len(_folders(outer)) > 1:
        return (
            f"{problem}. If {outer.name} holds a folder for each class, name it: {shlex.join(['--train', str(outer)])}"
        )
    return f"{problem}. Move its pictures up, or remove it."


def _entries(folder: Place) -> list[Place]:
    """The visible entries of a folder, in natural order. Raise InputError for a name that cannot be printed."""
    seen = [path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() not in SYSTEM_FILES]
    for path in seen:
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in path.name):
            raise InputError(
                f"{folder}: the file name contains control characters or invalid UTF-8. Rename {path.name!a}."
            )
    return sorted(seen, key=lambda path: (natural(path.name), path.name))


def _folders(folder: Place) -> list[Place]:
    return [path for path in _entries(folder) if path.is_dir()] if folder.is_dir() else []


def _is_picture(path: Place) -> bool:
    """Whether the name ends like a picture's or, without an ending, the file begins like a picture."""
    if not path.is_file() or path.suffix.lower() in ENDINGS:
        return path.is_file()
    if path.suffix and not path.suffix[1:].isdecimal():
        return False
    with path.open("rb") as stream:
        return stream.read(4).startswith(BEGINNINGS)


def _check_upright(folder: Place, options: ReadOptions) -> None:
    """Raise InputError if pictures are asked to be transposed."""
    if options.transpose:
        raise InputError(f"{folder}: pictures are read as they are seen. Leave out --transpose, or turn them.")
