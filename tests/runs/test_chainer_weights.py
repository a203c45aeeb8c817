"""Reading Chainer's files: every array or an error that names it, and nothing executed."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError, WeightsError
from hitofude.runs import chainer_weights
from hitofude.runs.chainer_weights import ARRAYS, read_chainer, to_state
from tests.conftest import chainer_arrays

SNAPSHOT = "updater/model:main/predictor/"


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return self.path.write_text, ("executed",)


def save(path: Path, arrays: dict[str, NDArray[Any]]) -> Path:
    with path.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    return path


@pytest.mark.parametrize("prefix", ["", "predictor/", SNAPSHOT, "updater/model:main/", "model/predictor/"])
def test_the_network_is_found_whatever_stands_before_its_names(prefix: str, tmp_path: Path) -> None:
    model = read_chainer(save(tmp_path / "model.npz", chainer_arrays(prefix)))
    assert model.arrays.keys() == set(ARRAYS)
    assert all(np.array_equal(model.arrays[name], array) for name, array in chainer_arrays().items())
    assert (model.classes, model.iterations) == (10, None)


def test_a_snapshot_is_read_past_optimizer_iterator_and_pickled_values(tmp_path: Path) -> None:
    others = {
        "updater/iteration": np.array(250),
        "updater/optimizer:main/predictor/conv1/W/m": np.ones((16, 1, 3, 3)),
        "updater/iterator:main/order": np.arange(2000),
        "extensions/best/_best_value": np.array(None),
    }
    model = read_chainer(save(tmp_path / "snapshot_iter_250", chainer_arrays(SNAPSHOT) | others))
    assert model.iterations == 250
    assert np.array_equal(model.arrays["conv1/W"], chainer_arrays()["conv1/W"])


def test_all_missing_arrays_are_named(tmp_path: Path) -> None:
    arrays = chainer_arrays(SNAPSHOT)
    for name in ("conv3/b", "fc8/W"):
        del arrays[SNAPSHOT + name]
    with pytest.raises(WeightsError, match=rf"Missing: {SNAPSHOT}conv3/b, {SNAPSHOT}fc8/W\.$"):
        read_chainer(save(tmp_path / "model.npz", arrays))


def test_a_file_of_something_else_says_what_it_holds(tmp_path: Path) -> None:
    path = save(tmp_path / "other.npz", {"images": np.zeros(3), "labels": np.zeros(3)})
    with pytest.raises(WeightsError, match=r"Missing: conv1/W, .*, fc8/b\. It holds images, labels\."):
        read_chainer(path)


def test_a_network_with_more_layers_is_another(tmp_path: Path) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays("predictor/") | {"predictor/bn1/gamma": np.ones(16)})
    with pytest.raises(WeightsError, match="another network than the tutorial's, with predictor/bn1/gamma"):
        read_chainer(path)


def test_of_two_models_none_is_chosen(tmp_path: Path) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays("updater/model:main/") | chainer_arrays("updater/model:ema/"))
    with pytest.raises(WeightsError, match="several models: updater/model:ema/, updater/model:main/"):
        read_chainer(path)


def test_every_wrong_shape_is_named_beside_the_expected(tmp_path: Path) -> None:
    arrays = chainer_arrays() | {"conv1/W": np.zeros((16, 3, 3, 3)), "fc7/b": np.zeros(50)}
    model = read_chainer(save(tmp_path / "model.npz", arrays))
    shapes = {name.replace("/W", ".weight").replace("/b", ".bias"): a.shape for name, a in chainer_arrays().items()}
    expected = r"conv1/W: \(16, 3, 3, 3\), expected \(16, 1, 3, 3\)\n  fc7/b: \(50,\), expected \(30,\)$"
    with pytest.raises(WeightsError, match=expected):
        to_state(model, shapes)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_other_floats_and_another_order_become_ours(dtype: str, tmp_path: Path) -> None:
    arrays = {name: np.asfortranarray(array.astype(dtype)) for name, array in chainer_arrays().items()}
    found = read_chainer(save(tmp_path / "model.npz", arrays)).arrays
    assert {array.dtype for array in found.values()} == {np.dtype(np.float32)}
    assert all(np.array_equal(found[name], arrays[name].astype(np.float32)) for name in ARRAYS)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((16, 1, 3, 3), np.int64), "conv1/W holds int64, expected float32"),
        (np.full((16, 1, 3, 3), np.nan), "conv1/W holds NaN or infinite"),
        (np.full((16, 1, 3, 3), 1e300), "conv1/W holds NaN or infinite"),
        (np.array(None), "conv1/W is a pickled object, which is never opened"),
    ],
)
def test_what_is_no_weight_is_refused(array: NDArray[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        read_chainer(save(tmp_path / "model.npz", chainer_arrays() | {"conv1/W": array}))


@pytest.mark.parametrize("classes", [1, 1001])
def test_so_many_classes_cannot_be(classes: int, tmp_path: Path) -> None:
    model = read_chainer(save(tmp_path / "model.npz", chainer_arrays(classes=classes)))
    with pytest.raises(WeightsError, match=rf"for {classes:,} classes, expected 2 to 1,000"):
        _ = model.classes


def test_a_pickle_is_never_executed_as_a_file_or_within_one(tmp_path: Path) -> None:
    trap, executed = Trap(tmp_path / "executed"), tmp_path / "executed"
    pickled = tmp_path / "pickled.npz"
    pickled.write_bytes(pickle.dumps(trap))
    with pytest.raises(WeightsError, match="a pickle can run any program"):
        read_chainer(pickled)
    for name in (f"{SNAPSHOT}conv2/b", "updater/iteration"):
        path = save(tmp_path / "within.npz", chainer_arrays(SNAPSHOT) | {name: np.array(trap, dtype=object)})
        with pytest.raises(WeightsError, match="never opened"):
            read_chainer(path)
    assert not executed.exists()
    pickle.loads(pickled.read_bytes())  # noqa: S301
    assert executed.exists(), "the trap works"


@pytest.mark.parametrize("content", [b"", b"PK", b"\x89HDF\r\n\x1a\n", b"id,label\n1,2\n"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.npz").write_bytes(content)
    with pytest.raises(WeightsError, match=r"not a file of save_npz|is damaged"):
        read_chainer(tmp_path / "model.npz")


def test_a_file_that_is_cut_short_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays())
    content = path.read_bytes()
    for end in np.linspace(0, len(content) - 1, 20).astype(int):
        path.write_bytes(content[:end])
        with pytest.raises(WeightsError, match=r"damaged|not a file of save_npz"):
            read_chainer(path)


def test_a_flipped_bit_in_any_array_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays())
    content = path.read_bytes()
    for position in np.linspace(100, len(content) * 0.95, 20).astype(int):
        path.write_bytes(content[:position] + bytes([content[position] ^ 16]) + content[position + 1 :])
        with pytest.raises(WeightsError, match="damaged"):
            read_chainer(path)


def repacked(path: Path, name: str, content: bytes, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Replace the content under a name, with valid checksums."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, kept in members.items():
            archive.writestr(member, content if member == name else kept, compression)
    return path


def test_a_bomb_is_not_unpacked_whole(tmp_path: Path) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays())
    with pytest.raises(WeightsError, match=r"fc7/W has more than 16,777,216 bytes"):
        read_chainer(repacked(path, "fc7/W.npy", bytes(100_000_000)))


@pytest.mark.parametrize("shape", [(10**12, 10**12), (-1,), (2**63, 2)])
def test_a_header_that_claims_what_is_not_there_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    path = save(tmp_path / "model.npz", chainer_arrays())
    with pytest.raises(WeightsError, match="fc8/b has 40 bytes for the shape"):
        read_chainer(repacked(path, "fc8/b.npy", header.getvalue() + bytes(40)))


def test_a_made_up_header_or_compression_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays())
    broken = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', ((((".ljust(0x76) + bytes(40)
    with pytest.raises(WeightsError, match="fc8/b has no valid header"):
        read_chainer(repacked(path, "fc8/b.npy", broken))
    path = save(tmp_path / "model.npz", chainer_arrays())
    with pytest.raises(WeightsError, match="compressed by a method that NumPy does not use"):
        read_chainer(repacked(path, "", b"", zipfile.ZIP_LZMA))


def test_a_file_of_endless_length_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "model.npz", chainer_arrays())
    monkeypatch.setattr(chainer_weights, "MAX_FILE_BYTES", path.stat().st_size - 1)
    with pytest.raises(WeightsError, match="has more than"):
        read_chainer(path)


def test_a_missing_file_and_a_folder_are_the_calls_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_chainer(tmp_path / "none.npz")
    with pytest.raises(InputError, match="Is a directory"):
        read_chainer(tmp_path)
    with pytest.raises(InputError, match="File name too long"):
        read_chainer(tmp_path / ("x" * 300))
