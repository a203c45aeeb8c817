"""A full disk: every file stays as it was, the run ends with exit code 4, and continues when there is room.

And a read-only disk: everything works that needs no writing.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hitofude
from hitofude.errors import OutOfResourcesError
from hitofude.inputs.dataset import Dataset
from hitofude.runs.result import RunResult
from hitofude.storage import PARTIAL_FILES, write_bytes
from tests.conftest import SETTINGS, Call

ARTEFACTS = [
    "data.json", "environment.json", "recipe.toml", ".owner.json", "network.dot", "state-0001.safetensors",
    "state-0001.json", "state-0002.safetensors", "log.jsonl", "weights.safetensors", "member.json", "loss.png",
    "accuracy.png", "oof.npz", "test_probabilities.npz", "submission.csv", "hardest.csv", "label_issues.csv",
    "duplicates.csv", "hardest.png", "report.html", "report.json",
]  # fmt: skip
OF_EACH_STAGE = ["recipe.toml", "state-0001.safetensors", "oof.npz"]
COMPARED = ["submission.csv", "oof.npz", "test_probabilities.npz", "members/00/weights.safetensors",
            "members/01/weights.safetensors"]  # fmt: skip
EPOCHS = {"schedule.epochs": 2}


@pytest.fixture(scope="module")
def small(dataset: Dataset) -> Dataset:
    """60 digits to learn from, 10 to predict."""
    assert dataset.test is not None
    return Dataset("small", dataset.train.take(np.arange(60)), dataset.test.take(np.arange(10)))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 32 MB, in memory; the test is skipped if it cannot be mounted."""
    disk, mount = tmp_path / "disk", shutil.which("mount")
    disk.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)  # noqa: S607


class Ballast:
    """A file that fills a disk to its last byte."""

    def __init__(self, disk: Path) -> None:
        self.path = disk / "ballast"

    def load(self) -> None:
        with self.path.open("wb", buffering=0) as stream:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        stream.write(bytes(size))
                except OSError:
                    continue

    def unload(self) -> None:
        self.path.unlink()


