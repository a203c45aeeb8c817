import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.formats import archive
from hitofude.inputs.formats.idx import read_idx


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_images_are_read_gzipped_or_not(pack: type[bytes], tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(pack(idx_bytes(IMAGES)))
    found = read_idx(path, (3,))
    assert np.array_equal(found, IMAGES)
    assert found.flags.writeable, "PyTorch warns of arrays that are not"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04", "not an IDX file"),
        (b"", "not an IDX file"),
        (idx_bytes(IMAGES)[:-1], "23 bytes of values, expected 24"),
        (idx_bytes(IMAGES)[:9], "header is cut short"),
        (idx_bytes(IMAGES[0, 0]), "expected 3 dimensions of numbers, found 1"),
        (b"\0\0\x0a\x03" + bytes(12), "type 0x0a"),
        (gzip.compress(idx_bytes(IMAGES), mtime=0)[:-9], "damaged or cut short"),
    ],
)
def test_a_wrong_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_idx(path, (3,))


def test_a_bomb_is_stopped_by_the_bytes_that_come_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000)
    (tmp_path / "images").write_bytes(gzip.compress(idx_bytes(np.zeros((1000, 100, 100), np.uint8))))
    with pytest.raises(InputError, match="as a zip bomb does"):
        read_idx(tmp_path / "images", (3,))
