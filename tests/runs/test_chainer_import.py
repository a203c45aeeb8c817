"""Importing Chainer's files: every array or an error that names it, nothing executed, and the same probabilities."""

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import hitofude
from hitofude.errors import InputError, RecipeError, RunFolderError, UserError, WeightsError
from hitofude.inputs.dataset import Dataset
from hitofude.prediction.files import predict_files
from hitofude.recipe import Recipe
from hitofude.runs import chainer_import
from hitofude.runs.chainer_import import ARRAYS, describe_import, import_chainer, read_chainer, to_state
from hitofude.runs.comparison import compare_runs
from hitofude.runs.folder import RunFolder
from hitofude.runs.listing import list_runs
from hitofude.runs.result import load_result
from tests.conftest import chainer_arrays

CHAINER = Path(__file__).parents[3] / "shared" / "data" / "chainer"
SNAPSHOT = "updater/model:main/predictor/"


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Two networks with different weights."""
    paths = [tmp_path / "first.npz", tmp_path / "second.npz"]
    for seed, path in enumerate(paths):
        np.savez(path, **chainer_arrays("predictor/", seed=seed))
    return paths


@pytest.fixture
def imported(models: list[Path], tmp_path: Path) -> Path:
    import_chainer(models, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture(scope="module")
def expected() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images and Chainer's own probabilities of them; the test is skipped if they are missing."""
    if not CHAINER.exists():
        pytest.skip("Chainer's files are not there")
    with np.load(CHAINER / "expected.npz") as arrays:
        return arrays["images"][:, None], arrays["probabilities"]


@pytest.mark.parametrize("file", ["cnn_model.npz", "snapshot_iter_250"])
def test_the_probabilities_are_chainers(
    file: str, expected: tuple[NDArray[np.uint8], NDArray[np.float32]], tmp_path: Path
) -> None:
    images, probabilities = expected
    import_chainer([CHAINER / file], tmp_path / "run")
    found = hitofude.predict(tmp_path / "run", images, device="cpu")
    largest = np.abs(found - probabilities).max()
    print(f"\n{file}: the largest difference from Chainer's probabilities is {largest:.2g}")
    assert largest < 1e-5


def test_several_files_are_an_ensemble(models: list[Path], imported: Path, dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.test is not None
    images = dataset.test.images
    alone = []
    for path in models:
        import_chainer([path], tmp_path / path.stem)
        alone.append(hitofude.predict(tmp_path / path.stem, images, device="cpu"))
    assert not np.allclose(*alone, atol=0.01)
    assert np.array_equal(hitofude.predict(imported, images, device="cpu"), np.mean(alone, axis=0))


def test_an_imported_folder_says_where_it_comes_from_and_nothing_of_its_training(
    models: list[Path], imported: Path
) -> None:
    assert sorted(path.name for path in imported.iterdir()) == ["data.json", "imported.json", "members", "recipe.toml"]
    content = json.loads((imported / "imported.json").read_text())
    assert [member["file"] for member in content["members"]] == [path.name for path in models]
    assert Recipe.load(imported / "recipe.toml").precision == "float32"
    assert "folds" not in (imported / "recipe.toml").read_text()
    assert list_runs(imported.parent).splitlines()[-1].split()[3:] == [
        "Chainer",
        "not",
        "known",
        "2",
        "x",
        "cnn-medium",
    ]


def test_other_sizes_and_numbers_of_classes_are_taken(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **chainer_arrays(shape=(40, 26), classes=26))
    import_chainer([tmp_path / "a.npz"], tmp_path / "run", shape=(40, 26))
    found = hitofude.predict(tmp_path / "run", np.zeros((3, 1, 40, 26), np.uint8), device="cpu")
    assert found.shape == (3, 26)
    assert RunFolder(tmp_path / "run").load_data().classes == tuple(str(number) for number in range(26))


def test_another_size_than_the_networks_is_named_with_the_remedy(models: list[Path], tmp_path: Path) -> None:
    expected = r"fc7/W: \(30, 1152\), expected \(30, 4608\).*--shape"
    with pytest.raises(WeightsError, match=f"(?s){expected}"):
        import_chainer(models, tmp_path / "run", shape=(40, 40))
    with pytest.raises(RecipeError, match="at least 17x17"):
        import_chainer(models, tmp_path / "run", shape=(16, 28))
    assert not (tmp_path / "run").exists()


def test_networks_of_other_classes_are_no_ensemble(models: list[Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "five.npz", **chainer_arrays(classes=5))
    with pytest.raises(WeightsError, match=r"five\.npz has 5 classes, .*first\.npz has 10"):
        import_chainer([*models, tmp_path / "five.npz"], tmp_path / "run")
    with pytest.raises(InputError, match="Nothing to import"):
        import_chainer([], tmp_path / "run")


def test_a_photo_is_read_by_imported_networks_too(tmp_path: Path) -> None:
    """By uncalibrated probabilities, since there are no out-of-fold rows."""
    np.savez(tmp_path / "model.npz", **chainer_arrays())
    import_chainer([tmp_path / "model.npz"], tmp_path / "run")
    bar = np.pad(np.zeros((40, 8), dtype=np.uint8), 12, constant_values=255)
    Image.fromarray(bar).save(tmp_path / "photo.png")
    found = predict_files(tmp_path / "run", [tmp_path / "photo.png"], sure=0)
    assert found.labels.tolist() == [str(found.probabilities.argmax())]


def test_a_folder_that_holds_something_is_not_touched(models: list[Path], imported: Path) -> None:
    before = {path: path.read_bytes() for path in imported.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match="not empty"):
        import_chainer(models[:1], imported)
    assert {path: path.read_bytes() for path in imported.rglob("*") if path.is_file()} == before


def test_what_was_imported_is_told(models: list[Path], tmp_path: Path) -> None:
    arrays = chainer_arrays("updater/model:main/predictor/") | {"updater/iteration": np.array(42000)}
    np.savez(tmp_path / "snapshot.npz", **arrays)
    run = tmp_path / "run"
    text = describe_import(import_chainer([models[0], tmp_path / "snapshot.npz"], run), run)
    assert "first.npz: model\n" in text
    assert "snapshot.npz: snapshot after 42,000 iterations\n" in text
    assert "Their accuracy is not known" in text
    assert "cannot be calibrated" in text


def test_all_that_needs_held_out_rows_is_refused(imported: Path, dataset: Dataset) -> None:
    asked: list[Callable[[], object]] = [
        lambda: load_result(imported),
        lambda: compare_runs([imported, imported]),
        lambda: hitofude.run(dataset, run=imported, quiet=True),
    ]
    before = sorted(imported.rglob("*"))
    for ask in asked:
        with pytest.raises(RunFolderError, match="imported networks, which were trained elsewhere"):
            ask()
    assert sorted(imported.rglob("*")) == before


def test_a_damaged_import_is_named(imported: Path) -> None:
    (imported / "imported.json").write_text('{"format_version": 1, "program": "Chainer"}')
    with pytest.raises(UserError, match=r"imported\.json is damaged at command"):
        RunFolder(imported).load_networks()


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
    monkeypatch.setattr(chainer_import, "MAX_FILE_BYTES", path.stat().st_size - 1)
    with pytest.raises(WeightsError, match="has more than"):
        read_chainer(path)


def test_a_missing_file_and_a_folder_are_the_calls_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_chainer(tmp_path / "none.npz")
    with pytest.raises(InputError, match="Is a directory"):
        read_chainer(tmp_path)
    with pytest.raises(InputError, match="File name too long"):
        read_chainer(tmp_path / ("x" * 300))
