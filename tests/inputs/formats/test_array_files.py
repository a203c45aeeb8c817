"""MATLAB's and HDF5's files: arrays are found by name and shape, and hostile files do no harm."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from hitofude.errors import InputError
from hitofude.inputs.formats import archive
from hitofude.inputs.formats.named_arrays import select_arrays, splits_of
from hitofude.inputs.sources import open_source

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 5, 6)).astype(np.uint8)
LABELS = np.arange(7) % 2


def h5(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


@pytest.mark.parametrize("compress", [True, False])
def test_arrays_of_matlab_and_those_in_structs(compress: bool, tmp_path: Path) -> None:
    struct = {"train": {"images": IMAGES.reshape(7, 30), "labels": LABELS[:, None]}, "mapping": np.eye(3)}
    savemat(tmp_path / "flat.mat", {"X": IMAGES.transpose(1, 2, 0), "y": LABELS}, do_compression=compress)
    savemat(tmp_path / "struct.mat", {"dataset": struct}, do_compression=compress)
    for found in (open_source(tmp_path / "flat.mat"), open_source(tmp_path / "struct.mat", shape=(5, 6))):
        assert np.array_equal(found.train.images[:, 0], IMAGES)
        assert found.train.known_labels().tolist() == LABELS.tolist()


def test_matlab_7_3_has_its_axes_in_reverse(tmp_path: Path) -> None:
    path = tmp_path / "new.mat"
    with h5py.File(path, "w", userblock_size=512) as file:  # MATLAB's own header is before HDF5's
        file["X"], file["y"] = IMAGES.transpose(1, 2, 0).T, LABELS[:, None]
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(512))
    found = open_source(path).train
    assert np.array_equal(found.images[:, 0], IMAGES)
    assert found.known_labels().tolist() == LABELS.tolist()


def test_splits_in_groups_and_labels_as_text(tmp_path: Path) -> None:
    names = np.array(["a", "b"], dtype=h5py.string_dtype())[LABELS]
    path = h5(tmp_path / "u.h5", train__data=IMAGES, train__target=names, test__data=IMAGES[:3])
    found = open_source(path)
    assert found.test is not None
    assert (found.train.classes, len(found.test)) == (("a", "b"), 3)


@pytest.mark.parametrize("place", ["both.mat", ""])
def test_a_file_of_both_parts_is_opened_once(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    savemat(tmp_path / "both.mat", {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:3]})
    opened = []
    monkeypatch.setattr("scipy.io.loadmat", lambda *args, **how: opened.append(1) or loadmat(*args, **how))
    found = open_source(tmp_path / place)
    assert (len(found.train), found.test and len(found.test), len(opened)) == (7, 3, 1)


@pytest.mark.parametrize("kind", ["mat", "h5", "npz"])
def test_groups_are_those_of_the_training_images(kind: str, tmp_path: Path) -> None:
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:3], "writer": np.arange(7) // 2}
    path = tmp_path / f"f.{kind}"
    if kind == "mat":
        savemat(path, arrays)
    elif kind == "h5":
        h5(path, **arrays)
    else:
        np.savez(path, **arrays)
    groups = open_source(path, groups="writer").groups
    assert groups is not None
    assert groups.tolist() == ["0", "0", "1", "1", "2", "2", "3"]


@pytest.mark.parametrize("kind", ["mat", "h5"])
def test_a_bomb_is_stopped_before_its_values_are_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"bomb.{kind}"
    if kind == "mat":
        savemat(path, {"X": np.zeros((5000, 50, 50), np.uint8), "y": np.arange(5000)}, do_compression=True)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("X", (5000, 50, 50), "u1", compression="gzip", chunks=(5000, 50, 50))
            file["y"] = np.arange(5000)
    monkeypatch.setattr(archive, "ALWAYS_ALLOWED", 10_000)
    with pytest.raises(InputError, match="zip bomb"):
        open_source(path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("/etc/passwd", "x"), h5py.SoftLink("/y")])
def test_a_link_in_an_hdf5_file_is_refused(link: Any, tmp_path: Path) -> None:
    path = h5(tmp_path / "link.h5", y=LABELS)
    with h5py.File(path, "a") as file:
        file["X"] = link
    with pytest.raises(InputError, match=r"'X' is a link, perhaps to another file\. Do not trust"):
        open_source(path)


def test_values_stored_in_another_file_are_refused(tmp_path: Path) -> None:
    path = h5(tmp_path / "external.h5", y=LABELS)
    with h5py.File(path, "a") as file:
        file.create_dataset("X", (7, 5, 6), "u1", external=[(str(tmp_path / "raw"), 0, 210)])
    with pytest.raises(InputError, match="'X' is stored in another file"):
        open_source(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["mat", "h5"])
def test_a_file_that_is_cut_short_is_named(kind: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{kind}"
    if kind == "mat":
        savemat(path, {"X": IMAGES, "y": LABELS}, do_compression=True)
    else:
        h5(path, X=IMAGES, y=LABELS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=rf"cut\.{kind}"):
        open_source(path)


@pytest.mark.parametrize(
    ("shapes", "split", "images", "labels"),
    [
        ({"x_train": (7, 5, 6), "y_train": (7,), "x_test": (3, 5, 6)}, "test", "x_test", None),
        ({"arr_0": (7, 30), "arr_1": (7,)}, "train", "arr_0", "arr_1"),
        ({"arr_0": (7,), "arr_1": (7, 30)}, "train", "arr_1", "arr_0"),
        ({"arr_0": (7, 30), "arr_1": (7, 10)}, "train", "arr_0", "arr_1"),
        ({"arr_0": (7, 30), "arr_1": (7,), "arr_2": (3, 30), "arr_3": (3,)}, "test", "arr_2", "arr_3"),
        ({"faces": (7, 5, 6), "person": (7,)}, "train", "faces", "person"),
        ({"X": (5, 6, 3, 7), "y": (7, 1)}, "train", "X", "y"),
        ({"data": (7, 30), "labels": (7,), "batch_label": ()}, "train", "data", "labels"),
        ({"train_images": (7, 5), "train_labels": (7,), "val_images": (2, 5)}, "test", "val_images", None),
    ],
)
def test_arrays_are_chosen_by_name_then_by_shape(
    shapes: dict[str, tuple[int, ...]], split: Any, images: str, labels: str | None
) -> None:
    assert split == "train" or "test" in splits_of(shapes)
    found = select_arrays(shapes, split, "f.npz")
    assert (found.images, found.labels) == (images, labels)


def test_arrays_that_are_not_read_are_named() -> None:
    shapes = {"x_train": (7, 5), "y_train": (7,), "x_val": (2, 5), "x_test": (3, 5), "train_weights": (7,)}
    found = select_arrays(shapes, "train", "folder/f.npz")
    assert found.left_aside == (
        "f.npz: 'train_weights', (7,)",
        "f.npz: x_val: a validation part; hitofude holds out training images of its own",
    )
