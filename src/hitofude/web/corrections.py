"""Wrongly answered drawings, kept with their right labels in a folder to train on.

FOLDER/LABEL/HASH.png, as `hitofude run --train FOLDER` reads it. The name is made of the pixels: a drawing is kept
once, under its newest label.
"""

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.formats.naming import SYSTEM_FILES
from hitofude.storage import explaining_os_errors, make_folder, remove_partial_files, write_bytes
from hitofude.web.png import png_of

NAME_DIGITS = 32
MOST_NAME_BYTES = 200
FORBIDDEN = "/\\" + ('<>:"|?*' if os.name == "nt" else "")


class FullError(Exception):
    """No further drawings may be kept."""


class Corrections:
    """A folder of corrections, used by one thread."""

    def __init__(self, folder: Path, classes: Sequence[str], most: int) -> None:
        """Remove the rest of a killed server: partial files, and empty folders, which no training could read.

        Raises RunFolderError if the folder is a file, or cannot be read.
        """
        self._folder, self._classes, self._most = folder, tuple(classes), most
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"{folder} is a file. Name a folder to keep corrections in with --corrections.")
        with explaining_os_errors(folder):
            remove_partial_files(folder)
            for of_class in self._class_folders():
                _remove_if_empty(of_class)

    def keep(self, pixels: NDArray[np.uint8], label: str) -> str:
        """Keep pixels (C, H, W), unless they are kept already. Returns the file's name in the folder.

        Raises InputError for a label that is no class, or cannot be a folder's name, FullError if there are too many,
        OutOfResourcesError or RunFolderError if the file cannot be written.
        """
        self._check(label)
        name = f"{hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:NAME_DIGITS]}.png"
        path = self._folder / label / name
        with explaining_os_errors(path):
            if not path.exists():
                folders = self._class_folders()
                former = [of_class for of_class in folders if of_class.name != label and (of_class / name).exists()]
                if not former and self.total() >= self._most:
                    raise FullError
                self._check_spelling(label)
                make_folder(path.parent)
                write_bytes(path, png_of(pixels))
                for of_class in former:
                    (of_class / name).unlink(missing_ok=True)
                    _remove_if_empty(of_class)
        return f"{label}/{name}"

    def total(self) -> int:
        """Return the number of corrections that are kept."""
        with explaining_os_errors(self._folder):
            return sum(path.suffix == ".png" for of_class in self._class_folders() for path in of_class.iterdir())

    def _class_folders(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.name in self._classes] if self._folder.is_dir() else []

    def _check(self, label: str) -> None:
        if label not in self._classes:
            raise InputError("label: this is no class of the model. GET api/model lists them.")
        if not _is_folder_name(label):
            raise InputError(
                "label: no folder can have this name, so its drawings cannot be kept. Train with another name of the "
                "class to correct it."
            )

    def _check_spelling(self, label: str) -> None:
        """Raise InputError if the disk takes another class's folder for this one, as some do A for a."""
        if (self._folder / label).exists() and label not in (path.name for path in self._folder.iterdir()):
            raise InputError("label: this disk does not distinguish its folder from that of another class.")


def _is_folder_name(label: str) -> bool:
    """Whether a folder of this name is read back as this class."""
    return (
        label == label.strip()
        and label != ""
        and not label.startswith(".")
        and not (os.name == "nt" and label.endswith("."))
        and not any(character in FORBIDDEN or unicodedata.category(character) in ("Cc", "Cs") for character in label)
        and len(label.encode()) <= MOST_NAME_BYTES
        and label.lower() not in SYSTEM_FILES
    )


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
