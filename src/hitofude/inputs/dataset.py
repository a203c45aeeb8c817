"""Every source becomes a Dataset, made of the raw images of its files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, counted
from hitofude.inputs.direction import isolate
from hitofude.inputs.image_set import (
    ImageSet,
    classes_of,
    describe_weights,
    encode_labels,
    row_numbers,
    weights_of_texts,
)
from hitofude.inputs.layout import ReadOptions, is_transposed, join_images
from hitofude.inputs.look import WHITE, Look, check_ground, check_not_all_alike, look_of
from hitofude.inputs.rescaling import Rescaler, TrainedScale, training_scale
from hitofude.inputs.scale import BYTES, PixelScale
from hitofude.inputs.spelling import Spellings
from hitofude.language.translation import note

if TYPE_CHECKING:
    from hitofude.inputs.duplicates import Copies

Split = Literal["train", "test"]
TRAINING = ("train", "training")
"""The names of the part to train on in a column of usage."""

PLACEHOLDERS = ("", "-1", "-1.0", "?", "nan", "na", "n/a", "none", "null", "unknown", "unlabelled", "unlabeled")
"""Labels of images to predict that stand for none, if all are the same."""


@dataclass(frozen=True)
class SubmissionTemplate:
    """The header and the ids of a sample_submission.csv."""

    header: tuple[str, ...]
    """The name of the id's column, then that of the label, or one for each class."""
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images to train on and, if there are any, images to predict."""

    name: str
    train: ImageSet
    test: ImageSet | None = None
    template: SubmissionTemplate | None = None
    group_column: str | None = None
    """The name of the column of groups, and that of folds, in the files; None if they come from elsewhere."""
    fold_column: str | None = None
    weight_column: str | None = None
    """The name of the column of weights in the files."""
    scale: PixelScale = BYTES
    """The numbers that became 0 and 255."""
    reading: tuple[str, ...] = ()
    """How the files were read, if that had to be found out: `train.csv has no header: column 1 is the label`."""
    left_aside: tuple[str, ...] = ()
    """The files, parts and columns that were not read: `validation/, 300 pictures`."""
    label_column: str | None = None
    """The name of the label column in the files; its number from 0 if they have no header."""
    id_column: str | None = None
    """The name of the id column of the images to predict."""
    ignored_columns: tuple[str, ...] = ()
    """The columns that the user asks to leave aside."""
    header: bool | None = None
    """Whether the files' first lines name their columns, if the user says so."""
    behind: int = WHITE
    """The grey put behind transparent pixels of pictures."""
    transposed: bool = False
    """Whether rows and columns of the training images were exchanged in the files; here they are as people see them."""
    planes: bool | None = None
    """Whether rows of pixels in colour are red, then green, then blue in the files; None if they hold no such rows."""

    @cached_property
    def look(self) -> Look:
        """The look of the training images, by which photos and drawings are made like them."""
        return look_of(self.train.images, self.behind)

    @property
    def column_names(self) -> tuple[str | None, str | None]:
        """The names of the id and of the label in the files; None for those without a name."""
        label = self.label_column
        return self.id_column, None if label is None or label.isdigit() else label

    @property
    def groups(self) -> NDArray[np.str_] | None:
        """(N,) the group of each training row, if the user gives groups."""
        return self.train.groups

    @property
    def folds(self) -> NDArray[np.str_] | None:
        """(N,) the fold of each training row, if the user gives folds."""
        return self.train.folds

    @cached_property
    def trained_scale(self) -> TrainedScale:
        """The scale of the training images, to compare other images with."""
        return TrainedScale.of(self.scale, self.train.images)

    @cached_property
    def _copies(self) -> "dict[str, Copies]":
        return {}

    def copies(self, train: ImageSet) -> "Copies":
        """Search a selection of the training images, and all test images, for copies; the same selection only once."""
        from hitofude.inputs.duplicates import find_copies  # loads SciPy and scikit-learn

        key = train.fingerprint
        if key not in self._copies:
            self._copies[key] = find_copies(train, self.test)
        return self._copies[key]


