"""Parquet files: columns as in a CSV file, a column of lists of pixels, or of pictures as Hugging Face has them.

Read in batches, so that no more than the images and a batch are in memory; of a file that is streamed, a batch alone.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError
from hitofude.inputs.dataset import RawImages
from hitofude.inputs.formats.archive import allowed_growth
from hitofude.inputs.formats.arrays import label_texts, to_bytes
from hitofude.inputs.formats.csv_table import ID_NAMES, find_columns, find_label
from hitofude.inputs.formats.picture import read_picture, stack_pictures
from hitofude.inputs.layout import ReadOptions, channels_first, images_of_array, images_of_rows

BATCH_ROWS = 4096
BATCH_PICTURES = 256
BUFFER_BYTES = 1 << 14
"""Of a column of a file that is streamed; with it, and without reading ahead, a row group is not read at once."""
_INDEX = re.compile(r"__index_level_\d+__")  # pandas keeps a frame's index so


def import_pyarrow(path: Path) -> Any:
    """The package, with the parts of it that are used. Raises InputError naming the extra where it is missing."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InputError(f"{path}: Parquet needs the package pyarrow: pip install 'hitofude[parquet]'") from None
    return pyarrow


def read_parquet(path: Path, expected: ReadOptions) -> RawImages:
    """Images, with labels and ids where there are such columns.

    Pixels are integers, a column each; or one column holds lists as deep as the images have axes, or the bytes of
    picture files; then columns of other names are left aside. Raises InputError with row, from 1, and column for
    missing values and those that are no pixels.
    """
    pyarrow = import_pyarrow(path)
    with _reading(path, pyarrow), pyarrow.parquet.ParquetFile(path) as file:
        _check_size(file.metadata, path)
        return _Table(path, file.schema_arrow, pyarrow).read(_WholeFile(file), expected)


def stream_parquet(path: Path, expected: ReadOptions, rows: int) -> Iterator[RawImages]:
    """The same in pieces of so many rows or fewer, which are counted from the file's beginning."""
    pyarrow = import_pyarrow(path)
    with _reading(path, pyarrow), pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        _check_size(file.metadata, path)
        table = _Table(path, file.schema_arrow, pyarrow)
        for start, batch in _WholeFile(file).batches(table.columns(expected), min(rows, table.batch_rows())):
            yield table.read(_OneBatch(start, batch), expected)


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


class _Rows(Protocol):
    """What a table is read from."""

    @property
    def start(self) -> int:
        """How many rows of the file stand before these."""
        ...

    @property
    def count(self) -> int: ...

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, Any]]:
        """At most so many rows each, with the number of rows of the file before it."""
        ...


class _WholeFile:
    start = 0

    def __init__(self, file: Any) -> None:
        self._file = file
        self.count: int = file.metadata.num_rows

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, Any]]:
        start = 0
        for batch in self._file.iter_batches(batch_size=rows, columns=list(columns)):
            yield start, batch
            start += len(batch)


@dataclass(frozen=True)
class _OneBatch:
    """A batch that is in memory already."""

    start: int
    batch: Any

    @property
    def count(self) -> int:
        return len(self.batch)

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[tuple[int, Any]]:  # noqa: ARG002
        yield self.start, self.batch


