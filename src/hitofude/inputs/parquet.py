"""Parquet files: columns as in a CSV file, a column of lists of pixels, or of pictures as Hugging Face has them.

Read in batches, so that no more than the images and a batch are in memory.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.archive import allowed_growth
from hitofude.inputs.arrays import label_texts, to_bytes
from hitofude.inputs.csv_table import ID_NAMES, find_columns, find_label
from hitofude.inputs.dataset import Part
from hitofude.inputs.layout import Expected, channels_first, images_of_array, images_of_rows
from hitofude.inputs.picture import read_picture, stack_pictures

BATCH_ROWS = 4096
BATCH_PICTURES = 256
_INDEX = re.compile(r"__index_level_\d+__")  # pandas keeps a frame's index so


def import_pyarrow(path: Path) -> Any:
    """The package, with the parts of it that are used. Raises InputError naming the extra where it is missing."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InputError(f"{path}: Parquet needs the package pyarrow: pip install 'hitofude[parquet]'") from None
    return pyarrow


def read_parquet(path: Path, expected: Expected) -> Part:
    """Images, with labels and ids where there are such columns.

    Pixels are integers, a column each; or one column holds lists as deep as the images have axes, or the bytes of
    picture files; then columns of other names are left aside. Raises InputError with row, from 1, and column for
    missing values and those that are no pixels.
    """
    pyarrow = import_pyarrow(path)
    with _reading(path, pyarrow), pyarrow.parquet.ParquetFile(path) as file:
        _check_size(file.metadata, path)
        return _Table(path, file, pyarrow).read(expected)


@contextmanager
def _reading(path: Path, pyarrow: Any) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Is the path right?") from None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: this is no Parquet file, or it is damaged ({reason}). Fetch it again.") from None


def _check_size(metadata: Any, path: Path) -> None:
    """Raises InputError for a file without rows, and for one that would grow without measure."""
    if metadata.num_rows == 0:
        raise InputError(f"{path}: there are no rows in it. Is the file complete?")
    unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if max(unpacked, metadata.num_rows * metadata.num_columns) > allowed_growth(path.stat().st_size):
        raise InputError(f"{path}: it would grow to {unpacked:,} bytes, as a zip bomb does. Do not trust this file.")