def run(dataset: Dataset, folder: Path, **options: Any) -> RunResult:
    return hitofude.run(dataset, run=folder, settings=SETTINGS | EPOCHS, device="cpu", quiet=True, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files but the owner's and those that are being written."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".owner.json", ".lock")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if not path.match(PARTIAL_FILES)}


class DiskFilledAt:
    """Fills the disk, for real, when a file of that name is begun; remembers the files that were there then."""

    def __init__(self, name: str, folder: Path, ballast: Ballast, patch: pytest.MonkeyPatch) -> None:
        self.before: dict[str, bytes] | None = None
        opened = Path.open

        def open_on_full_disk(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            stream = opened(path, mode, *arguments, **options)
            if mode == "wb" and path.name.startswith(f".{name}.") and self.before is None:
                self.before = contents(folder)
                ballast.load()
            return stream

        patch.setattr(Path, "open", open_on_full_disk)


@pytest.fixture(scope="module")
def expected(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on a disk with room."""
    return run(small, tmp_path_factory.mktemp("expected") / "run").folder.path


@pytest.mark.parametrize("artefacts", [OF_EACH_STAGE, pytest.param(ARTEFACTS, marks=pytest.mark.slow)])
def test_a_disk_that_is_full_at_each_artefact_in_turn_costs_nothing_but_time(
    artefacts: list[str], small: Dataset, expected: Path, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ballast = disk / "run", Ballast(disk)
    for name in artefacts:
        with monkeypatch.context() as patch:
            filled = DiskFilledAt(name, folder, ballast, patch)
            with pytest.raises(OutOfResourcesError, match="No space left on the disk") as ending:
                run(small, folder)
        ballast.unload()
        assert name in str(ending.value)
        assert not list(folder.rglob(PARTIAL_FILES)), name
        assert contents(folder) == filled.before, name
    run(small, folder)
    for name in COMPARED:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name


@pytest.mark.slow
def test_a_disk_that_fills_up_under_worker_processes_ends_the_run_the_same_way(
    dataset: Dataset, disk: Path, tmp_path: Path
) -> None:
    """It is continued by one process, which makes the same bytes."""
    settings, ballast = SETTINGS | {"schedule.epochs": 4}, Ballast(disk)
    expected = hitofude.run(dataset, run=tmp_path / "expected", settings=settings, threads=1, quiet=True).folder.path

    def fill() -> None:
        while not list(disk.glob("run/members/*/state-0001.json")):
            time.sleep(0.01)
        ballast.load()

    filler = threading.Thread(target=fill)
    filler.start()
    with pytest.raises(OutOfResourcesError, match="No space left on the disk"):
        hitofude.run(dataset, run=disk / "run", settings=settings, workers=2, threads=1, quiet=True)
    filler.join()
    ballast.unload()
    hitofude.run(dataset, run=disk / "run", settings=settings, workers=1, threads=1, quiet=True)
    for name in COMPARED:
        assert (disk / "run" / name).read_bytes() == (expected / name).read_bytes(), name


def test_a_file_that_does_not_fit_is_named_with_its_size_and_the_former_one_stays(disk: Path) -> None:
    write_bytes(disk / "file", b"first")
    Ballast(disk).load()
    with pytest.raises(OutOfResourcesError, match=r"it needs 100,000 bytes, [\d,]+ bytes are free"):
        write_bytes(disk / "file", bytes(100_000))
    assert (disk / "file").read_bytes() == b"first"
    assert not list(disk.glob(PARTIAL_FILES))


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "RUN", "FILES/test.csv", "--out", "DISK/predictions.csv"],
        ["predict", "RUN", "FILES/test.csv", "--out", "DISK/predictions.npz"],
        ["audit", "RUN", "--out", "DISK"],
        ["augment", "FILES", "--out", "DISK/augment.png"],
        ["data", "show", "FILES", "--out", "DISK/images.png"],
        ["run", "FILES", "--run", "DISK/run"],
    ],
)
def test_every_command_that_writes_ends_with_4_and_leaves_nothing_half_written(
    arguments: list[str], files: Path, finished: RunResult, disk: Path, call: Call
) -> None:
    ballast = Ballast(disk)
    ballast.load()
    places = {"RUN": finished.folder.path, "FILES": files, "DISK": disk}
    code, _, err = call(*(_with_places(word, places) for word in arguments))
    assert code == 4
    assert str(disk) in err
    assert "Traceback" not in err
    assert [path for path in disk.rglob("*") if path.is_file() and path.name != ".lock"] == [ballast.path]


def _with_places(word: str, places: dict[str, Path]) -> str:
    for name, path in places.items():
        word = word.replace(name, str(path))
    return word


def test_what_is_printed_to_a_full_disk_is_not_lost_in_silence() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "hitofude", "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 4
    assert ended.stderr == "hitofude: no space left on the disk. Free some space and run the same command again.\n"


@pytest.fixture
def read_only(disk: Path, finished: RunResult) -> Path:
    """A finished run on a disk that cannot be written."""
    shutil.copytree(finished.folder.path, disk / "run")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)  # noqa: S607
    return disk


def test_a_finished_run_on_a_read_only_disk_predicts_and_is_read(
    read_only: Path, finished: RunResult, dataset: Dataset
) -> None:
    assert dataset.test is not None
    found = hitofude.predict(read_only / "run", dataset.test.images, device="cpu")
    assert np.array_equal(found, finished.test_probabilities)
    assert hitofude.run(dataset, run=read_only / "run", settings=SETTINGS, quiet=True).summary == finished.summary


def test_a_run_into_a_read_only_folder_ends_with_3_before_training(read_only: Path, files: Path, call: Call) -> None:
    code, _, err = call("run", files, "--run", read_only / "new")
    assert code == 3
    assert "cannot be written: Read-only file system. Choose another place with --run or --out." in err