class _Table:
    """The columns of a Parquet file, and how they are read."""

    def __init__(self, path: Path, schema: Any, pyarrow: Any) -> None:
        self._path = path
        self._types, self._compute, self._text = pyarrow.types, pyarrow.compute, pyarrow.string()
        fields = [field for field in schema if not _INDEX.fullmatch(field.name)]
        self._type_of = {field.name: field.type for field in fields}
        if len(self._type_of) < len(fields):
            raise InputError(f"{path}: two columns have the same name. Rename or remove one.")
        whole = [column for column, type in self._type_of.items() if self._holds_images(type)]
        if len(whole) > 1:
            raise InputError(f"{path}: the columns '{whole[0]}' and '{whole[1]}' both hold images. Remove one.")
        self._whole = whole[0] if whole else None

    def columns(self, expected: ReadOptions) -> list[str]:
        """The names of those that are read."""
        label, id = self._texts_of(expected)
        pixels = self._pixel_columns(expected) if self._whole is None else [self._whole]
        return [*pixels, *(name for name in (label, id) if name is not None)]

    def batch_rows(self) -> int:
        """How many rows are read at once."""
        holds_pictures = self._whole is not None and not self._is_list(self._type_of[self._whole])
        return BATCH_PICTURES if holds_pictures else BATCH_ROWS

    def read(self, rows: _Rows, expected: ReadOptions) -> RawImages:
        name = str(self._path)
        if self._whole is not None:
            images = self._images(rows, self._whole, expected)
        else:
            images = images_of_rows(self._pixels(rows, self._pixel_columns(expected)), name, expected)
        labels, ids = (None if column is None else self._texts(rows, column) for column in self._texts_of(expected))
        unlabelled = f"there is no column '{expected.label or 'label'}', and training needs one. Name it with --label."
        return RawImages(name, images, labels, ids, first_row=rows.start + 1, unlabelled=unlabelled)

    def _texts_of(self, expected: ReadOptions) -> tuple[str | None, str | None]:
        """The columns of labels and of ids."""
        names = list(self._type_of)
        label = find_label(names, expected.label or "label")
        return None if label is None else names[label], next((it for it in names if it.lower() in ID_NAMES), None)

    def _pixel_columns(self, expected: ReadOptions) -> list[str]:
        names = list(self._type_of)
        return [names[place] for place in find_columns(names, str(self._path), label=expected.label).pixels]

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

    def _pixels(self, rows: _Rows, columns: Sequence[str]) -> NDArray[np.uint8]:
        """(N, P) of integer columns."""
        for column in columns:
            if not self._types.is_integer(self._type_of[column]):
                raise InputError(
                    f"{self._path}, row 1, column '{column}': found the type {self._type_of[column]}; expected "
                    "integers from 0 to 255."
                )
        pixels = np.empty((rows.count, len(columns)), dtype=np.uint8)
        for start, batch in rows.batches(columns, BATCH_ROWS):
            place_of_batch = slice(start - rows.start, start - rows.start + len(batch))
            for place, column in enumerate(columns):
                values = batch.column(column)
                self._check_present(values, column, start)
                found = to_bytes(values.to_numpy(zero_copy_only=False), str(self._path), [column], first_row=start + 1)
                pixels[place_of_batch, place] = found
        return pixels

    def _images(self, rows: _Rows, column: str, expected: ReadOptions) -> NDArray[np.uint8]:
        """(N, C, H, W) of a column of whole images."""
        name = f"{self._path}, column '{column}'"
        if self._is_list(self._type_of[column]):
            batches = rows.batches([column], BATCH_ROWS)
            arrays = [self._lists(batch.column(column), column, start) for start, batch in batches]
            if len({array.shape[1:] for array in arrays}) > 1:
                raise InputError(f"{name}: the lists are of different lengths. Images of one size are learned from.")
            return images_of_array(np.concatenate(arrays), name, expected)
        pictures: list[NDArray[np.uint8]] = []
        for start, batch in rows.batches([column], BATCH_PICTURES):
            for row, content in enumerate(self._bytes(batch.column(column), column, start), start + 1):
                pictures.append(read_picture(content, f"{self._path}, row {row}", expected))
        names = [f"{self._path}, row {row}" for row in range(rows.start + 1, rows.start + len(pictures) + 1)]
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

    def _texts(self, rows: _Rows, column: str) -> NDArray[np.str_]:
        """(N,) of labels or ids."""
        types, type = self._types, self._type_of[column]
        plain = type.value_type if types.is_dictionary(type) else type
        if not (types.is_integer(plain) or types.is_string(plain) or types.is_large_string(plain)):
            raise InputError(f"{self._path}, column '{column}': found the type {type}; expected integers or text.")
        texts: list[NDArray[Any]] = []
        for start, batch in rows.batches([column], BATCH_ROWS):
            values = batch.column(column)
            self._check_present(values, column, start)
            texts.append(values.cast(self._text).to_numpy(zero_copy_only=False))
        return label_texts(np.concatenate(texts), str(self._path), column)

    def _check_present(self, values: Any, column: str, start: int) -> None:
        """Raises InputError at the first value that is missing."""
        if values.null_count:
            row = start + int(values.is_null().to_numpy(zero_copy_only=False).argmax()) + 1
            raise InputError(f"{self._path}, row {row}, column '{column}': there is no value. Fill it in.")