@dataclass(frozen=True, eq=False)
class RawImages:
    """The images of a file with the labels and ids as text."""

    name: str
    """The file, for messages."""
    images: NDArray[Any]  # (N, C, H, W) the file's own numbers; uint8 if all are whole and from 0 to 255
    labels: NDArray[np.str_] | None  # (N,)
    ids: NDArray[np.str_] | None  # (N,)
    row: str = "row"
    """The word for a row, for messages."""
    first_row: int = 1
    missing_labels: str = "there are no labels in it, and training needs them."
    """The complaint if labels is None, with a remedy."""
    groups: NDArray[np.str_] | None = None  # (N,)
    folds: NDArray[np.str_] | None = None  # (N,)
    reading: tuple[str, ...] = ()
    """How the file was read, if that had to be found out."""
    left_aside: tuple[str, ...] = ()
    """The parts of the file that were not read."""
    label_column: str | None = None
    """The name of the label column; its number from 0 if the file has no header."""
    id_column: str | None = None
    usage: NDArray[np.str_] | None = None  # (N,) the part that each row belongs to, such as Training or PublicTest
    numbers: NDArray[np.int64] | None = None  # (N,) the rows' places among those of the file, if some are left out
    behind: int | None = None
    """The grey put behind transparent pixels of pictures, if there were any."""
    transposed: bool = False
    """Whether rows and columns were exchanged in the file; here they are as people see them."""
    planes: bool | None = None
    """Whether rows of pixels in colour were red, then green, then blue; None if they were not rows in colour."""
    weights: NDArray[np.str_] | None = None  # (N,)
    nominal: PixelScale | None = None
    """The scale of a picture's format, such as 0..65535 for 16 bits."""

    def __post_init__(self) -> None:
        """Raise InputError if there are more or fewer labels, ids, groups, folds or weights than images."""
        count = len(self.images)
        for word, texts in self._texts().items():
            if texts is not None and len(texts) != count:
                raise InputError(
                    f"{self.name}: {counted(count, 'image')}, but {len(texts)} {word}. Each image needs one."
                )

    def location(self, row: int) -> str:
        """'train.csv, line 5'"""
        return f"{self.name}, {self.row} {self._place(row) + self.first_row}"

    def _place(self, row: int) -> int:
        return row if self.numbers is None else int(self.numbers[row])

    def rows(self, start: int, stop: int | None = None) -> "RawImages":
        texts = self._texts().items()
        taken: dict[str, Any] = {name: None if array is None else array[start:stop] for name, array in texts}
        return replace(self, images=self.images[start:stop], first_row=self.first_row + start, **taken)

    def by_usage(self) -> "tuple[RawImages, RawImages | None]":
        """The rows to train on, and the others; all and None if there is no column of usage that names both.

        Rows without ids keep their numbers in the file.
        """
        if self.usage is None:
            return self, None
        is_train = np.isin(np.char.lower(self.usage), TRAINING)
        if is_train.all() or not is_train.any():
            return replace(self, usage=None), None
        parts = {str(part): int(count) for part, count in zip(*np.unique(self.usage, return_counts=True), strict=True)}
        counted = ", ".join(f"{part} {count:,}" for part, count in parts.items())
        line = note("{file}: a column says which rows train: {counts}", file=self.name, counts=counted)
        return self._where(is_train, line), self._where(~is_train, line)

    def _where(self, is_taken: NDArray[np.bool_], line: str) -> "RawImages":
        texts = {name: None if array is None else array[is_taken] for name, array in self._texts().items()}
        taken: dict[str, Any] = texts | {"usage": None, "numbers": np.flatnonzero(is_taken)}
        return replace(self, images=self.images[is_taken], reading=(*self.reading, line), **taken)

    def _texts(self) -> dict[str, Any]:
        names = ("labels", "ids", "groups", "folds", "usage", "weights")
        return {name: getattr(self, name) for name in names}

    def ids_or_numbers(self, first: int = 1) -> NDArray[np.str_]:
        """(N,) the ids, or numbers from `first` if there are none. Raise InputError at a blank id."""
        if self.ids is None:
            if self.numbers is None:
                return row_numbers(len(self.images), first)
            return (self.numbers + np.int64(first)).astype(np.str_)
        is_blank = self.ids == ""
        if is_blank.any():
            raise InputError(f"{self.location(int(is_blank.argmax()))}: the id is blank. Each image needs its own.")
        return self.ids

    def unlabelled(self) -> ImageSet:
        """The images and ids alone, to be predicted. Raise InputError at a blank or duplicate id."""
        ids = self.ids_or_numbers()
        if self.ids is None:
            return ImageSet(self.images, None, ids, ())
        _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
        earlier = first[inverse]
        is_duplicate = earlier != np.arange(len(ids))
        if is_duplicate.any():
            row = int(is_duplicate.argmax())
            before = f"after {self.row} {self._place(int(earlier[row])) + self.first_row}"
            raise InputError(f"{self.location(row)}: duplicate id '{ids[row]}', {before}. Each image needs its own.")
        return ImageSet(self.images, None, ids, ())

    def labelled(self, classes: tuple[str, ...] | None = None) -> ImageSet:
        """Encode the labels, by `classes` if given, else by the distinct labels, as of training images with weights.

        Raise InputError if the labels are missing, blank or not among `classes`, or for unusable ids.
        """
        if self.labels is None:
            raise InputError(f"{self.name}: {self.missing_labels}")
        weights = None
        if classes is None:
            weights = None if self.weights is None else weights_of_texts(self.weights, self.location)
            is_blank = self.labels == ""
            if is_blank.any():
                location = self.location(int(is_blank.argmax()))
                raise InputError(f"{location}: the label is blank. Fill it in, or remove the {self.row}.")
            classes = classes_of(self.labels)
        labels = encode_labels(self.labels, classes)
        if (labels < 0).any():
            row = int(labels.argmin())
            raise InputError(
                f"{self.location(row)}: the label '{self.labels[row]}' does not occur in the training data. Fix it, "
                "or leave out the labels of the images to predict."
            )
        for word, texts in (("group", self.groups), ("fold", self.folds)):
            if texts is not None and (is_blank := texts == "").any():
                raise InputError(f"{self.location(int(is_blank.argmax()))}: the {word} is blank. Fill it in.")
        related: dict[str, Any] = {"groups": self.groups, "folds": self.folds, "weights": weights}
        return replace(self.unlabelled(), labels=labels, classes=classes, **related)


