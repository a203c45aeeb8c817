"""Files read in blocks: the same images, ids and errors as for files that are read whole."""

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from hitofude.errors import InputError
from hitofude.inputs.blocks import check_streams, open_blocks
from hitofude.inputs.formats import csv_lines, parquet
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.layout import ReadOptions
from hitofude.inputs.sources import read_images

DIGITS = ReadOptions(like=(1, 28, 28))
KINDS = ("csv", "csv.gz", "parquet", "lists.parquet", "pictures.parquet", "npz")
each_kind = pytest.mark.parametrize("kind", KINDS)


def png(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "png")
    return stream.getvalue()


def frame_of(images: ImageSet, ids: NDArray[np.str_] | None = None) -> pd.DataFrame:
    pixels = images.images.reshape(len(images), 784)
    frame = pd.DataFrame(pixels, columns=[f"pixel{i}" for i in range(pixels.shape[1])])
    return frame if ids is None else frame.assign(id=ids)


def written(folder: Path, kind: str, images: ImageSet, ids: NDArray[np.str_] | None = None) -> Path:
    path = folder / f"images.{kind}"
    others = {} if ids is None else {"id": ids.tolist()}
    if kind == "npz":
        np.savez(path, images=images.images[:, 0], **({} if ids is None else {"ids": ids}))
    elif kind.startswith("csv"):
        frame_of(images, ids).to_csv(path, index=False)
    elif kind == "parquet":
        frame_of(images, ids).to_parquet(path, row_group_size=max(90, len(images) // 3))
    elif kind == "lists.parquet":
        pd.DataFrame({"image": images.images.reshape(len(images), -1).tolist(), **others}).to_parquet(path)
    else:
        pictures = [png(image) for image in images.images[:, 0]]
        pd.DataFrame({"image": pictures, **others}).to_parquet(path)
    return path


def blocks(path: Path, images: int = 64) -> list[ImageSet]:
    return list(open_blocks(path, DIGITS, images))


@each_kind
@pytest.mark.parametrize("has_ids", [True, False])
def test_blocks_of_one_size_hold_what_the_file_holds(
    kind: str, has_ids: bool, tmp_path: Path, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "BATCH_PICTURES", 50)
    path = written(tmp_path, kind, digits, np.char.add("x", digits.ids) if has_ids else None)
    found, whole = blocks(path), read_images(path, image_shape=(1, 28, 28))
    assert [len(block.images) for block in found] == [64, 64, 64, 64, 44]
    assert np.array_equal(np.concatenate([block.images for block in found]), whole.images)
    assert np.concatenate([block.ids for block in found]).tolist() == whole.ids.tolist()


@pytest.mark.parametrize("images", [1, 299, 300, 301])
def test_the_last_block_is_as_long_as_it_is(images: int, tmp_path: Path, digits: ImageSet) -> None:
    found = blocks(written(tmp_path, "csv", digits), images)
    assert {len(block.images) for block in found[:-1]} <= {images}
    assert sum(len(block.images) for block in found) == 300


@pytest.mark.parametrize(
    ("kind", "row", "column", "value"),
    [
        ("csv", 0, "pixel9", "x"),
        ("csv", 290, "pixel9", 256),
        ("csv", 290, "id", ""),
        ("parquet", 290, "pixel9", -1),
        ("parquet", 290, "pixel9", None),
        ("parquet", 0, "pixel9", 0.5),
        ("parquet", 290, "id", None),
        ("csv", slice(None), "colour", 1),
        ("parquet", slice(None), "colour", 1),
        ("csv", slice(None), "pixel784", 1),
        ("parquet", slice(None), "pixel784", 1),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_reading_it_whole(
    kind: str, row: Any, column: str, value: Any, tmp_path: Path, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_lines, "BLOCK_BYTES", 10_000)
    frame = frame_of(digits, digits.ids)
    frame[column] = frame[column].astype(object) if column in frame else None
    frame.loc[row, column] = value
    path = tmp_path / f"images.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.convert_dtypes().to_parquet(path)
    with pytest.raises(InputError) as whole:
        read_images(path, image_shape=(1, 28, 28))
    with pytest.raises(InputError) as streamed:
        blocks(path)
    assert str(streamed.value) == str(whole.value)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_without_rows_is_refused(kind: str, tmp_path: Path, digits: ImageSet) -> None:
    with pytest.raises(InputError, match="there are no rows"):
        blocks(written(tmp_path, kind, digits.take(np.arange(0))))


@each_kind
def test_a_file_that_is_cut_short_is_refused(kind: str, tmp_path: Path, digits: ImageSet) -> None:
    path = written(tmp_path, kind, digits)
    content = path.read_bytes()
    for share in (0.0, 0.3, 0.999):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError, match=path.name):
            blocks(path)


def test_rows_before_a_fault_are_given(tmp_path: Path, digits: ImageSet) -> None:
    path = written(tmp_path, "csv", digits)
    path.write_text(path.read_text() + "1,2\n")
    found = open_blocks(path, DIGITS, 64)
    assert sum(len(next(found).images) for _ in range(4)) == 256
    with pytest.raises(InputError, match=r"line 302: 2 fields, expected 784"):
        next(found)


def test_an_array_whose_first_index_changes_fastest_is_refused(tmp_path: Path, digits: ImageSet) -> None:
    np.savez(tmp_path / "images.npz", images=np.asfortranarray(digits.images[:, 0]))
    with pytest.raises(InputError, match="ascontiguousarray"):
        blocks(tmp_path / "images.npz")


def test_arrays_of_another_length_are_refused(tmp_path: Path, digits: ImageSet) -> None:
    np.savez(tmp_path / "images.npz", images=digits.images[:9, 0], ids=np.arange(10))
    with pytest.raises(InputError, match=r"the lengths differ: 'images' \(9, 28, 28\), 'ids' \(10,\)"):
        blocks(tmp_path / "images.npz")


@pytest.mark.parametrize("name", ["test.zip", "photo.png", "t10k-images-idx3-ubyte"])
def test_a_file_of_a_kind_that_is_read_whole_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"any")
    with pytest.raises(InputError, match="Predict it with a file for --out"):
        check_streams(tmp_path / name)


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path, digits: ImageSet) -> None:
    def peak(repeats: int) -> int:
        many = digits.take(np.arange(repeats * len(digits)) % len(digits))
        path = written(tmp_path, kind, many)
        tracemalloc.start()
        for _ in open_blocks(path, DIGITS, 128):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(10) < peak(2) + 1_000_000, "eight times 235,200 bytes of pixels more"


def test_a_kind_that_cannot_be_streamed_is_named_and_parquet_is_known_under_any_name(tmp_path: Path) -> None:
    rows = np.arange(32, dtype=np.uint8).reshape(2, 16) * 8
    pd.DataFrame(rows, columns=[f"pixel{i}" for i in range(16)]).to_parquet(tmp_path / "shard.pq")
    np.save(tmp_path / "shard.npy", rows)
    options = ReadOptions(like=(1, 4, 4))
    assert np.array_equal(next(open_blocks(tmp_path / "shard.pq", options, 9)).images.reshape(2, 16), rows)
    with pytest.raises(InputError, match=r"shard\.npy: only \.parquet, .* can be read in blocks\. Predict it with"):
        next(open_blocks(tmp_path / "shard.npy", options, 9))
