"""Read a file of any number of images block by block: memory does not grow with the file.

CSV (also .gz) is read by lines, Parquet by batches of rows, .npz by the rows of its arrays. Errors are the same as for
a file that is read whole, raised after the blocks before the fault. Two things are not checked: duplicate ids, which
would need all ids in memory, and an .npz file's labels.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, join
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.formats.idx import is_idx
from hitofude.inputs.formats.npz import stream_npz
from hitofude.inputs.formats.parquet import stream_parquet
from hitofude.inputs.formats.signatures import kind_of
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.look import Look
from hitofude.inputs.photos.photo_file import is_picture
from hitofude.inputs.rescaling import UNKNOWN, Rescaler, TrainedScale

ENDINGS = (".parquet", ".csv", ".csv.gz", ".npz")
"""The files of a folder that are read; a file named by the user may be CSV under any other name."""


def open_blocks(
    path: Path, options: ReadOptions, images: int, trained: TrainedScale = UNKNOWN, look: Look | None = None
) -> Iterator[ImageSet]:
    """Read a file in blocks of this many images; the last may be smaller. Without ids in the file, use row numbers.

    options: `like` is required. trained, look: the scale and the look of the training images. Raise InputError with
    line or row, column and a remedy.
    """
    match _kind(path):
        case "parquet":
            pieces = stream_parquet(path, options, images)
        case "npz":
            pieces = stream_npz(path, options, images)
        case "text":
            pieces = csv_file(path).stream(options)
        case _:
            raise _only_streams(path)
    done, rescaler = 0, Rescaler(trained, options.scale, look=look)
    for block in _rebatched(pieces, images):
        pixels = rescaler.to_bytes(block)
        yield ImageSet(pixels, None, block.ids_or_numbers(done + 1), ())
        done += len(block.images)


def check_streams(path: Path) -> None:
    """Raise InputError for a kind of file that cannot be read in blocks, such as a picture."""
    if path.suffix.lower() == ".zip" or is_idx(path) or is_picture(path):
        raise _only_streams(path)


def _kind(path: Path) -> str:
    """The kind of a file by its usual ending, else by its first bytes."""
    ending = path.suffix.lower()
    if ending in (".parquet", ".npz"):
        return ending.removeprefix(".")
    return "text" if ending in (".csv", ".gz") else kind_of(path)


def _only_streams(path: Path) -> InputError:
    return InputError(f"{path}: only {', '.join(ENDINGS)} can be read in blocks. Predict it with a file for --out.")


def _rebatched(pieces: Iterable[RawImages], images: int) -> Iterator[RawImages]:
    """Turn pieces of any size into blocks of one size."""
    held: list[RawImages] = []
    count = 0
    for piece in pieces:
        held.append(piece)
        count += len(piece.images)
        while count >= images:
            joined = join(held)
            yield joined.rows(0, images)
            held, count = [joined.rows(images)], count - images
    if count:
        yield join(held)
