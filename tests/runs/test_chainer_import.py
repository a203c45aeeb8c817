"""Importing Chainer's files: the same probabilities, in a folder that can predict and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import hitofude
from hitofude.errors import InputError, RecipeError, RunFolderError, UserError, WeightsError
from hitofude.inputs.dataset import Dataset
from hitofude.prediction.files import predict_files
from hitofude.recipe import Recipe
from hitofude.runs.chainer_import import describe_import, import_chainer
from hitofude.runs.comparison import compare_runs, list_runs
from hitofude.runs.folder import RunFolder
from hitofude.runs.result import load_result
from tests.conftest import chainer_arrays

CHAINER = Path(__file__).parents[3] / "shared" / "data" / "chainer"


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
    assert list_runs(imported.parent).endswith("Chainer  2 x cnn-medium  imported, accuracy not known")


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


def test_all_that_needs_held_out_rows_is_refused(imported: Path, dataset: Dataset) -> None:
    images = dataset.train.images
    asked: list[Callable[[], object]] = [
        lambda: load_result(imported),
        lambda: compare_runs([imported, imported]),
        lambda: hitofude.predict(imported, images, calibrated=True),
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
