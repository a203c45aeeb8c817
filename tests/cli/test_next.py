"""The command `hitofude next`: the images that it chooses, and the way of their labels into a run."""

import re
import signal
from pathlib import Path

import numpy as np
import pytest

from hitofude.inputs.image_set import ImageSet
from hitofude.inputs.judgements import Judgement, Judgements
from hitofude.inputs.sources import sample
from hitofude.inputs.to_label import ToLabel
from hitofude.metrics.acquisition import unclearness
from hitofude.prediction.files import predict
from hitofude.runs.result import RunResult
from tests.cli.test_review import reviewing, told
from tests.conftest import Call, write_csv
from tests.web.conftest import PATIENCE


@pytest.fixture(scope="module")
def pool() -> ImageSet:
    """70 images: 20 that the run learned from, 45 others, and 5 of these once more."""
    return sample().train.take(np.concatenate([np.arange(280, 345), np.arange(300, 305)]))


@pytest.fixture
def run(finished: RunResult, files: Path, tmp_path: Path) -> Path:
    """The finished run, as if the command had made it."""
    return told(finished, tmp_path, f"hitofude run '{files}' --network cnn-lean").folder.path


def test_new_images_are_chosen_with_their_scores_the_same_ones_each_time(
    run: Path, pool: ImageSet, call: Call, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "pool.csv", pool, label=None)
    code, said, error = call("next", run, file, "--count", "12", "--out", tmp_path / "first")
    assert (code, error) == (0, "")
    assert "12 images of 70 chosen" in " ".join(said.split())
    assert "20 known to the run and 5 copies left out" in " ".join(said.split())
    found = ToLabel(tmp_path / "first").load_images()
    rows = found.ids.astype(int) - 1
    assert set(rows) <= set(range(20, 65))
    assert np.array_equal(found.images, pool.images[rows])
    assert np.allclose(found.probabilities, predict(run, pool.images[rows]), atol=1e-5)
    assert np.allclose(found.scores, unclearness(found.probabilities))
    call("next", run, file, "--count", "12", "--out", tmp_path / "second")
    assert (tmp_path / "first" / "next.csv").read_bytes() == (tmp_path / "second" / "next.csv").read_bytes()


def test_labels_of_chosen_images_go_into_the_run_by_the_command_that_is_kept(
    run: Path, files: Path, pool: ImageSet, call: Call, tmp_path: Path
) -> None:
    folder = ToLabel(tmp_path / "to-label")
    call("next", run, write_csv(tmp_path / "pool.csv", pool, label=None), "--count", "8", "--out", folder.path)
    command = folder.load_description().command
    assert command == f"hitofude run '{files}' --network cnn-lean --add {folder.path}"
    judgements = Judgements(folder.labels(), pool.classes, dict.fromkeys(folder.load_images().ids.tolist()))
    for id in folder.load_images().ids[:5].tolist():
        judgements.judge(id, Judgement("label", pool.classes[pool.known_labels()[int(id) - 1]]))
    code, said, _ = call("data", "check", files, "--add", folder.path)
    assert code == 0
    assert re.search(r"training    305 in 10 classes", said)
    assert "read        5 labelled images of" in said


def test_images_of_a_run_whose_source_is_not_known_may_be_chosen_and_it_says_so(
    finished: RunResult, pool: ImageSet, call: Call, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "pool.csv", pool, label=None)
    code, said, error = call("next", finished.folder.path, file, "--count", "200", "--out", tmp_path / "out")
    assert code == 0
    assert "may be chosen" in " ".join(error.split())
    assert "65 images of 70 chosen" in " ".join(said.split())
    assert ToLabel(tmp_path / "out").load_description().command is None


@pytest.mark.parametrize(
    ("count", "rows", "complaint", "expected"),
    [("0", range(300, 310), "--count 0: expected a number from 1 up", 2), ("5", range(10), "learned from all", 2)],
)
def test_a_choice_that_cannot_be_made_says_why(
    count: str, rows: range, complaint: str, expected: int, run: Path, call: Call, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "pool.csv", sample().train.take(np.array(rows)), label=None)
    code, _, error = call("next", run, file, "--count", count, "--out", tmp_path / "out")
    assert code == expected
    assert complaint in " ".join(error.split())


def test_a_folder_that_may_hold_labels_is_left_alone(run: Path, pool: ImageSet, call: Call, tmp_path: Path) -> None:
    file, out = write_csv(tmp_path / "pool.csv", pool, label=None), tmp_path / "out"
    call("next", run, file, "--count", "3", "--out", out)
    before = (out / "next.csv").read_bytes()
    code, _, error = call("next", run, file, "--count", "4", "--out", out)
    assert code == 3
    assert f"hitofude review {out}" in " ".join(error.split())
    assert (out / "next.csv").read_bytes() == before


def test_labelling_ends_with_the_command_or_where_the_labels_belong(
    finished: RunResult, run: Path, files: Path, pool: ImageSet, call: Call, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "pool.csv", pool, label=None)
    expected = {
        run: f"train again with\n  hitofude run '{files}' --network cnn-lean --add {tmp_path / 'to label a'}",
        finished.folder.path: "train again on the source of the run, with --add",
    }
    for name, (source, end) in zip("ab", expected.items(), strict=True):
        folder = tmp_path / f"to label {name}"
        call("next", source, file, "--count", "2", "--out", folder)
        with reviewing(folder) as (process, server):
            for item in range(2):
                server.post("/api/judgements", {"item": item, "verdict": "label", "label": "3"})
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE)
        assert said.startswith(f"2 of 2 judged, in {folder / 'labels.csv'}: labelled 2\n")
        assert end.replace(f"{folder}", f"'{folder}'") in said
