"""A run on any scale answers images of every scale, in every kind of file, as the canonical ones, or refuses them.

benchmarks/scales.py trains a run on each scale and each ground, and asks through all doors.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from benchmarks.scales import SCALES, ask, on_scale
from numpy.typing import NDArray

import hitofude
from hitofude.errors import InputError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.sources import open_source
from hitofude.runs.result import RunResult, load_result
from tests.conftest import copy_of

LINEAR = ("0..255", "0..1", "normalised")
"""The scales whose training images are the same bytes, so that one run stands for all."""


@pytest.fixture(scope="module")
def answers(finished: RunResult, dataset: Dataset) -> NDArray[np.str_]:
    assert dataset.test is not None
    found = hitofude.predict(finished.folder.path, dataset.test.images[:20], device="cpu")
    return np.asarray(finished.summary.classes)[found.argmax(axis=1)]


def run_on(finished: RunResult, digits: ImageSet, scale: str, folder: Path) -> RunResult:
    """The finished run, as if its images had been on a scale."""
    copy = copy_of(finished, folder)
    trained = open_source((on_scale(digits.images, scale, inverted=False), digits.known_labels())).trained_scale
    copy.data.write_text(json.dumps(json.loads(copy.data.read_text()) | {"pixels": asdict(trained)}))
    return load_result(copy)


@pytest.mark.parametrize("scale", LINEAR)
def test_every_door_answers_as_for_the_canonical_images_or_refuses(
    scale: str, finished: RunResult, dataset: Dataset, digits: ImageSet, answers: NDArray[np.str_], tmp_path: Path
) -> None:
    assert dataset.test is not None
    result, refused = run_on(finished, digits, scale, tmp_path), set()
    for asked in SCALES:
        numbers = on_scale(dataset.test.images[:20], asked, inverted=False)
        for door in ("NPZ", "Python", "folder"):
            folder = tmp_path / f"{asked}-{door}"
            folder.mkdir()
            try:
                assert (ask(door, result, numbers, folder) == answers).mean() >= 0.95, (asked, door)
            except InputError:
                refused.add((asked, door))
    assert refused >= {(asked, door) for asked in SCALES for door in ("NPZ", "Python") if asked != scale}
    assert not refused & {(scale, door) for door in ("NPZ", "Python", "folder")}
