"""The data set that every source becomes, and the parts that it is made of."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.image_set import ImageSet, classes_of, encode_labels, row_numbers

if TYPE_CHECKING:
    from hitofude.inputs.duplicates import Duplicate


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

    @cached_property
    def duplicates(self) -> "list[Duplicate]":
        """Images that are there twice; looked for once."""
        from hitofude.inputs.duplicates import find_duplicates  # with scikit-learn, which reading does not need

        return find_duplicates(self.train, self.test)


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images as a file has them, to learn from or to predict."""

    name: str
    """How messages call the file."""
    images: NDArray[np.uint8]  # (N, C, H, W)
    labels: NDArray[np.str_] | None  # (N,)
    ids: NDArray[np.str_] | None  # (N,)
    row: str = "row"
    """How messages call a row."""
    first_row: int = 1
    unlabelled: str = "there are no labels in it, and training needs them."
    """What is missing where labels is None, and what to do."""

    def place(self, row: int) -> str:
        """'train.csv, line 5'"""
        return f"{self.name}, {self.row} {row + self.first_row}"


def make_dataset(name: str, train: RawImages, test: RawImages | None = None) -> Dataset:
    """Raises InputError for labels that are missing, blank or unknown, and for ids that are blank or repeated."""
    images = _labelled(train)
    if test is None:
        return Dataset(name, images)
    to_predict = unlabelled(test)
    labels = None if test.labels is None else _encode_test_labels(test, test.labels, images.classes)
    return Dataset(name, images, replace(to_predict, labels=labels, classes=images.classes))


def describe_dataset(dataset: Dataset) -> str:
    """What is in a source, a line a fact."""
    train, test = dataset.train, dataset.test
    channels, height, width = train.image_shape
    counts = np.bincount(train.known_labels(), minlength=len(train.classes))
    ink = train.images.mean() / 255
    lines = [
        f"source      {dataset.name}",
        f"images      {height}x{width}, {channels} channel{'s' if channels > 1 else ''}, mean brightness {ink:.3f}",
        f"to learn    {len(train):,} in {len(train.classes)} classes",
        *(f"  {name:<9} {count:,}" for name, count in zip(train.classes, counts, strict=True)),
        f"to predict  {'none' if test is None else f'{len(test):,}'}",
    ]
    if dataset.template is not None:
        lines.append(f"submission  {','.join(dataset.template.header)}, {len(dataset.template.ids):,} ids")
    return "\n".join(lines)


def unlabelled(part: RawImages) -> ImageSet:
    """The images alone, to be predicted."""
    return ImageSet(part.images, None, _ids(part), ())


def with_template(dataset: Dataset, template: SubmissionTemplate, name: str) -> Dataset:
    """The data set with the test images named as the sample submission has them, in row order where they have no names.

    name: of the file. Raises InputError where it is of other images.
    """
    if dataset.test is None:
        return dataset
    ids = _ids_by_template(dataset.test.ids, template, name)
    return replace(dataset, test=replace(dataset.test, ids=ids), template=template)


def _labelled(part: RawImages) -> ImageSet:
    if part.labels is None:
        raise InputError(f"{part.name}: {part.unlabelled}")
    blank = np.flatnonzero(part.labels == "")
    if len(blank):
        raise InputError(f"{part.place(int(blank[0]))}: the label is blank. Fill it in, or remove the {part.row}.")
    classes = classes_of(part.labels)
    return ImageSet(part.images, encode_labels(part.labels, classes), _ids(part), classes)


def _encode_test_labels(part: RawImages, labels: NDArray[np.str_], classes: tuple[str, ...]) -> NDArray[np.int64]:
    unknown = np.flatnonzero(~np.isin(labels, classes))
    if len(unknown):
        row = int(unknown[0])
        raise InputError(
            f"{part.place(row)}: the label '{labels[row]}' is none of the training labels. Mend it, or leave out the "
            "labels of the images to predict."
        )
    return encode_labels(labels, classes)


def _ids(part: RawImages) -> NDArray[np.str_]:
    """The ids, or the rows' numbers. Raises InputError at the first that is blank or stands there a second time."""
    ids = part.ids
    if ids is None:
        return row_numbers(len(part.images))
    _, first, of_row = np.unique(ids, return_index=True, return_inverse=True)
    earlier = first[of_row]
    wrong = np.flatnonzero((ids == "") | (earlier != np.arange(len(ids))))
    if len(wrong):
        row = int(wrong[0])
        before = f"the id '{ids[row]}' stands in {part.row} {earlier[row] + part.first_row} already"
        found = "the id is blank" if ids[row] == "" else before
        raise InputError(f"{part.place(row)}: {found}. Each image needs its own.")
    return ids


def _ids_by_template(ids: NDArray[np.str_], template: SubmissionTemplate, name: str) -> NDArray[np.str_]:
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
