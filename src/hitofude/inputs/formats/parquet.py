"""Parquet files: columns as in a CSV file, a column of lists of pixels, or of pictures as Hugging Face stores them.

Read in batches of rows; if the file is streamed, one batch is in memory.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, first_line
from hitofude.inputs.dataset import RawImages, join
from hitofude.inputs.formats.archive import allowed_growth
from hitofude.inputs.formats.arrays import label_texts, real_numbers
from hitofude.inputs.formats.csv_table import find_columns, find_texts
from hitofude.inputs.formats.pictures import read_pictures
from hitofude.inputs.layout import ReadOptions, images_of_array, images_of_rows
from hitofude.inputs.scale import nominal_scale

BATCH_ROWS = 4096
BATCH_PICTURES = 256
BUFFER_BYTES = 1 << 14
"""For each column of a streamed file; with it, and without reading ahead, a row group is not loaded whole."""
_INDEX = re.compile(r"__index_level_\d+__")  # a column in which pandas saves a frame's index


def import_pyarrow(path: Path) -> Any:
    """Import the package with the modules in use. Raise InputError naming the extra if it is missing."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InputError(f"{path}: Parquet needs the package pyarrow: pip install 'hitofude[parquet]'") from None
    return pyarrow


def read_parquet(path: Path, options: ReadOptions) -> RawImages:
    """Read images, with the labels and ids that there are.

    Pixels are integers, one column each; or one column holds lists as deep as the images have axes, or the bytes of
    picture files; then other columns than label and id are ignored. Raise InputError with row, from 1, and column for
    missing values and wrong pixels.
    """
    with _opened(path, options) as table:
        return join(list(table.pieces()))


def stream_parquet(path: Path, options: ReadOptions, rows: int) -> Iterator[RawImages]:
    """Read the same in pieces of at most `rows` rows, counted from the file's beginning."""
    with _opened(path, options, buffer_size=BUFFER_BYTES, pre_buffer=False) as table:
        yield from table.pieces(rows)


@contextmanager
def _opened(path: Path, options: ReadOptions, **settings: Any) -> Iterator["_Table"]:
    """Raise InputError for a file that is missing, damaged or empty, and for one that would grow like a zip bomb."""
    pyarrow = import_pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(path, **settings) as file:
            data = file.metadata
            if data.num_rows == 0:
                raise InputError(f"{path}: there are no rows in it. Is the file complete?")
            unpacked = sum(data.row_group(group).total_byte_size for group in range(data.num_row_groups))
            if max(unpacked, data.num_rows * data.num_columns) > allowed_growth(path.stat().st_size):
                raise InputError(
                    f"{path}: it would grow to {unpacked:,} bytes, as a zip bomb does. Do not trust this file."
                )
            yield _Table(path, file, pyarrow, options)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Is the path right?") from None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: this is not a Parquet file, or it is damaged ({first_line(error)}). Fetch it again."
        ) from None


