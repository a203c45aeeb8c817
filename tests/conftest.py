"""What several tests start from: a few hundred real digits, and a recipe that trains on them in a second."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from numpy.typing import NDArray

import hitofude
from hitofude.cli import main
from hitofude.cli.app import app, data
from hitofude.export.onnx_export import export_onnx
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, sample
from hitofude.learning import plugins, speed
from hitofude.learning.compute import Compute, choose_compute
from hitofude.learning.networks import build_network
from hitofude.recipe import Recipe
from hitofude.runs.folder import RunFolder
from hitofude.runs.result import RunResult
from tests.kaggle_server import serving_kaggle
from tests.loopback import Server

os.environ["LC_ALL"] = "C.UTF-8"  # the commands speak the language of the locale
Call = Callable[..., tuple[int, str, str]]
SMALL = {"network.name": "cnn-lean", "schedule.epoch_share": 1.0, "ensemble.folds": 2}
"""Settings on top of `fast` for quick trainings."""
SETTINGS = SMALL | {"schedule.epochs": 8, "schedule.min_steps": 0, "optimizer.batch_size": 32}
STUDENT_SETTINGS = {
    "network.name": "cnn-lean",
    "schedule.epochs": 3,
    "schedule.epoch_share": 1.0,
    "schedule.min_steps": 0,
    "optimizer.batch_size": 32,
}
COMPETITION = Path(__file__).parents[2] / "shared" / "data" / "digit-recognizer.zip"


LONGEST = (
    "test_clusters.py", "test_full_disk.py", "test_page.py", "test_running.py", "test_notebooks.py", "test_tls.py",
    "test_estimator.py", "test_cli.py", "test_onnx_export.py", "test_dispatch.py", "test_pipeline.py", "test_docs.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the files that take longest first; measure no coverage of slow tests, which the quick ones reach anyway.

    Each file runs in one process, which shares its fixtures.
    """
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker("no_cover")
    order = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """300 labelled digits, 30 a class."""
    return sample().train.take(np.arange(300))


@pytest.fixture(scope="session")
def dataset(digits: ImageSet) -> Dataset:
    """300 digits to learn from, 50 to predict, whose labels are known."""
    test = sample().test
    assert test is not None
    return Dataset("digits", digits, test.take(np.arange(50)))


@pytest.fixture(scope="module")
def files(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data set as train.csv and test.csv."""
    folder = tmp_path_factory.mktemp("files 文字")
    assert dataset.test is not None
    write_csv(folder / "train.csv", dataset.train)
    write_csv(folder / "test.csv", dataset.test, label=None)
    return folder


@pytest.fixture(scope="session")
def quick() -> Recipe:
    """Three folds of a small network, three short epochs each."""
    return Recipe.preset("fast").with_settings(
        SMALL | {"schedule.epochs": 3, "schedule.min_steps": 0, "optimizer.batch_size": 32, "ensemble.folds": 3}
    )


@pytest.fixture(scope="session")
def compute() -> Compute:
    return choose_compute("cpu", "float32")


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this session share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def finished(dataset: Dataset, common: Path) -> RunResult:
    """A run of SETTINGS in a folder with a non-ASCII name, trained once a session; tests change only copies of it."""
    with FileLock(common / "finished.lock"):
        return hitofude.run(dataset, run=common / "with spaces 一筆", settings=SETTINGS, device="cpu", quiet=True)


@pytest.fixture(scope="session")
def distilled(finished: RunResult, dataset: Dataset, common: Path) -> RunResult:
    """A run taught by the finished one, trained once a session; tests change only copies of it."""
    with FileLock(common / "distilled.lock"):
        return hitofude.distill(
            dataset, teacher=finished.folder.path, run=common / "distilled", settings=STUDENT_SETTINGS, device="cpu",
            quiet=True,
        )  # fmt: skip


@pytest.fixture(scope="session")
def cascaded(dataset: Dataset, common: Path) -> RunResult:
    """A run like the finished one in which one member answers clear images alone; never changed."""
    settings = SETTINGS | {"ensemble.most_changed": 0.03}
    with FileLock(common / "cascaded.lock"):
        result = hitofude.run(dataset, run=common / "cascaded", settings=settings, device="cpu", quiet=True)
    assert result.summary.cascade is not None
    return result


@pytest.fixture(scope="session")
def light_run(common: Path) -> RunResult:
    """A run with one member, trained in seconds on 900 digits in dark ink on a light ground; never changed."""
    digits = sample().train
    light = Dataset("light", replace(digits, images=255 - digits.images))
    settings = SMALL | {
        "rows": 1000,
        "schedule.epochs": 6,
        "schedule.min_steps": 0,
        "ensemble.split": "holdout",
        "tta.shift": 0,
    }
    with FileLock(common / "light.lock"):
        return hitofude.run(light, run=common / "light", settings=settings, device="cpu", quiet=True)


@pytest.fixture(scope="session")
def exported_file(finished: RunResult, common: Path) -> Path:
    """The finished run as an ONNX model, exported once a session."""
    path = common / "model.onnx"
    with FileLock(common / "exported.lock"):
        if not path.exists():
            export_onnx(finished.folder.path, path, images=300)
    return path


@pytest.fixture(scope="session")
def exported(exported_file: Path) -> OnnxModel:
    return OnnxModel.load(exported_file)


def measure_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure speeds by a few products, a batch and a few predictions."""
    monkeypatch.setattr(speed, "SECONDS", 0.05)
    monkeypatch.setattr(speed, "BATCHES_AN_EPOCH", {"cpu": 1})
    monkeypatch.setattr(speed, "IMAGES_A_PREDICTION", {"cpu": 128})
    monkeypatch.setattr(speed, "SECONDS_TO_TRAIN", 0.01)
    monkeypatch.setattr(speed, "SECONDS_TO_PREDICT", 0.01)


def copy_of(result: RunResult, folder: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(result.folder.path, folder / "copy")))


