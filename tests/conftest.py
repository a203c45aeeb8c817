"""What several tests start from: a few hundred real digits, and a recipe that trains on them in a second."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hitofude.cli import main
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import Dataset, sample
from hitofude.learning.engine import Engine, choose_engine
from hitofude.recipe import Recipe

Call = Callable[..., tuple[int, str, str]]
COMPETITION = Path(__file__).parents[2] / "shared" / "data" / "digit-recognizer.zip"


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


@pytest.fixture(scope="session")
def quick() -> Recipe:
    """Three folds of three short epochs."""
    return Recipe.preset("fast").with_settings(
        {"schedule.epochs": 3, "schedule.minimum_steps": 0, "optimizer.batch_size": 32, "ensemble.folds": 3}
    )


@pytest.fixture(scope="session")
def engine() -> Engine:
    return choose_engine("cpu", "float32")


@pytest.fixture(scope="session")
def competition() -> Path:
    """The competition's own zip; the test is skipped where it is not there."""
    if not COMPETITION.exists():
        pytest.skip("digit-recognizer.zip is not there")
    return COMPETITION


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hitofude", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main()
        captured = capsys.readouterr()
        assert isinstance(ending.value.code, int), captured.err
        return ending.value.code, captured.out, captured.err

    return run


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


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    """Read what a process prints until a line holds the text; fails when it ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the process ended without printing {text!r}")