class _Table:
    """The columns of a Parquet file. Raise InputError for columns of other names or types than expected."""

    def __init__(self, path: Path, file: Any, pyarrow: Any, options: ReadOptions) -> None:
        self._path, self._file, self._options = path, file, options
        self._types, self._compute, self._text = pyarrow.types, pyarrow.compute, pyarrow.string()
        fields = [field for field in file.schema_arrow if not _INDEX.fullmatch(field.name)]
        self._type_of = {field.name: field.type for field in fields}
        if len(self._type_of) < len(fields):
            raise InputError(f"{path}: two columns have the same name. Rename or remove one.")
        image_columns = [column for column in self._type_of if self._holds_images(column)]
        if len(image_columns) > 1:
            first, second = image_columns[:2]
            raise InputError(f"{path}: the columns '{first}' and '{second}' both hold images. Remove one.")
        self._image_column = image_columns[0] if image_columns else None
        self._holds_pictures = bool(image_columns) and not self._is_list(self._type_of[image_columns[0]])
        names = list(self._type_of)
        pixels = () if image_columns else find_columns(names, str(path), options).pixels
        self._pixel_columns = [names[position] for position in pixels]
        texts = find_texts(names, options, str(path))
        self._text_columns = [None if position is None else names[position] for position in texts]
        self._pictures_read: tuple[str, ...] = ()
        self._check_types()

    def pieces(self, rows: int | None = None) -> Iterator[RawImages]:
        """Read the file, at most `rows` rows at a time."""
        most = BATCH_PICTURES if self._holds_pictures else BATCH_ROWS
        columns = [self._image_column, *self._pixel_columns, *self._text_columns]
        names = [column for column in columns if column is not None]
        start, missing = 0, self._options.missing_labels
        for batch in self._file.iter_batches(batch_size=min(rows or most, most), columns=names):
            images = self._images(batch, start)
            labels, ids, groups, folds = (self._texts(batch, column, start) for column in self._text_columns)
            yield RawImages(
                str(self._path), images, labels, ids, "row", start + 1, missing, groups, folds, self._pictures_read,
                behind=self._options.behind, nominal=nominal_scale(images.dtype) if self._holds_pictures else None,
            )  # fmt: skip
            start += len(batch)

    def _check_types(self) -> None:
        for column in filter(None, (*self._pixel_columns, *self._text_columns)):
            type, is_pixel = self._type_of[column], column not in self._text_columns
            plain = type.value_type if self._types.is_dictionary(type) and not is_pixel else type
            is_text = self._types.is_string(plain) or self._types.is_large_string(plain)
            is_number = self._types.is_integer(plain) or (is_pixel and self._is_real(plain))
            if not is_number and (is_pixel or not is_text):
                expected = "numbers" if is_pixel else "integers or text"
                raise InputError(f"{self._path}, column '{column}': found the type {type}; expected {expected}.")

    def _is_real(self, type: Any) -> bool:
        return bool(self._types.is_floating(type) or self._types.is_boolean(type))

    def _holds_images(self, column: str) -> bool:
        type = self._type_of[column]
        is_bytes = self._types.is_binary(type) or self._types.is_large_binary(type)
        return self._is_list(type) or is_bytes or self._is_struct_of_bytes(type)

    def _is_list(self, type: Any) -> bool:
        types = self._types
        return bool(types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type))

    def _is_struct_of_bytes(self, type: Any) -> bool:
        """Whether it is the image type of Hugging Face's datasets: bytes, and a path."""
        return bool(self._types.is_struct(type) and type.get_field_index("bytes") >= 0)

    def _images(self, batch: Any, start: int) -> NDArray[Any]:
        """(rows, C, H, W)"""
        column, options = self._image_column, self._options
        if column is None:
            return images_of_rows(self._pixels(batch, start), str(self._path), options)
        values = self._present(batch.column(column), column, start)
        if not self._holds_pictures:
            return images_of_array(self._lists(values, column, start), f"{self._path}, column '{column}'", options)
        if self._is_struct_of_bytes(values.type):
            values = self._present(values.field("bytes"), column, start)
        names = [f"{self._path}, row {row}" for row in range(start + 1, start + len(batch) + 1)]
        pictures = read_pictures(values.to_pylist(), names, options)
        if options.behind is None and pictures.behind is not None:  # the first batch decides for all
            self._options = replace(options, behind=pictures.behind)
        self._pictures_read = tuple(dict.fromkeys((*self._pictures_read, *pictures.reading)))
        return pictures.images

    def _pixels(self, batch: Any, start: int) -> NDArray[Any]:
        """(rows, P) of columns of numbers."""
        pixels = []
        for column in self._pixel_columns:
            values = self._present(batch.column(column), column, start).to_numpy(zero_copy_only=False)
            pixels.append(real_numbers(values, str(self._path), [column], first_row=start + 1))
        return np.column_stack(pixels)

    def _lists(self, values: Any, column: str, start: int) -> NDArray[Any]:
        """(rows, …) of lists, or of lists of lists."""
        name, shape = f"{self._path}, column '{column}'", [len(values)]
        while self._is_list(values.type):
            lengths = set(self._compute.list_value_length(values).to_pylist())
            if len(lengths) != 1:
                raise InputError(
                    f"{name}: the lists have from {min(lengths)} to {max(lengths)} values. All images must have the "
                    "same size."
                )
            shape.append(lengths.pop())
            values = self._present(values.flatten(), column, start, math.prod(shape[1:]))
        return real_numbers(values.to_numpy(zero_copy_only=False).reshape(shape), name, first_row=start + 1)

    def _texts(self, batch: Any, column: str | None, start: int) -> NDArray[np.str_] | None:
        """(rows,) labels or ids."""
        if column is None:
            return None
        texts = self._present(batch.column(column), column, start).cast(self._text)
        return label_texts(texts.to_numpy(zero_copy_only=False), str(self._path), column)

    def _present(self, values: Any, column: str, start: int, values_per_row: int = 1) -> Any:
        """Return the values. Raise InputError at the first that is missing."""
        if values.null_count:
            missing = int(values.is_null().to_numpy(zero_copy_only=False).argmax())
            row = start + missing // values_per_row + 1
            raise InputError(f"{self._path}, row {row}, column '{column}': there is no value. Fill it in.")
        return values
