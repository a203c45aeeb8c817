"""Parquet files: columns as in a CSV file, a column of lists of pixels, or of pictures as Hugging Face stores them.

Read in batches of rows; if the file is streamed, one batch is in memory.
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hitofude.errors import InputError, first_line, install_command
from hitofude.inputs.dataset import RawImages, join
from hitofude.inputs.formats.archive import Member, Place, check_growth, open_seekable
from hitofude.inputs.formats.arrays import real_numbers
from hitofude.inputs.formats.columns import find_columns, find_texts
from hitofude.inputs.formats.labels import label_texts
from hitofude.inputs.formats.pictures import ENDINGS, read_pictures
from hitofude.inputs.layout import ReadOptions, lay_out
from hitofude.inputs.scale import nominal_scale
from hitofude.language.translation import note

BATCH_ROWS = 4096
BATCH_PICTURES = 256
BUFFER_BYTES = 1 << 14
"""For each column of a streamed file; with it, and without reading ahead, a row group is not loaded whole."""
_INDEX = re.compile(r"__index_level_\d+__")  # a column in which pandas saves a frame's index


def import_pyarrow(path: Place) -> Any:
    """Import the package with the modules in use. Raise InputError naming the extra if it is missing."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise InputError(f"{path}: Parquet needs the package pyarrow: {install_command('parquet')}") from None
    return pyarrow


def read_parquet(path: Place, options: ReadOptions) -> RawImages:
    """Read images, with the labels and ids that there are.

    Pixels are integers, one column each; or one column holds lists as deep as the images have axes, or the bytes of
    picture files; then other columns than label and id are ignored. Raise InputError with row, from 1, and column for
    missing values and wrong pixels.
    """
    with _opened(path, options) as table:
        return join(list(table.pieces()))


def stream_parquet(path: Place, options: ReadOptions, rows: int) -> Iterator[RawImages]:
    """Read the same in pieces of at most `rows` rows, counted from the file's beginning."""
    with _opened(path, options, buffer_size=BUFFER_BYTES, pre_buffer=False) as table:
        yield from table.pieces(rows)


@contextmanager
def _opened(path: Place, options: ReadOptions, **settings: Any) -> Iterator["_Table"]:
    """Raise InputError for a file that is missing, damaged or empty, and for one that would grow like a zip bomb."""
    pyarrow = import_pyarrow(path)
    try:
        with pyarrow.parquet.ParquetFile(open_seekable(path) if isinstance(path, Member) else path, **settings) as file:
            data = file.metadata
            if data.num_rows == 0:
                raise InputError(f"{path}: there are no rows in it. Is the file complete?")
            unpacked = sum(data.row_group(group).total_byte_size for group in range(data.num_row_groups))
            check_growth(str(path), max(unpacked, data.num_rows * data.num_columns), path)
            yield _Table(path, file, pyarrow, options)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Is the path right?") from None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: this is not a Parquet file, or it is damaged ({first_line(error)}). Fetch it again."
        ) from None