def join(pieces: Sequence[RawImages]) -> RawImages:
    """Join consecutive pieces of a file. Raise InputError if the sizes of their images differ."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    images = join_images([piece.images for piece in pieces], [piece.location(0) for piece in pieces])
    texts: dict[str, Any] = {name: _join_texts(piece._texts()[name] for piece in pieces) for name in first._texts()}
    reading = tuple(dict.fromkeys(line for piece in pieces for line in piece.reading))
    behind = next((piece.behind for piece in pieces if piece.behind is not None), None)
    return replace(first, images=images, reading=reading, behind=behind, **texts)


def _join_texts(texts: Iterable[NDArray[np.str_] | None]) -> NDArray[np.str_] | None:
    known = [array for array in texts if array is not None]
    return np.concatenate(known) if known else None


def telling_transposed(raw: RawImages, options: ReadOptions) -> RawImages:
    """Say that the images were read with rows and columns exchanged, if they were."""
    if raw.row == "picture" or not is_transposed(raw.name, options):
        return raw
    line = note(
        "{file}: rows and columns of the images exchanged, as in EMNIST's files; --no-transpose if they are not",
        file=raw.name,
    )
    if options.transpose:
        line = note("{file}: rows and columns of the images exchanged, as asked", file=raw.name)
    return replace(raw, transposed=True, reading=(*raw.reading, line))


def options_like(raw: RawImages, options: ReadOptions) -> ReadOptions:
    """Return the options to read images that must be like these."""
    channels, height, width = raw.images.shape[1:]
    transpose = True if raw.transposed else options.transpose
    return replace(options, like=(channels, height, width), behind=raw.behind, transpose=transpose, planes=raw.planes)


def make_dataset(
    name: str,
    train: RawImages,
    test: RawImages | None = None,
    scale: PixelScale | None = None,
    remedy: str | None = None,
) -> Dataset:
    """Bring both parts to the scale of the training images, and encode the labels.

    scale: the user's. test: without it, the rows that a column of usage does not call Training. remedy: ends the
    refusal of images to predict on another scale or ground than the training images; {scale} in it becomes the scale
    that they need. Raise InputError for missing, blank or unknown labels, for blank or duplicate ids, and for images
    on different scales or grounds.
    """
    train, test = _parted(train, test)
    found, pixels = training_scale(train, scale)
    train = replace(train, images=pixels)
    if test is not None:
        test = replace(test, images=Rescaler(TrainedScale.of(found, pixels), scale, remedy).to_bytes(test))
    images = train.labelled()
    test = None if test is None else _without_placeholder(test, images.classes)
    check_not_all_alike(images.images, train.name)
    both = [train] if test is None else [train, test]
    reading, left_aside = (
        tuple(dict.fromkeys(line for raw in both for line in getattr(raw, name))) for name in ("reading", "left_aside")
    )
    behind = WHITE if train.behind is None else train.behind
    dataset = Dataset(
        name, images, scale=found, reading=reading, left_aside=left_aside, label_column=train.label_column,
        behind=behind, transposed=train.transposed, planes=train.planes,
    )  # fmt: skip
    if test is None:
        return dataset
    inverse = str(PixelScale(found.high, found.low))
    check_ground(test.images, dataset.look, test.name, remedy and remedy.replace("{scale}", inverse))
    known = test.unlabelled() if test.labels is None else test.labelled(images.classes)
    return replace(dataset, test=replace(known, classes=images.classes), id_column=test.id_column)


def _parted(train: RawImages, test: RawImages | None) -> tuple[RawImages, RawImages | None]:
    """Predict the rows that a column of usage does not call Training, if no other images are given."""
    train, others = train.by_usage()
    if test is None or others is None:
        return train, test or others
    rows = counted(len(others.images), "row")
    line = note("{file}: {rows} of other parts than Training", file=train.name, rows=rows)
    return replace(train, left_aside=(*train.left_aside, line)), test


def _without_placeholder(test: RawImages, classes: Sequence[str]) -> RawImages:
    """Leave the labels aside if all are one that stands for none, such as a blank or -1."""
    if test.labels is None or len(test.labels) == 0:
        return test
    label = str(test.labels[0])
    if label.lower() not in PLACEHOLDERS or label in classes or (test.labels != label).any():
        return test
    line = note("{file}: the labels, which are all '{label}'", file=test.name, label=label)
    if not label:
        line = note("{file}: the labels, which are all blank", file=test.name)
    return replace(test, labels=None, left_aside=(*test.left_aside, line))


def check_several_classes(train: ImageSet) -> None:
    """Raise InputError if all images are of one class."""
    if len(train.classes) < 2:
        raise InputError(f"All images have the label '{train.classes[0]}'. A classifier needs two or more.")


def describe_dataset(dataset: Dataset) -> str:
    """Summarise a source, one fact a line."""
    train, test = dataset.train, dataset.test
    channels, height, width = train.image_shape
    counts = np.bincount(train.known_labels(), minlength=len(train.classes))
    brightness = train.images.mean() / 255
    lines = [
        f"source      {dataset.name}",
        f"images      {height}x{width}, {counted(channels, 'channel')}, mean brightness {brightness:.3f}",
        f"look        {dataset.look.describe()}",
        f"scale       {dataset.scale.describe()}",
        f"training    {len(train):,} in {counted(len(train.classes), 'class')}",
        *(
            f"  {isolate(name)}{' ' * (9 - len(name))} {count:,}"
            for name, count in zip(train.classes, counts, strict=True)
        ),
        f"to predict  {'none' if test is None else f'{len(test):,}'}",
    ]
    for word, texts in (("groups", dataset.groups), ("folds", dataset.folds)):
        if texts is not None:
            sizes = np.unique(texts, return_counts=True)[1]
            lines.append(f"{word:<11} {len(sizes):,}, of {sizes.min():,} to {sizes.max():,} training images")
    if train.weights is not None:
        lines.append(f"weights     {describe_weights(train.weights)}")
    if dataset.template is not None:
        header = dataset.template.header
        shown = ",".join(header[:5]) + (f",… ({len(header)} columns)" if len(header) > 5 else "")
        lines.append(f"submission  {shown}, {counted(len(dataset.template.ids), 'id')}")
    lines += [f"read        {line}" for line in dataset.reading]
    lines += [f"left aside  {line}" for line in dataset.left_aside]
    return "\n".join(lines)


def with_template(dataset: Dataset, template: SubmissionTemplate, name: str) -> Dataset:
    """Add a sample submission; its ids, in row order, become those of test images without ids.

    Ids that are the same numbers, such as 0007 and 7, are spelled as in the sample submission.

    name: the file, for messages. Raise InputError if it belongs to other images.
    """
    test = dataset.test
    if test is None:
        return dataset
    ids, remedy = test.ids, "Are these files of the same competition?"
    if len(ids) != len(template.ids):
        raise InputError(f"{name}: {counted(len(template.ids), 'row')} for {counted(len(ids), 'test image')}. {remedy}")
    spellings = Spellings(template.ids)
    found = [spellings.find(id) for id in ids.tolist()]
    if None not in found and len(set(found)) == len(found):
        ids = np.array(found)
    elif np.array_equal(ids, row_numbers(len(ids))):
        ids = np.array(template.ids)
    else:
        raise InputError(f"{name}: its ids are not those of the test images. {remedy}")
    return replace(dataset, test=replace(test, ids=ids), template=template)
