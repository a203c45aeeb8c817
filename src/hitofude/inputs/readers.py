"""Read one file, or one folder of pictures, whatever its kind."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, Split, join, options_like, telling_transposed
from hitofude.inputs.formats.archive import Member, Place
from hitofude.inputs.formats.arff import read_arff
from hitofude.inputs.formats.arrays import raw_from_arrays
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.formats.hdf5 import open_hdf5
from hitofude.inputs.formats.idx import read_idx_images, read_idx_labels
from hitofude.inputs.formats.label_table import read_label_table
from hitofude.inputs.formats.labels import labels_of_array
from hitofude.inputs.formats.libsvm import read_libsvm
from hitofude.inputs.formats.matlab import MatFile
from hitofude.inputs.formats.named_arrays import ArrayFile, read_array_file, read_array_labels, splits_of
from hitofude.inputs.formats.npz import NpzFile, read_npy
from hitofude.inputs.formats.parquet import read_parquet
from hitofude.inputs.formats.pickles import refuse_pickle
from hitofude.inputs.formats.picture_folder import read_picture_folder
from hitofude.inputs.formats.pictures import ENDINGS
from hitofude.inputs.formats.raw_bytes import read_raw_bytes, read_raw_labels
from hitofude.inputs.formats.signatures import Kind, kind_of
from hitofude.inputs.formats.spreadsheet import sheet_as_csv
from hitofude.inputs.layout import ReadOptions
from hitofude.language.translation import note

KIND_OF_ENDING: dict[str, Kind] = {
    ".npz": "npz", ".npy": "npy", ".parquet": "parquet", ".mat": "mat", ".h5": "hdf5", ".hdf5": "hdf5", ".xlsx": "xlsx",
}  # fmt: skip
"""The reader that explains a damaged file, if its first bytes do not tell its kind."""
ARRAYS: tuple[Kind, ...] = ("npz", "mat", "hdf5")
"""The kinds of files that hold several arrays by name."""
MISSING_LABELS = "there are no labels in it, and training needs them. Name their file with --labels."


def known_kind(path: Place) -> Kind:
    """The kind of a file by its first bytes; failing that, by its ending."""
    kind = kind_of(path)
    return KIND_OF_ENDING.get(path.suffix.lower(), kind) if kind == "text" else kind


@contextmanager
def _open_arrays(path: Place, kind: Kind) -> Iterator[ArrayFile]:
    """Open a file of several arrays, of a kind in ARRAYS."""
    match kind:
        case "npz":
            yield NpzFile(path)
        case "mat":
            yield MatFile(path)
        case _:
            with open_hdf5(path) as file:
                yield file


def read_both(path: Place, options: ReadOptions) -> tuple[RawImages, RawImages | None]:
    """Read the training images of a file and, if it holds any, the images to predict, which must be like them."""
    kind = known_kind(path)
    if kind not in ARRAYS:
        return read_split(path, options, "train"), None
    with _open_arrays(path, kind) as file:
        train = telling_transposed(read_array_file(file, options, "train"), options)
        if "test" not in splits_of(file.shapes):
            return train, None
        return train, read_array_file(file, options_like(train, options), "test")


def read_split(path: Place, options: ReadOptions, split: Split) -> RawImages:
    """Read the images of a split from a file or a folder of pictures. Raise InputError with place and remedy."""
    if path.is_dir():
        return read_picture_folder(path, options, labelled=split == "train")
    raw = _read(path, options, split)
    return telling_transposed(raw, options) if split == "train" else raw


def _read(path: Place, options: ReadOptions, split: Split) -> RawImages:
    kind = known_kind(path)
    if kind == "picture" or path.suffix.lower() in ENDINGS:
        raise InputError(f"{path}: this is one picture. Name the folder that holds a folder of pictures a class.")
    if kind == "pickle":
        raise refuse_pickle(path)
    if kind == "zip":
        return _read(only_file(path), options, split)
    if kind in ARRAYS:
        with _open_arrays(path, kind) as file:
            return read_array_file(file, options, split)
    reader = _READERS.get(kind)
    return csv_file(path).read(options) if reader is None else reader(path, options)


def _read_npy(path: Place, options: ReadOptions) -> RawImages:
    raw = raw_from_arrays(read_npy(path), None, str(path), options)
    return replace(raw, missing_labels=MISSING_LABELS)


def _read_sheet(path: Place, options: ReadOptions) -> RawImages:
    table, others = sheet_as_csv(path)
    raw = table.read(options)
    aside = (note("{file}: the sheet '{sheet}'", file=path.name, sheet=name) for name in others)
    return replace(raw, left_aside=(*raw.left_aside, *aside))


_READERS: dict[Kind, Callable[[Place, ReadOptions], RawImages]] = {
    "npy": _read_npy,
    "xlsx": _read_sheet,
    "parquet": read_parquet,
    "idx": read_idx_images,
    "arff": read_arff,
    "libsvm": read_libsvm,
    "bytes": read_raw_bytes,
}


def read_shards(paths: Sequence[Place], options: ReadOptions, split: Split) -> RawImages:
    """Read the files that hold a split together, one after the other."""
    pieces = [read_split(path, options, split) for path in paths]
    if len(pieces) == 1:
        return pieces[0]
    line = f"{len(paths)} files, one after the other: {paths[0].name} to {paths[-1].name}"
    return replace(join(pieces), reading=(line, *pieces[0].reading))


def read_labels(path: Place, options: ReadOptions) -> tuple[NDArray[np.str_], NDArray[np.str_] | None, tuple[str, ...]]:
    """Read a file of labels: (N,) text, their ids if it has any, and how it was read. Raise InputError."""
    match known_kind(path):
        case "idx":
            labels, how = read_idx_labels(path)
        case "npy":
            labels, how = labels_of_array(read_npy(path), str(path))
        case "npz" | "mat" | "hdf5" as kind:
            with _open_arrays(path, kind) as file:
                labels, how = read_array_labels(file)
        case "bytes":
            labels, how = read_raw_labels(path), ()
        case "text":
            return read_label_table(path, options)
        case "pickle":
            raise refuse_pickle(path)
        case "zip":
            return read_labels(only_file(path), options)
        case kind:
            raise InputError(f"{path}: labels are read from CSV, NPY, NPZ, IDX, MAT and HDF5, not from {kind}.")
    return labels, None, how


def only_file(path: Place) -> Place:
    """The only file in a zip. Raise InputError if there are several."""
    found: list[Place] = list(Member.of(path).iterdir())
    if len(found) != 1 or not found[0].is_file():
        names = ", ".join(sorted(place.name for place in found)[:5]) or "nothing"
        raise InputError(f"{path}: expected a zip of one file, found {names}. Name it as SOURCE, not with --train.")
    return found[0]
