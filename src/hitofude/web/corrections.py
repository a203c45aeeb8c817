"""Drawings that were answered wrongly, kept with their right labels: a folder to train on.

FOLDER/LABEL/HASH.png, as `hitofude run --train FOLDER` reads it. The name is made of the pixels: the same drawing is
kept once, under the label that was said last.
"""

import hashlib
import io
import os
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hitofude.errors import InputError, RunFolderError
from hitofude.inputs.formats.pictures import LEFT_ASIDE
from hitofude.storage import explaining_os_errors, make_folder, remove_partial_files, write_bytes

NAME_DIGITS = 32
MOST_NAME_BYTES = 200
NOT_ON_WINDOWS = '<>:"|?*'


class FullError(Exception):
    """As many drawings are kept as may be."""


class Corrections:
    """A folder of corrections. One thread at a time writes."""

    def __init__(self, folder: Path, classes: Sequence[str], most: int) -> None:
        """Raises RunFolderError where the folder is no folder, or cannot be read."""
        self._folder, self._classes, self._most = folder, tuple(classes), most
        self._lock = threading.Lock()
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"{folder} is a file. Name a folder to keep corrections in with --corrections.")
        with explaining_os_errors(folder):
            self._tidy()

    def keep(self, pixels: NDArray[np.uint8], label: str) -> str:
        """pixels: (C, H, W). The file's name within the folder; what is kept already is not written again.

        Raises InputError for a label that is none of the classes, or cannot be a folder's name, FullError where there
        are too many, OutOfResourcesError or RunFolderError where it cannot be written.
        """
        self._check(label)
        name = f"{hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:NAME_DIGITS]}.png"
        path = self._folder / label / name
        with self._lock, explaining_os_errors(path):
            if not path.exists():
                others = [place for place in self._places() if place.name != label and (place / name).exists()]
                if not others and self._count() >= self._most:
                    raise FullError
                self._check_spelling(label)
                make_folder(path.parent)
                write_bytes(path, _png(pixels))
                for place in others:
                    (place / name).unlink(missing_ok=True)
                    _remove_if_empty(place)
        return f"{label}/{name}"

    def total(self) -> int:
        """How many are kept."""
        with explaining_os_errors(self._folder):
            return self._count()

    def _places(self) -> list[Path]:
        """The folders of classes that are there."""
        known = set(self._classes)
        return [place for place in self._folder.iterdir() if place.name in known] if self._folder.is_dir() else []

    def _count(self) -> int:
        return sum(path.suffix == ".png" for place in self._places() for path in place.iterdir())

    def _tidy(self) -> None:
        """What a killed server left: half a file, or a folder without any, which no training could read."""
        remove_partial_files(self._folder)
        for place in self._places():
            _remove_if_empty(place)

    def _check(self, label: str) -> None:
        if label not in self._classes:
            raise InputError("label: this is none of the model's classes. GET api/model lists them.")
        if not _is_folder_name(label):
            raise InputError(
                "label: no folder can have this name, so its drawings cannot be kept. Train with another name of the "
                "class to correct it."
            )

    def _check_spelling(self, label: str) -> None:
        """Raises InputError where the disk takes another class's folder for this one, as some do A for a."""
        if (self._folder / label).exists() and label not in (place.name for place in self._folder.iterdir()):
            raise InputError("label: this disk does not tell its folder from that of another class.")


def _is_folder_name(label: str) -> bool:
    """Whether a folder of this name is read back as this class."""
    controls = any(unicodedata.category(character) in ("Cc", "Cs") for character in label)
    forbidden = "/\\" + (NOT_ON_WINDOWS if os.name == "nt" else "")
    return (
        label == label.strip()
        and label not in ("", ".", "..")
        and not label.startswith(".")
        and not (os.name == "nt" and label.endswith("."))
        and not controls
        and not any(character in forbidden for character in label)
        and len(label.encode()) <= MOST_NAME_BYTES
        and label.lower() not in LEFT_ASIDE
    )


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """(C, H, W), C being 1 or 3."""
    content = io.BytesIO()
    plain = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(np.moveaxis(pixels, 0, 2))
    Image.fromarray(plain).save(content, "PNG", optimize=True)
    return content.getvalue()


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()
