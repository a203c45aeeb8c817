"""A distilled run: honest answers of a teacher in place of labels, one network that predicts, and the refusals."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import hitofude
from hitofude.errors import InputError, RecipeError, RunFolderError
from hitofude.inputs.dataset import Dataset
from hitofude.learning.checkpoint import MemberFolder
from hitofude.learning.compute import Compute
from hitofude.learning.ensemble import plan_members
from hitofude.learning.epoch_log import EpochLog
from hitofude.learning.networks import build_network
from hitofude.learning.speed import multiplications
from hitofude.metrics.calibration import with_temperature
from hitofude.prediction.model import Model
from hitofude.runs.folder import RunFolder
from hitofude.runs.pipeline import _Recorder
from hitofude.runs.result import RunResult
from hitofude.runs.teacher import Teacher
from hitofude.storage import read_npz, write_npz
from tests.conftest import STUDENT_SETTINGS, Call, copy_of

Distill = Callable[..., RunResult]


@pytest.fixture
def distill(finished: RunResult, dataset: Dataset, tmp_path: Path) -> Distill:
    def distill(source: Dataset = dataset, teacher: Path = finished.folder.path, **settings: object) -> RunResult:
        return hitofude.distill(
            source, teacher=teacher, run=tmp_path / "student", device="cpu", quiet=True,
            settings=STUDENT_SETTINGS | {name.replace("__", "."): value for name, value in settings.items()},
        )  # fmt: skip

    return distill


def test_a_member_learns_only_from_members_that_hold_out_the_same_rows(
    finished: RunResult, dataset: Dataset, compute: Compute, tmp_path: Path
) -> None:
    """So whatever member 2, which was trained on the labels of the first fold, answers: member 1 does not learn it."""
    other = copy_of(finished, tmp_path)
    _answer_differently(other)
    plans = plan_members(finished.recipe.with_settings({"ensemble.full_data_members": 1}), dataset.train)
    images = torch.from_numpy(dataset.train.images[:40])
    before, after = (Teacher.load(folder.path).answers(plans, images, compute) for folder in (finished.folder, other))
    assert [np.array_equal(before[member], after[member]) for member in range(3)] == [True, False, False]


def _answer_differently(folder: RunFolder) -> None:
    """Change the last layer of member 2 in its folder."""
    member, name = MemberFolder(folder.member(1)), folder.load_networks()[1]
    network = build_network(name, (1, 28, 28), 10, torch.Generator())
    epochs = member.load_finished(network)
    torch.nn.init.normal_(network.get_submodule("classify").weight, generator=torch.Generator().manual_seed(0))
    member.finish(network, {"member": 1, "network": name, "image_shape": "1x28x28", "classes": 10}, epochs)


def test_the_answers_are_the_mean_of_the_raw_probabilities(
    finished: RunResult, dataset: Dataset, compute: Compute
) -> None:
    plans = plan_members(finished.recipe.with_settings({"ensemble.full_data_members": 1}), dataset.train)
    images = torch.from_numpy(dataset.train.images[:40])
    members = Model.of_run(finished.folder, compute, None).predict_members(images)
    found = Teacher.load(finished.folder.path).answers(plans, images, compute)
    for member, expected in enumerate([members[0], members[1], members.mean(axis=0)]):
        assert np.allclose(found[member], expected, atol=1e-6)


def test_an_interrupted_distillation_ends_with_the_same_bytes_without_asking_again(
    distilled: RunResult, distill: Distill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(recorder: _Recorder, log: EpochLog) -> None:
        if len(recorder.logs) == 3:
            raise KeyboardInterrupt
        finish_epoch(recorder, log)

    finish_epoch, folder = _Recorder.epoch_finished, RunFolder(tmp_path / "student")
    monkeypatch.setattr(_Recorder, "epoch_finished", stop)
    with pytest.raises(KeyboardInterrupt):
        distill()
    assert folder.targets.exists()
    monkeypatch.setattr(_Recorder, "epoch_finished", finish_epoch)
    monkeypatch.setattr(Teacher, "answers", None)
    distill()
    assert not folder.targets.exists()
    weights = distilled.folder.members.rglob("weights.safetensors")
    for path in (*weights, distilled.folder.out_of_fold, distilled.folder.submission):
        assert (folder.path / path.relative_to(distilled.folder.path)).read_bytes() == path.read_bytes(), path


def test_the_network_on_all_rows_predicts_alone(distilled: RunResult, dataset: Dataset) -> None:
    """The others give the out-of-fold answers, at whose temperature its probabilities are."""
    assert dataset.test is not None
    assert distilled.member_probabilities is not None
    assert distilled.test_probabilities is not None
    calibration = distilled.summary.calibration
    expected = with_temperature(distilled.member_probabilities[2], calibration.out_of_fold_temperature)
    assert np.array_equal(distilled.test_probabilities, expected)
    assert len(Model.load(distilled.folder.path, device="cpu").networks) == 1
    assert np.allclose(hitofude.predict(distilled.folder.path, dataset.test.images, device="cpu"), expected, atol=1e-6)
    assert distilled.set_threshold(0.95) == pytest.approx(calibration.set_thresholds["0.95"])
    assert distilled.estimate is not None
    assert distilled.estimate.value == distilled.accuracy.value


def test_the_outcome_compares_operations_and_errors_with_the_teacher(distilled: RunResult, finished: RunResult) -> None:
    wrong, own_wrong = (run.accuracy.total - run.accuracy.right for run in (finished, distilled))
    networks = (
        multiplications(finished.summary.networks[0], (1, 28, 28)),
        multiplications(distilled.summary.networks[2], (1, 28, 28)),
    )
    theirs, ours = f"{2 * networks[0] / 1e6:.1f} million operations", f"{networks[1] / 1e6:.1f} million operations"
    lines = {line[: line.index("  ")]: line for line in distilled.describe().splitlines()}
    assert f": 2 networks, {theirs} an image; {wrong} of 300 wrong" in lines["teacher"]
    assert f" 1 network, {ours} an image, " in lines["distilled"]
    assert f" % of the teacher's; {own_wrong} of 300 wrong" in lines["distilled"]
    assert "50 images to predict were learned from" in lines["pseudo-labels"]
    report = distilled.folder.page.read_text(encoding="utf-8")
    assert f"take {theirs} for an image" in report
    assert "only by the network trained on all rows" in report


def test_a_teacher_of_other_labels_is_refused(distill: Distill, dataset: Dataset) -> None:
    labels = np.roll(dataset.train.known_labels(), 1)
    with pytest.raises(
        InputError, match=r"digits has other training images or labels than the teacher .*\n  hitofude run"
    ):
        distill(replace(dataset, train=replace(dataset.train, labels=labels)))


def test_the_command_names_the_teachers_own(finished: RunResult, call: Call) -> None:
    code, out, error = call("distill", "--teacher", finished.folder.path)
    assert (code, out) == (2, "")
    assert f"sample has other training images or labels than the teacher {finished.folder.path}" in error
    assert f"  {finished.summary.command}\n" in error


def test_a_teacher_of_other_folds_is_refused(distill: Distill, finished: RunResult, tmp_path: Path) -> None:
    other = copy_of(finished, tmp_path)
    arrays = read_npz(other.out_of_fold)
    write_npz(other.out_of_fold, **arrays | {"held_out": np.roll(arrays["held_out"], 1, axis=0)})
    with pytest.raises(RunFolderError, match=r"No member of the teacher .* holds out the 150 rows"):
        distill(teacher=other.path)


def test_folds_and_rows_cannot_be_set(distill: Distill) -> None:
    with pytest.raises(RecipeError, match=r"ensemble\.folds is that of the teacher"):
        distill(ensemble__folds=3)


def test_a_finished_folder_is_read_with_its_teacher_and_refused_with_another(
    distilled: RunResult, finished: RunResult, dataset: Dataset, tmp_path: Path
) -> None:
    def distill(teacher: Path) -> RunResult:
        return hitofude.distill(
            dataset, teacher=teacher, run=distilled.folder.path, device="cpu", quiet=True,
            settings=STUDENT_SETTINGS,
        )  # fmt: skip

    assert distill(finished.folder.path).summary == distilled.summary
    other = copy_of(finished, tmp_path)
    _answer_differently(other)
    with pytest.raises(RunFolderError, match="teacher_fingerprint: "):
        distill(other.path)
