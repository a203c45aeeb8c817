"""An exported model is compared with the run's own answers, by the images that the run predicted."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from hitofude.export.onnx_model import OnnxModel
from hitofude.export.own_answers import compare_own_answers
from hitofude.inputs.sources import Dataset
from hitofude.runs.result import RunResult
from hitofude.storage import read_npz, write_npz
from tests.conftest import copy_of


def test_the_model_gives_the_submission(exported: OnnxModel, finished: RunResult, dataset: Dataset) -> None:
    found = compare_own_answers(exported.predict, lambda: exported.predict, finished.folder, dataset, 10_000)
    assert found is not None
    assert (found.of, found.images, found.changed) == ("submission", 50, 0)
    assert found.largest is not None
    assert found.largest < 0.02
    assert len(found.describe().splitlines()) == 1


def test_labels_that_differ_from_the_submission_are_counted(
    exported: OnnxModel, finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    """As if the run had predicted with less precision, and three images had lain on the border."""
    folder = copy_of(finished, tmp_path)
    arrays = read_npz(folder.test_probabilities)
    for name, values in arrays.items():
        if values.ndim >= 2:
            values[..., :3, :] = np.roll(values[..., :3, :], 1, axis=-1)
            arrays[name] = values
    write_npz(folder.test_probabilities, **arrays)
    found = compare_own_answers(exported.predict, lambda: exported.predict, folder, dataset, 20)
    assert found is not None
    assert (found.images, found.changed) == (20, 3)
    assert f"(the run predicted with {finished.summary.environment['precision']} on " in found.describe()


def test_without_images_to_predict_the_out_of_fold_answers_count(
    exported: OnnxModel, finished: RunResult, dataset: Dataset
) -> None:
    found = compare_own_answers(
        exported.predict, lambda: exported.predict, finished.folder, replace(dataset, test=None), 200
    )
    assert found is not None
    assert (found.of, found.images) == ("out-of-fold answers", 200)
    assert found.changed <= 1


def test_the_members_that_held_a_row_out_are_those_of_the_run(
    exported: OnnxModel, finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    """Given groups and folds decide on them too, so they are not drawn again: here the others are written down."""
    folder = copy_of(finished, tmp_path)
    arrays = read_npz(folder.out_of_fold)
    write_npz(folder.out_of_fold, **arrays | {"held_out": ~arrays["held_out"]})
    found = compare_own_answers(exported.predict, lambda: exported.predict, folder, replace(dataset, test=None), 200)
    assert found is not None
    assert found.changed > 10


def test_images_of_another_source_are_not_compared(exported: OnnxModel, finished: RunResult, dataset: Dataset) -> None:
    other = replace(dataset, train=dataset.train.take(np.arange(200)))
    assert compare_own_answers(exported.predict, lambda: exported.predict, finished.folder, other, 100) is None
