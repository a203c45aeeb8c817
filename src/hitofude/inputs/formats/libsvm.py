"""LIBSVM's text format, `label index:value index:value …` with the zeros left out, read by scikit-learn."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, first_line
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import Place, allowed_growth, open_file, reading, size_of
from hitofude.inputs.formats.arrays import real_numbers
from hitofude.inputs.formats.labels import labels_of_array
from hitofude.inputs.layout import ReadOptions, lay_out


def read_libsvm(path: Place, options: ReadOptions) -> RawImages:
    """Read the images and labels; pixels behind the last index of the file are 0.

    Raise InputError for a damaged file, and for indices that would need more memory than a file of that size may.
    """
    from sklearn.datasets import load_svmlight_file

    try:
        with reading(str(path)), open_file(path) as stream:
            matrix, labels = load_svmlight_file(stream)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: this is not a file of LIBSVM, or it is damaged ({first_line(error)}).") from None
    rows, found = matrix.shape
    count = _pixels(found, options)
    if rows * count > allowed_growth(size_of(path)):
        raise InputError(f"{path}: index {found:,} in {rows:,} rows is more than an image has. Do not trust this file.")
    lines = (
        () if count == found else (f"{path.name}: the last index is {found}, so pixels {found + 1} to {count} are 0",)
    )
    pixels: NDArray[Any] = np.zeros((rows, count), dtype=np.float32)
    pixels[:, :found] = matrix.toarray()
    whole = pixels.astype(np.uint8) if _are_bytes(pixels) else pixels
    numbers = real_numbers(whole, str(path))
    laid_out = lay_out(numbers, str(path), options)
    texts, how = labels_of_array(labels, str(path))
    lines = (*lines, *laid_out.reading, *how)
    return RawImages(str(path), laid_out.images, texts, None, "line", reading=lines, planes=laid_out.planes)


def _pixels(found: int, options: ReadOptions) -> int:
    """The number of pixels of an image, at least `found`: that of the options, else the next square."""
    if options.like is not None:
        return max(found, math.prod(options.like))
    if options.shape is not None:
        return max(found, math.prod(options.shape))
    side = math.isqrt(found - 1) + 1 if found else 1
    planes = math.isqrt(max(found // 3, 1))
    return found if 3 * planes * planes == found else side * side


def _are_bytes(pixels: NDArray[Any]) -> bool:
    return bool(((pixels >= 0) & (pixels <= 255) & (pixels == np.rint(pixels))).all())
