"""Files of several arrays, such as .npz, .mat and .h5: which of them holds the images, labels and ids of a split.

Arrays are told apart by the words in their names (x_train, train_images, dataset/test/labels); failing that, by their
shapes: images have most axes, labels one. Arrays that no name assigns to a split, such as numpy.savez's arr_0 and
arr_1, belong to train; of four, the first two are train and the last two test, as in
savez(x_train, y_train, x_test, y_test).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages, Split
from hitofude.inputs.formats.arrays import number_texts, real_numbers
from hitofude.inputs.formats.labels import label_texts, labels_of_array
from hitofude.inputs.formats.naming import Name, Part, read_name, validation_aside, validation_asked
from hitofude.inputs.layout import ReadOptions, lay_out
from hitofude.language.translation import note

Shapes = Mapping[str, tuple[int, ...]]
IMAGES_FIRST = ("images", "image", "x", "data")
"""The last words of the usual names, the likeliest first."""
_IDS = {("id",), ("ids",)}
_POSITIONAL = re.compile(r"arr_\d+")


@dataclass(frozen=True)
class Selection:
    """The names of a split's arrays."""

    images: str
    labels: str | None
    ids: str | None
    reading: tuple[str, ...] = ()
    """How they were found, if not by their names."""
    left_aside: tuple[str, ...] = ()


def splits_of(shapes: Shapes) -> set[Split]:
    """The splits that the file holds; `test` may be a validation part, if there is no other."""
    found = {part for name in shapes if (part := read_name(name).part) and _is_images(name, shapes)}
    positional = [name for name in shapes if _POSITIONAL.fullmatch(name) and len(shapes[name]) > 1]
    splits: set[Split] = set()
    if "train" in found:
        splits.add("train")
    if found & {"test", "validation"} or ((len(shapes) == 4 and _paired(shapes)) and len(positional) >= 2):
        splits.add("test")
    return splits


def select_arrays(shapes: Shapes, split: Split, file: str) -> Selection:
    """Choose the arrays of a split; if none is named after it, those of no split.

    file: for messages. Raise InputError if there are no images.
    """
    names = {name: read_name(name) for name in shapes}
    if len(shapes) == 4 and _paired(shapes):
        first = 0 if split == "train" else 2
        images, labels = list(shapes)[first : first + 2]
        line = f"{file.rpartition('/')[2]}: {', '.join(shapes)} are x_train, y_train, x_test, y_test by their order"
        return Selection(images, labels, None, (line,))
    for part in _parts_for(split, names):
        own = [name for name, meaning in names.items() if meaning.part == part]
        if (found := _choose_images(own, shapes)) is not None:
            return _with_labels(found, own, shapes, names, part, split, file)
    held = ", ".join(sorted(f"{name} {shape}" for name, shape in shapes.items())) or "nothing"
    raise InputError(f"{file}: there is no array 'images' (nor x_{split} or {split}_images). It holds: {held}.")


def select_labels(shapes: Shapes, file: str) -> str:
    """Choose the array of labels of a file beside the images. Raise InputError if there are several, or none."""
    found = [name for name in shapes if read_name(name).role == "labels"] or list(shapes)
    if len(found) != 1:
        raise InputError(f"{file}: expected one array of labels, found {', '.join(shapes) or 'none'}.")
    return found[0]


def samples_first(images: NDArray[Any], count: int | None) -> NDArray[Any]:
    """(…, N) → (N, …) if only the last axis is as long as the labels, as MATLAB's users store images."""
    if count is not None and images.ndim > 1 and images.shape[0] != count and images.shape[-1] == count:
        return np.moveaxis(images, -1, 0)
    return images


class ArrayFile(Protocol):
    """An open file of arrays that has checked their sizes."""

    @property
    def name(self) -> str:
        """The file, for messages."""

    @property
    def shapes(self) -> Shapes: ...

    def read(self, array: str) -> NDArray[Any]: ...


def read_array_file(file: ArrayFile, options: ReadOptions, split: Split) -> RawImages:
    """Read the images of a split, with their labels and ids if there are any; see select_arrays.

    The groups, the folds and the weights that the options name are those of the training images. Raise InputError if
    the lengths of the arrays differ.
    """
    asked = (options.groups, options.folds, options.weights) if split == "train" else (None, None, None)
    given = [name if name in file.shapes else None for name in asked]
    chosen = select_arrays({name: shape for name, shape in file.shapes.items() if name not in given}, split, file.name)
    location = f"{file.name}/{chosen.images}"
    others = {name: file.read(name) for name in (chosen.labels, chosen.ids, *given) if name is not None}
    count = None if chosen.labels is None else len(others[chosen.labels])
    values = samples_first(file.read(chosen.images), count)
    check_lengths(file.name, {name: array.shape for name, array in ({chosen.images: values} | others).items()})
    laid_out = lay_out(real_numbers(values, location), location, options)
    labels: NDArray[np.str_] | None = None
    how: tuple[str, ...] = ()
    if chosen.labels is not None:
        labels, how = labels_of_array(others[chosen.labels], f"{file.name}/{chosen.labels}")
    ids, groups, folds = (
        None if name is None else label_texts(others[name], f"{file.name}/{name}") for name in (chosen.ids, *given[:2])
    )
    weights = None if given[2] is None else number_texts(others[given[2]], f"{file.name}/{given[2]}")
    missing = f"there is no array 'labels' (nor y_{split} or {split}_labels), and training needs it."
    return RawImages(
        location, laid_out.images, labels, ids, "row", 1, missing, groups, folds,
        (*chosen.reading, *laid_out.reading, *how), chosen.left_aside, planes=laid_out.planes, weights=weights,
    )  # fmt: skip


