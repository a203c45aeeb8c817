"""NumPy's files: arrays are found by name, and objects are never unpickled."""

import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hitofude.errors import InputError
from hitofude.inputs.formats import archive
from hitofude.inputs.sources import Dataset, open_source, read_images

IMAGES = np.arange(4 * 6 * 6, dtype=np.uint8).reshape(4, 6, 6)
LABELS = np.array(["cat", "dog", "cat", "dog"])


def saved(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_images_and_labels(tmp_path: Path) -> None:
    found = open_source(saved(tmp_path / "animals.npz", images=IMAGES, labels=LABELS))
    assert found.name == "animals"
    assert found.test is None
    assert np.array_equal(found.train.images, IMAGES[:, None])
    assert found.train.classes == ("cat", "dog")
    assert found.train.known_labels().tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("train", "train_labels", "test"),
    [
        ("x_train", "y_train", "x_test"),
        ("train_images", "train_labels", "test_images"),
        ("X_train", "y_train", "X_test"),
    ],
)
def test_both_splits_as_keras_and_medmnist_name_them(train: str, train_labels: str, test: str, tmp_path: Path) -> None:
    arrays = {train: IMAGES, train_labels: LABELS[:, None], test: IMAGES[:2], "val_images": IMAGES[:1]}
    found = open_source(saved(tmp_path / "both.npz", **arrays))
    assert found.test is not None
    assert (len(found.train), len(found.test)) == (4, 2)
    assert np.array_equal(found.test.images, IMAGES[:2, None])


def test_a_folder_or_two_named_files_of_arrays(tmp_path: Path, dataset: Dataset) -> None:
    assert dataset.test is not None
    train = saved(tmp_path / "train.npz", images=dataset.train.images, labels=dataset.train.known_labels())
    test = saved(tmp_path / "test.npz", x=dataset.test.images[:, 0], ids=np.arange(50) + 100)
    for found in (open_source(tmp_path), open_source(train=train, test=test)):
        assert found.test is not None
        assert found.train.fingerprint == dataset.train.fingerprint
        assert found.test.ids[0] == "100"
    assert np.array_equal(read_images(test, image_shape=(1, 28, 28)).images, dataset.test.images)


class Payload:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("place", ["images", "labels"])
def test_a_hidden_program_never_runs(place: str, tmp_path: Path) -> None:
    objects = np.array([Payload(tmp_path / "harm")] * 4, dtype=object)
    path = saved(tmp_path / "evil.npz", **{"images": IMAGES, "labels": LABELS, place: objects})
    with pytest.raises(InputError, match=f"evil.npz/{place}: this is an array of Python objects"):
        open_source(path)
    assert not (tmp_path / "harm").exists()
    np.load(path, allow_pickle=True)[place]
    assert (tmp_path / "harm").exists(), "the payload is a real one"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": LABELS}, r"no array 'images'.*It holds: labels \(4,\)"),
        ({"images": IMAGES}, r"no array 'labels'"),
        ({"images": IMAGES, "labels": LABELS[:3]}, r"the lengths differ: 'images' \(4, 6, 6\), 'labels' \(3,\)"),
        ({"images": np.where(IMAGES == 9, np.inf, IMAGES), "labels": LABELS}, r"row 1, pixel \[1, 3\]: found inf"),
        (
            {"images": np.where(IMAGES == 9, "x", IMAGES.astype(str)), "labels": LABELS},
            r"type <U3; expected numbers.*'x'",
        ),
        ({"images": IMAGES[:, 0, 0], "labels": LABELS}, r"found the shape \(4\); expected \(N, pixels\)"),
        (
            {"images": IMAGES[:, :, :, None, None], "labels": LABELS},
            r"found the shape \(4, 6, 6, 1, 1\): these are volumes",
        ),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, r"there are no images in it"),
        ({"images": IMAGES, "labels": np.eye(4) + np.eye(4)[0]}, r"Row 1 has 1 ones|zeros with a one in each row"),
        (
            {"images": IMAGES, "labels": 1 - np.eye(4)},
            r"Row 1 has 3 ones, so an image has several labels.*not supported",
        ),
        ({"images": IMAGES, "labels": np.array([1, 2, 0.5, 1])}, r"row 3: found 0\.5; expected a whole number or text"),
        ({"images": IMAGES, "labels": np.array(["a", "", "b", "b"])}, r"row 2: the label is blank"),
        ({"images": np.zeros(4, dtype="u1,u1"), "labels": LABELS}, r"an array of records"),
    ],
)
def test_wrong_arrays_are_refused_by_name(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        open_source(saved(tmp_path / "wrong.npz", **arrays))


def test_a_size_that_lies_is_refused_before_it_is_made_room_for(tmp_path: Path) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**15}, 28, 28), }}\n".encode()
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as file:
        file.writestr("images.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    with pytest.raises(InputError, match=r"lie.npz/images: its header claims 784,000,000,000,000,000 bytes"):
        open_source(tmp_path / "lie.npz")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "bomb.npz", images=np.zeros((5000, 50, 50), dtype=np.uint8), labels=np.arange(5000))
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000)
    with pytest.raises(InputError, match="zip bomb"):
        open_source(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short_is_named(share: float, tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.npz", images=IMAGES, labels=LABELS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"cut\.npz: this is not a zip file"):
        open_source(path)


UNCLOSED = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', ((((".ljust(0x76) + bytes(40)


@pytest.mark.parametrize("content", [b"no array", b"", UNCLOSED])
def test_a_damaged_array_is_named(content: bytes, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as file:
        file.writestr("images.npy", content)
    with pytest.raises(InputError, match=r"odd\.npz/images: this is not an array"):
        open_source(tmp_path / "odd.npz")
