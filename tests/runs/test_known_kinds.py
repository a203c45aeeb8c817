"""The score of novelty of a run: known images are answered, others are none of these, the same through every door."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from benchmarks.strangers import strangers_for_choice
from numpy.typing import NDArray

import hitofude
from hitofude.errors import RecipeError, RunFolderError
from hitofude.inputs.dataset import Dataset
from hitofude.inputs.sources import sample
from hitofude.outputs.predictions import NONE_OF_THESE
from hitofude.prediction.bulk.run import predict_in_bulk
from hitofude.prediction.files import predict_files
from hitofude.prediction.model import Model
from hitofude.runs.folder import RunFolder
from hitofude.runs.known_kinds import known_threshold_of, load_novelty
from hitofude.runs.result import RunResult
from hitofude.storage import read_npz, write_npz
from tests.conftest import SETTINGS, Call, copy_of, write_csv


@pytest.fixture(scope="module")
def new_digits() -> NDArray[np.uint8]:
    """400 digits that no test run saw."""
    return sample().train.images[-400:]


def test_most_digits_are_known_and_most_strangers_are_not(finished: RunResult, new_digits: NDArray[np.uint8]) -> None:
    strangers = strangers_for_choice(new_digits, 60, seed=0)
    known = hitofude.predict_known(finished.folder.path, new_digits, device="cpu").mean()
    of_kinds = {
        name: hitofude.predict_known(finished.folder.path, images, device="cpu").mean()
        for name, images in strangers.items()
    }
    assert known > 0.85
    assert max(of_kinds[name] for name in ("stripes", "smooth textures", "shuffled quarters")) < known / 3


def test_the_threshold_is_that_of_rows_which_the_member_held_out(finished: RunResult) -> None:
    novelty = load_novelty(finished.folder)
    assert novelty is not None
    images = torch.from_numpy(sample().train.images[:300][finished.held_out[:, novelty.member]])
    _, scores = Model.load(finished.folder.path, device="cpu").predict_with_novelty(images)
    np.testing.assert_allclose(np.sort(scores), novelty.held_out_scores, atol=1e-5)


def test_a_distilled_run_has_the_thresholds_of_a_member_that_holds_rows_out(distilled: RunResult) -> None:
    novelty = load_novelty(distilled.folder)
    assert novelty is not None
    assert novelty.member == next(iter(distilled.summary.predicting))
    assert not distilled.held_out[:, novelty.member].any()
    assert len(novelty.held_out_scores) >= 100


def test_the_file_names_what_is_none_of_these_and_the_score(
    finished: RunResult, dataset: Dataset, call: Call, tmp_path: Path
) -> None:
    assert dataset.test is not None
    table, out = write_csv(tmp_path / "test.csv", dataset.test, label=None), tmp_path / "answers.csv"
    code, said, _ = call("predict", finished.folder.path, table, "--known", "0.5", "--out", out, "--device", "cpu")
    frame, threshold = pd.read_csv(out, dtype={"label": str}), known_threshold_of(finished.folder, 0.5)
    none = frame["label"] == NONE_OF_THESE
    assert code == 0
    assert frame.columns[:3].tolist() == ["id", "label", "novelty"]
    assert 0 < none.sum() < len(frame)
    assert (none == (frame["novelty"] > threshold)).all()
    assert f"{none.sum()} of {len(frame)} none of these" in said


def test_bulk_files_and_python_agree(finished: RunResult, dataset: Dataset, tmp_path: Path) -> None:
    assert dataset.test is not None
    table = write_csv(tmp_path / "test.csv", dataset.test, label=None)
    bulk = predict_in_bulk(
        finished.folder.path, [table], tmp_path / "out", workers=1, threads=1, device="cpu", known=0.6, quiet=True
    )
    labels = pd.read_csv(tmp_path / "out" / "test.csv", dtype=str)["label"].to_numpy()
    known = hitofude.predict_known(finished.folder.path, dataset.test.images, 0.6, device="cpu")
    assert ((labels == NONE_OF_THESE) == ~known).all()
    assert bulk.unanswered == (~known).sum()
    assert predict_files(finished.folder.path, [table], known=0.6, device="cpu").labels.tolist() == labels.tolist()


def test_every_digit_of_a_cascade_is_scored_by_the_member_asked_first(cascaded: RunResult, dataset: Dataset) -> None:
    novelty, cascade = load_novelty(cascaded.folder), cascaded.summary.cascade
    assert novelty is not None
    assert cascade is not None
    assert novelty.member == cascade.stages[0].member


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_share_is_refused(level: float, finished: RunResult) -> None:
    with pytest.raises(RecipeError, match=r"expected the share of known images to answer, such as 0\.95"):
        known_threshold_of(finished.folder, level)


def test_a_run_without_the_score_predicts_and_says_that_it_cannot_tell(
    finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    assert dataset.test is not None
    folder = copy_of(finished, tmp_path)
    folder.novelty.unlink()
    probabilities, novelty = Model.load(folder.path, device="cpu").predict_with_novelty(
        torch.from_numpy(dataset.test.images)
    )
    assert np.isnan(novelty).all()
    assert np.array_equal(probabilities, hitofude.predict(finished.folder.path, dataset.test.images, device="cpu"))
    with pytest.raises(RunFolderError, match="cannot tell images of other kinds"):
        hitofude.predict_known(folder.path, dataset.test.images, device="cpu")


def test_a_damaged_file_is_named(finished: RunResult, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    folder.novelty.write_bytes(folder.novelty.read_bytes()[:1000])
    with pytest.raises(RunFolderError, match=r"novelty\.npz is missing or damaged"):
        Model.load(folder.path, device="cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"means": np.zeros((10, 3), dtype=np.float32)}, {"projection": np.zeros(4, dtype=np.float16)},
        {"held_out_scores": np.zeros(0, dtype=np.float32)}, {"center": np.array(["a", "b"])}, {"member": np.zeros(2)},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_arrays_that_do_not_fit_together_are_refused(
    change: dict[str, NDArray[Any]], finished: RunResult, tmp_path: Path
) -> None:
    folder = copy_of(finished, tmp_path)
    write_npz(folder.novelty, **{**read_npz(folder.novelty), **change})
    with pytest.raises(RunFolderError, match=r"novelty\.npz is damaged"):
        load_novelty(folder)


def test_the_score_is_the_same_if_the_run_is_made_again_in_another_folder(
    finished: RunResult, tmp_path: Path, dataset: Dataset
) -> None:
    copy = copy_of(finished, tmp_path)
    before = copy.novelty.read_bytes()
    for name in (copy.novelty, copy.report):
        name.unlink()
    hitofude.run(dataset, run=copy.path, settings=SETTINGS, device="cpu", quiet=True)
    assert RunFolder(copy.path).novelty.read_bytes() == before