def check_lengths(file: str, shapes: Shapes) -> None:
    """Raise InputError if arrays with a row for each image have different numbers of rows."""
    if len({shape[:1] for shape in shapes.values()}) > 1:
        found = ", ".join(f"'{name}' {shape}" for name, shape in shapes.items())
        raise InputError(f"{file}: the lengths differ: {found}. Each image needs one of each.")


def read_array_labels(file: ArrayFile) -> tuple[NDArray[np.str_], tuple[str, ...]]:
    """Read the labels of a file beside the images, (N,), and how."""
    name = select_labels(file.shapes, file.name)
    return labels_of_array(file.read(name), f"{file.name}/{name}")


def _parts_for(split: Split, names: Mapping[str, Name]) -> tuple[Part | None, ...]:
    """The parts to look for, in order."""
    if split == "train":
        return "train", None
    has_train = any(name.part == "train" for name in names.values())
    return ("test", "validation") if has_train else ("test", None, "validation")


def _is_images(name: str, shapes: Shapes) -> bool:
    return len(shapes[name]) > 1 and read_name(name).role != "labels"


def _paired(shapes: Shapes) -> bool:
    """Whether four arrays without names are images, labels, images, labels."""
    if not all(_POSITIONAL.fullmatch(name) for name in shapes):
        return False
    first, second, third, fourth = shapes.values()
    return all(
        len(images) > 1 and images[:1] == labels[:1] and len(labels) <= 2
        for images, labels in ((first, second), (third, fourth))
    )


def _choose_images(own: list[str], shapes: Shapes) -> str | None:
    """The array of images: by its name, else the largest of several axes."""
    by_name = {read_name(name).role: name for name in reversed(own)}
    for word in IMAGES_FIRST:
        for name in own:
            if re.split(r"[\W_]+", name.lower())[-1] == word or re.split(r"[\W_]+", name.lower())[0] == word:
                return name
    if "images" in by_name:
        return by_name["images"]
    others = [name for name in own if _is_images(name, shapes) and read_name(name).rest not in _IDS]
    return max(others, key=lambda name: (len(shapes[name]), shapes[name][1:]), default=None)


def _with_labels(
    images: str, own: list[str], shapes: Shapes, names: Mapping[str, Name], part: Part | None, split: Split, file: str
) -> Selection:
    """Add the labels and ids of the same part, and note the other arrays."""
    file = file.rpartition("/")[2]
    rest = [name for name in own if name != images]
    ids = next((name for name in rest if names[name].rest in _IDS and names[name].role is None), None)
    named = [name for name in rest if names[name].role == "labels"]
    labels = min(named, key=lambda name: (not _fits(shapes, images, name), names[name].rest), default=None)
    reading: list[str] = []
    if labels is None:
        candidates = [name for name in rest if name != ids and names[name].role is None and _fits(shapes, images, name)]
        if len(candidates) == 1:
            labels = candidates[0]
            reading.append(
                note(
                    "{file}: '{images}' holds the images and '{labels}' the labels, by their shapes",
                    file=file,
                    images=images,
                    labels=labels,
                )
            )
    if split == "test" and part == "validation":
        reading.append(validation_asked(f"{file}: '{images}'"))
    used = {images, labels, ids}
    others = [name for name in rest if name not in used] if split == "train" else []
    aside = [f"{file}: '{name}', {shapes[name]}" for name in others]
    parts = {name.part for name in names.values()}
    if split == "train" and "validation" in parts and "test" in parts:
        held = [name for name in shapes if names[name].part == "validation"]
        aside.append(validation_aside(f"{file}: {', '.join(held)}"))
    aside += [
        f"{file}: '{name}', {shapes[name]}" for name in shapes if names[name].part == "other" and split == "train"
    ]
    return Selection(images, labels, ids, tuple(reading), tuple(aside))


def _fits(shapes: Shapes, images: str, name: str) -> bool:
    """Whether an array may hold the labels of the images: one row for each, and at most two axes."""
    return 1 <= len(shapes[name]) <= 2 and shapes[name][0] in (shapes[images][0], shapes[images][-1])
