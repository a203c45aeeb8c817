"""Further labelled images for a data set: those that a person labelled, or any others, beside its training images."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, suggest
from hitofude.inputs.dataset import Dataset, RawImages
from hitofude.inputs.formats.archive import reading
from hitofude.inputs.image_set import ImageSet, encode_labels, weights_of_texts
from hitofude.inputs.located import read_file
from hitofude.inputs.rescaling import Rescaler
from hitofude.inputs.sources import Reading, read_options
from hitofude.inputs.to_label import ToLabel
from hitofude.language.translation import note


def add_images(dataset: Dataset, path: Path, **how: Unpack[Reading]) -> Dataset:
    """Return the data set with the labelled images of a path behind its training images.

    path: a folder that `hitofude next` chose and a person labelled, or any file or folder, which is read as the
    source is, see Reading. Their ids get the path's name before them. A group or weight that the added images lack is
    one of their own, or the mean. Raises InputError for images of another size, scale or ground, for labels that the
    training images do not have, and if the source has folds, which cannot be told for these.
    """
    raw = _read(dataset, path, how)
    train = dataset.train
    if train.folds is not None:
        raise InputError(
            f"{path}: --folds says which fold holds each row out, but not for these. Leave one of them out."
        )
    ids = np.array([f"{path.name}/{id}" for id in raw.ids_or_numbers().tolist()])
    if len(known := set(train.ids.tolist()).intersection(ids.tolist())):
        raise InputError(f"{path}: there is a training image with the id '{min(known)}' already. Add each path once.")
    labels = _labels_of(raw, train.classes)
    groups, weights = _groups_of(raw, train, ids), _weights_of(raw, train)
    added = ImageSet(
        np.concatenate([train.images, raw.images]),
        np.concatenate([train.known_labels(), labels]),
        np.concatenate([train.ids, ids]),
        train.classes,
        groups,
        None,
        weights,
    )
    line = note("{images:,} labelled images of {path} added", images=len(ids), path=path)
    return replace(
        dataset, name=f"{dataset.name}-plus-{len(ids)}", train=added, reading=(*dataset.reading, line, *raw.reading)
    )


def _read(dataset: Dataset, path: Path, how: Reading) -> RawImages:
    """Return the labelled images, as bytes on the scale of the training images."""
    shape = dataset.train.image_shape
    if ToLabel(path).exists:
        raw = ToLabel(path).labelled(dataset.scale)
        if raw.images.shape[1:] != shape:
            raise InputError(f"{path}: its images are {raw.images.shape[1:]}, but those of the source {shape}.")
        return raw
    options = replace(
        read_options(**how), like=shape, behind=dataset.behind, transpose=dataset.transposed or how.get("transpose"),
        planes=dataset.planes,
    )  # fmt: skip
    with reading(str(path)):
        raw = read_file(path, options, "train")
    rescaler = Rescaler(dataset.trained_scale, options.scale, look=dataset.look)
    return replace(raw, images=rescaler.to_bytes(raw))


def _labels_of(raw: RawImages, classes: tuple[str, ...]) -> NDArray[np.int64]:
    if raw.labels is None:
        raise InputError(f"{raw.name}: {raw.missing_labels}")
    labels = encode_labels(raw.labels, classes)
    if (labels < 0).any():
        row = int(labels.argmin())
        text = str(raw.labels[row])
        hint = suggest(text, list(classes))
        raise InputError(f"{raw.location(row)}: the training images of the source have no label '{text}'.{hint}")
    return labels


def _groups_of(raw: RawImages, train: ImageSet, ids: NDArray[np.str_]) -> NDArray[np.str_] | None:
    if train.groups is None:
        return None
    return np.concatenate([train.groups, ids if raw.groups is None else raw.groups])


def _weights_of(raw: RawImages, train: ImageSet) -> NDArray[np.float64] | None:
    if train.weights is None:
        return None
    mean = np.full(len(raw.images), train.weights.mean())
    return np.concatenate([train.weights, mean if raw.weights is None else weights_of_texts(raw.weights, raw.location)])
