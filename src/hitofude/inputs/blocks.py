"""Files of any number of images, some at a time: what is in memory does not grow with the file.

Read so: CSV (also .gz) by its lines, Parquet by its batches of rows, .npz by the rows of its arrays. A file is refused
in the same words as where it is read whole; what stands before a fault has been given by then. Two things are not
looked at: whether an id stands there a second time, which would need all of them in memory, and an .npz file's labels.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.csv_source import csv_file
from hitofude.inputs.formats.idx import is_idx
from hitofude.inputs.formats.npz import stream_npz
from hitofude.inputs.formats.parquet import stream_parquet
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.photos.photo_file import is_picture

ENDINGS = (".parquet", ".csv", ".csv.gz", ".npz")
"""By these, a folder's files are known to be parts; a file that is named may be CSV under any other name."""


@dataclass(frozen=True, eq=False)
class Block:
    """Images that stand one after the other in a file."""

    images: NDArray[np.uint8]  # (N, C, H, W)
    ids: NDArray[np.str_]  # (N,)


def open_blocks(path: Path, expected: ReadOptions, images: int) -> Iterator[Block]:
    """The images of a file, so many in each block but the last, with ids: the file's own, or its rows' numbers.

    expected: its `like` is needed. Raises InputError saying which line or row and column, and what to do.
    """
    done = 0
    for block in _blocks(_pieces(path, expected, images), images):
        yield Block(block.images, _ids(block, done))
        done += len(block.images)


def check_streams(path: Path) -> None:
    """Raises InputError for a kind of file that is read whole or not at all, such as a picture."""
    if path.suffix.lower() == ".zip" or is_idx(path) or is_picture(path):
        raise InputError(
            f"{path}: files of this kind are not predicted one part after the other; {', '.join(ENDINGS)} are. Predict "
            "it by itself, with a file for --out."
        )


def _pieces(path: Path, expected: ReadOptions, images: int) -> Iterator[RawImages]:
    match path.suffix.lower():
        case ".parquet":
            return stream_parquet(path, expected, images)
        case ".npz":
            return stream_npz(path, expected, images)
        case _:
            return csv_file(path).stream(expected)


def _blocks(pieces: Iterable[RawImages], images: int) -> Iterator[RawImages]:
    """Pieces of any size → blocks of one."""
    held: list[RawImages] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece.images)
        while count >= images:
            whole = _joined(held)
            yield _cut(whole, slice(images))
            held, count = [_cut(whole, slice(images, None))], count - images
    if count:
        yield _joined(held)


def _joined(parts: list[RawImages]) -> RawImages:
    if len(parts) == 1:
        return parts[0]
    ids = [part.ids for part in parts if part.ids is not None]
    images = np.concatenate([part.images for part in parts])
    return replace(parts[0], images=images, labels=None, ids=np.concatenate(ids) if ids else None)


def _cut(part: RawImages, rows: slice) -> RawImages:
    ids = None if part.ids is None else part.ids[rows]
    first = part.first_row + (rows.start or 0)
    return replace(part, images=part.images[rows], labels=None, ids=ids, first_row=first)


def _ids(block: RawImages, before: int) -> NDArray[np.str_]:
    """The block's own, or the numbers of its rows. Raises InputError at the first that is blank."""
    if block.ids is None:
        return np.arange(before + 1, before + len(block.images) + 1).astype(np.str_)
    blank = np.flatnonzero(block.ids == "")
    if len(blank):
        raise InputError(f"{block.place(int(blank[0]))}: the id is blank. Each image needs its own.")
    return block.ids