@pytest.fixture(scope="session")
def competition() -> Path:
    """The competition's own zip; the test is skipped where it is not there."""
    if not COMPETITION.exists():
        pytest.skip("digit-recognizer.zip is not there")
    return COMPETITION


def write_csv(path: Path, images: ImageSet, *, label: str | None = "label") -> Path:
    """Write images as Kaggle does; without labels when label is None."""
    pixels = images.images.reshape(len(images), -1)
    header = ([label] if label else []) + [f"pixel{i}" for i in range(pixels.shape[1])]
    lines = [",".join(header)]
    for row, values in enumerate(pixels.tolist()):
        first = [images.classes[images.known_labels()[row]]] if label else []
        lines.append(",".join([*first, *map(str, values)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Kaggle's server, for Kaggle's own package. What this leaves open is closed with the test that used it."""
    with serving_kaggle(tmp_path / "home", monkeypatch) as server:
        yield server
    gc.collect()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hitofude", *map(str, arguments)])
        for one in (app, app.meta, data):  # they keep the width of the first call
            monkeypatch.setattr(one, "_fallback_console", None)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        captured = capsys.readouterr()
        assert isinstance(ending.value.code, int), captured.err
        return ending.value.code, captured.out, captured.err

    return run


def chainer_arrays(
    prefix: str = "", shape: tuple[int, int] = (28, 28), classes: int = 10, seed: int = 0
) -> dict[str, NDArray[Any]]:
    """The tutorial's network, untrained, by the names that Chainer's save_npz gives; prefix stands before them."""
    network = build_network("cnn-medium", (1, *shape), classes, torch.Generator().manual_seed(seed))
    names = {"weight": "W", "bias": "b"}
    parts = {name: name.split(".") for name in network.state_dict()}
    return {
        f"{prefix}{layer}/{names[kind]}": network.state_dict()[name].numpy() for name, (layer, kind) in parts.items()
    }


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process prints until a line holds the text; fails when it ends before."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        if text in line:
            return
        printed += line
    raise AssertionError(f"the process ended without printing {text!r}, but\n{printed}")


PLUGIN = '''"""A small network and noise."""

import torch
from torch import nn

import hitofude


@hitofude.register_network("tiny")
class Tiny(nn.Module):
    def __init__(self, image_shape, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(image_shape[0], 4, 5, stride=4), nn.BatchNorm2d(4), nn.ReLU())
        self.block = nn.Conv2d(4, 4, 3, padding=1)
        self.classify = nn.LazyLinear(classes)

    def forward(self, images):
        found = self.stem(images)
        found = found + torch.relu(self.block(found))
        return self.classify(found.view(found.shape[0], -1))


@hitofude.register_augmentation("noise")
def noise(batch, generator):
    return batch + 0.1 * torch.randn(batch.shape, generator=generator).to(batch.device)
'''
"""A file of a user's own network and augmentation."""


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """The file of a plugin, not loaded yet; what a test registers is forgotten after it."""
    path = tmp_path / "my_network.py"
    path.write_text(PLUGIN, encoding="utf-8")
    before = dict(plugins._registered)
    yield path
    plugins._registered.clear()
    plugins._registered.update(before)