def _class_names(schema: Any) -> dict[str, list[str]]:
    """The names of the classes of each column, as Hugging Face's datasets keep them in a file's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    plain = [str(i) for i in range(1000)]
    return {name: list(map(str, names)) for name, names in found.items() if list(names) != plain[: len(names)]}


class _Table:
    """The columns of a Parquet file. Raise InputError for columns of other names or types than expected."""

    def __init__(self, path: Place, file: Any, pyarrow: Any, options: ReadOptions) -> None:
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
        columns = None if image_columns else find_columns(names, str(path), options)
        self._pixel_columns = [] if columns is None else [names[position] for position in columns.pixels]
        texts = find_texts(names, options, str(path)) if columns is None else (*columns.texts[:4], columns.weights)
        self._text_columns = [None if position is None else names[position] for position in texts]
        self._reading: tuple[str, ...] = () if columns is None else columns.reading
        self._left_aside = () if columns is None else columns.left_aside(path.name)
        others = [name for name in names if name not in (*image_columns, *self._text_columns)]
        if columns is None and others:
            shown = ", ".join(f"'{name}'" for name in others[:5])
            if len(others) > 1:
                self._left_aside = (note("{file}: columns {columns}", file=path.name, columns=shown),)
            else:
                self._left_aside = (note("{file}: column {column}", file=path.name, column=shown),)
        self._planes: bool | None = None
        self._class_names = _class_names(file.schema_arrow)
        if self._text_columns[0] in self._class_names:
            shown = ", ".join(self._class_names[str(self._text_columns[0])][:5])
            line = note(
                "{file}: the labels have names, kept by Hugging Face's datasets: {names}…", file=path.name, names=shown
            )
            self._reading = (line,)
        self._check_types()

    def pieces(self, rows: int | None = None) -> Iterator[RawImages]:
        """Read the file, at most `rows` rows at a time."""
        most = BATCH_PICTURES if self._holds_pictures else BATCH_ROWS
        columns = [self._image_column, *self._pixel_columns, *self._text_columns]
        names = [column for column in columns if column is not None]
        start, missing = 0, self._options.missing_labels
        for batch in self._file.iter_batches(batch_size=min(rows or most, most), columns=names):
            images = self._images(batch, start)
            labels, ids, groups, folds, weights = (self._texts(batch, column, start) for column in self._text_columns)
            yield RawImages(
                str(self._path), images, labels, ids, "row", start + 1, missing, groups, folds,
                self._reading, planes=self._planes,
                behind=self._options.behind, left_aside=self._left_aside, label_column=self._text_columns[0],
                id_column=self._text_columns[1], nominal=nominal_scale(images.dtype) if self._holds_pictures else None,
                weights=weights,
            )  # fmt: skip
            start += len(batch)

    def _check_types(self) -> None:
        for column in filter(None, (*self._pixel_columns, *self._text_columns)):
            type, is_pixel = self._type_of[column], column not in self._text_columns
            if is_pixel and not self._types.is_integer(type) and not self._is_real(type):
                if self._types.is_string(type) or self._types.is_large_string(type):
                    raise InputError(self._explain_text(column))
                raise InputError(f"{self._path}, column '{column}': found the type {type}; expected numbers.")
            if not is_pixel and self._types.is_nested(type):
                raise InputError(f"{self._path}, column '{column}': found the type {type}; expected integers or text.")

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
            return self._of_numbers(self._pixels(batch, start), str(self._path))
        values = self._present(batch.column(column), column, start)
        if not self._holds_pictures:
            return self._of_numbers(self._lists(values, column, start), f"{self._path}, column '{column}'")
        if self._is_struct_of_bytes(values.type):
            self._check_embedded(values, column)
            values = self._present(values.field("bytes"), column, start)
        names = [f"{self._path}, row {row}" for row in range(start + 1, start + len(batch) + 1)]
        pictures = read_pictures(values.to_pylist(), names, options)
        if options.behind is None and pictures.behind is not None:  # the first batch decides for all
            self._options = replace(options, behind=pictures.behind)
        self._reading = tuple(dict.fromkeys((*self._reading, *pictures.reading)))
        return pictures.images

    def _of_numbers(self, numbers: NDArray[Any], name: str) -> NDArray[Any]:
        """(rows, P) or (rows, …) → (rows, C, H, W)"""
        laid_out = lay_out(numbers, name, self._options)
        self._options = replace(self._options, planes=laid_out.planes)  # the first batch decides for all
        self._reading, self._planes = (*self._reading, *laid_out.reading), laid_out.planes
        return laid_out.images

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
        values = self._present(batch.column(column), column, start)
        if self._types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if self._types.is_string(values.type) or self._types.is_large_string(values.type):
            return label_texts(values.to_numpy(zero_copy_only=False), str(self._path), column)
        names = self._class_names.get(column)
        found = values.to_pylist()
        if self._types.is_floating(values.type) and any(value != value for value in found):
            row = next(row for row, value in enumerate(found, start + 1) if value != value)
            raise InputError(f"{self._path}, row {row}, column '{column}': there is no value (NaN). Fill it in.")
        if names is not None and all(isinstance(value, int) and 0 <= value < len(names) for value in found):
            found = [names[value] for value in found]
        return np.array([str(value) for value in found], dtype=np.str_)

    def _check_embedded(self, values: Any, column: str) -> None:
        """Raise InputError if all pictures of a batch are paths alone, as `imagefolder` of datasets saves them."""
        if values.field("bytes").null_count < len(values) or values.type.get_field_index("path") < 0:
            return
        path = str(values.field("path")[0])
        name, folder = self._path.name, Path(path).parent.parent
        there = f" (hitofude run '{folder}')" if Path(path).is_file() else ""
        raise InputError(
            f"{self._path}, column '{column}': it holds the paths of pictures, such as '{path}', not the pictures. "
            f"Name the folder of the pictures itself{there}, or save the table with them:\n"
            f'  python -c "from datasets import Dataset; from datasets.table import embed_table_storage; '
            f"Dataset.from_parquet('{self._path}').with_format('arrow').map(embed_table_storage, batched=True)"
            f".to_parquet('embedded-{name}')\"\n  hitofude run embedded-{name}"
        )

    def _explain_text(self, column: str) -> str:
        first = str(next(self._file.iter_batches(batch_size=1, columns=[column])).column(0)[0])
        found = f"{self._path}, column '{column}': found the type string, such as '{first[:60]}'"
        if first.lower().endswith(ENDINGS):
            return (
                f"{found}, the path of a picture. Name the folder of the pictures itself, with the table as a CSV file "
                f"of labels:\n  python -c \"import pandas; pandas.read_parquet('{self._path}').to_csv('labels.csv', "
                'index=False)"\n  and hitofude run FOLDER --labels labels.csv'
            )
        return f"{found}; expected numbers."

    def _present(self, values: Any, column: str, start: int, values_per_row: int = 1) -> Any:
        """Return the values. Raise InputError at the first that is missing."""
        if values.null_count:
            missing = int(values.is_null().to_numpy(zero_copy_only=False).argmax())
            row = start + missing // values_per_row + 1
            raise InputError(f"{self._path}, row {row}, column '{column}': there is no value. Fill it in.")
        return values