class _Table:
    """A Parquet file that is being read."""

    def __init__(self, path: Path, file: Any, pyarrow: Any) -> None:
        self._path, self._file = path, file
        self._types, self._compute, self._text = pyarrow.types, pyarrow.compute, pyarrow.string()
        self._rows = file.metadata.num_rows
        fields = [field for field in file.schema_arrow if not _INDEX.fullmatch(field.name)]
        self._type_of = {field.name: field.type for field in fields}
        if len(self._type_of) < len(fields):
            raise InputError(f"{path}: two columns have the same name. Rename or remove one.")

    def read(self, expected: Expected) -> Part:
        name, names = str(self._path), list(self._type_of)
        whole = [column for column, type in self._type_of.items() if self._holds_images(type)]
        if len(whole) > 1:
            raise InputError(f"{name}: the columns '{whole[0]}' and '{whole[1]}' both hold images. Remove one.")
        label = find_label(names, expected.label or "label")
        id = next((place for place, column in enumerate(names) if column.lower() in ID_NAMES), None)
        if whole:
            images = self._images(whole[0], expected)
        else:
            columns = find_columns(names, name, label=expected.label)
            images = images_of_rows(self._pixels([names[place] for place in columns.pixels]), name, expected)
        labels, ids = (None if place is None else self._texts(names[place]) for place in (label, id))
        unlabelled = f"there is no column '{expected.label or 'label'}', and training needs one. Name it with --label."
        return Part(name, images, labels, ids, unlabelled=unlabelled)

    def _holds_images(self, type: Any) -> bool:
        return self._is_list(type) or self._is_bytes(type) or self._is_picture(type)

    def _is_list(self, type: Any) -> bool:
        types = self._types
        return bool(types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type))

    def _is_bytes(self, type: Any) -> bool:
        return bool(self._types.is_binary(type) or self._types.is_large_binary(type))

    def _is_picture(self, type: Any) -> bool:
        """As Hugging Face's datasets have it: bytes, and a path."""
        return bool(self._types.is_struct(type) and type.get_field_index("bytes") >= 0)

    def _pixels(self, columns: Sequence[str]) -> NDArray[np.uint8]:
        """(N, P) of integer columns."""
        for column in columns:
            if not self._types.is_integer(self._type_of[column]):
                raise InputError(
                    f"{self._path}, row 1, column '{column}': found the type {self._type_of[column]}; expected "
                    "integers from 0 to 255."
                )
        pixels = np.empty((self._rows, len(columns)), dtype=np.uint8)
        for start, batch in self._batches(columns, BATCH_ROWS):
            for place, column in enumerate(columns):
                values = batch.column(column)
                self._check_present(values, column, start)
                found = to_bytes(values.to_numpy(zero_copy_only=False), str(self._path), [column], first_row=start + 1)
                pixels[start : start + len(batch), place] = found
        return pixels

    def _images(self, column: str, expected: Expected) -> NDArray[np.uint8]:
        """(N, C, H, W) of a column of whole images."""
        name = f"{self._path}, column '{column}'"
        if self._is_list(self._type_of[column]):
            arrays = [self._lists(batch.column(column), column, start) for start, batch in self._batches([column])]
            if len({array.shape[1:] for array in arrays}) > 1:
                raise InputError(f"{name}: the lists are of different lengths. Images of one size are learned from.")
            return images_of_array(np.concatenate(arrays), name, expected)
        pictures: list[NDArray[np.uint8]] = []
        for start, batch in self._batches([column], BATCH_PICTURES):
            for row, content in enumerate(self._bytes(batch.column(column), column, start), start + 1):
                pictures.append(read_picture(content, f"{self._path}, row {row}", expected))
        names = [f"{self._path}, row {row}" for row in range(1, len(pictures) + 1)]
        return channels_first(stack_pictures(pictures, names, expected))

    def _lists(self, values: Any, column: str, start: int) -> NDArray[np.uint8]:
        """(rows, …) of lists, or of lists of lists."""
        shape = [len(values)]
        while self._is_list(values.type):
            self._check_present(values, column, start)
            lengths = set(self._compute.list_value_length(values).to_pylist())
            if len(lengths) != 1:
                raise InputError(
                    f"{self._path}, column '{column}': the lists have from {min(lengths)} to {max(lengths)} values. "
                    "Images of one size are learned from."
                )
            shape.append(lengths.pop())
            values = values.flatten()
        self._check_present(values, column, start)
        array = values.to_numpy(zero_copy_only=False).reshape(shape)
        return to_bytes(array, f"{self._path}, column '{column}'", first_row=start + 1)

    def _bytes(self, values: Any, column: str, start: int) -> list[bytes]:
        """The picture files of a column."""
        content = values.field("bytes") if self._is_picture(values.type) else values
        self._check_present(values, column, start)
        self._check_present(content, column, start)
        found: list[bytes] = content.to_pylist()
        return found

    def _texts(self, column: str) -> NDArray[np.str_]:
        """(N,) of labels or ids."""
        types, type = self._types, self._type_of[column]
        plain = type.value_type if types.is_dictionary(type) else type
        if not (types.is_integer(plain) or types.is_string(plain) or types.is_large_string(plain)):
            raise InputError(f"{self._path}, column '{column}': found the type {type}; expected integers or text.")
        values = self._file.read(columns=[column]).column(0).combine_chunks()
        self._check_present(values, column, 0)
        texts = values.cast(self._text).to_numpy(zero_copy_only=False)
        return label_texts(texts, str(self._path), column)

    def _batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[tuple[int, Any]]:
        """Batches, each with the number of rows before it."""
        start = 0
        for batch in self._file.iter_batches(batch_size=rows, columns=list(columns)):
            yield start, batch
            start += len(batch)

    def _check_present(self, values: Any, column: str, start: int) -> None:
        """Raises InputError at the first value that is missing."""
        if values.null_count:
            row = start + int(values.is_null().to_numpy(zero_copy_only=False).argmax()) + 1
            raise InputError(f"{self._path}, row {row}, column '{column}': there is no value. Fill it in.")
