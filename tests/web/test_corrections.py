"""Corrections are kept to train on: whole files, one for each drawing, in folders of classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hitofude.errors import InputError, RunFolderError
from hitofude.export.onnx_model import OnnxModel
from hitofude.inputs.sources import open_source
from hitofude.web.corrections import Corrections, FullError
from tests.conftest import Call
from tests.web.conftest import Running
from tests.web.tiny_model import DIGITS, drawing_of


def drawing(seed: int, channels: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (channels, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_kept_is_read_back_pixel_for_pixel_with_its_label(channels: int, tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / "kept", ("a b", "4", "う"), 100)
    kept = {
        corrections.keep(drawing(seed, channels), label): (seed, label) for seed, label in enumerate(["う", "4", "a b"])
    }
    train = open_source(train=tmp_path / "kept").train
    for id, image, label in zip(train.ids, train.images, train.known_labels(), strict=True):
        seed, name = kept[str(id)]
        assert train.classes[label] == name
        assert np.array_equal(image, drawing(seed, channels))


@pytest.mark.slow
def test_run_learns_from_corrections(tmp_path: Path, call: Call) -> None:
    corrections = Corrections(tmp_path / "kept", DIGITS, 100)
    for seed in range(20):
        corrections.keep(drawing(seed), DIGITS[seed % 2])
    settings = ["--set", "schedule.epochs=1", "--set", "schedule.min_steps=0", "--set", "ensemble.folds=2"]
    code, out, err = call("run", "--train", tmp_path / "kept", "--run", tmp_path / "run", *settings)
    assert (code, err) == (0, "")
    assert "20" in out


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path, DIGITS, 100)
    path = tmp_path / corrections.keep(drawing(0), "3")
    before = path.stat().st_mtime_ns
    assert tmp_path / corrections.keep(drawing(0), "3") == path
    assert (corrections.total(), path.stat().st_mtime_ns) == (1, before)


def test_the_last_word_on_a_drawing_counts(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path, DIGITS, 1)
    corrections.keep(drawing(0), "3")
    kept = corrections.keep(drawing(0), "8")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["8", kept]


def test_there_is_an_end_to_what_is_kept(tmp_path: Path) -> None:
    corrections = Corrections(tmp_path, DIGITS, 2)
    for seed in range(2):
        corrections.keep(drawing(seed), "3")
    with pytest.raises(FullError):
        corrections.keep(drawing(2), "3")
    assert corrections.total() == 2


@pytest.mark.parametrize(
    "label",
    ["", ".", "..", "../up", "a/b", "a\\b", ".hidden", " padded", "padded ", "a\nb", "a\0b", "x" * 300, "Thumbs.db"],
)
def test_a_class_that_no_folder_can_be_called_is_refused(label: str, tmp_path: Path) -> None:
    corrections = Corrections(tmp_path / "kept", (label, "7"), 100)
    with pytest.raises(InputError, match="no folder can have this name"):
        corrections.keep(drawing(0), label)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_server_left_does_not_stand_in_the_way_of_training(tmp_path: Path) -> None:
    Corrections(tmp_path, DIGITS, 100).keep(drawing(0), "3")
    Corrections(tmp_path, DIGITS, 100).keep(drawing(1), "4")
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / ".half.png.123.tmp").write_bytes(b"half")
    assert Corrections(tmp_path, DIGITS, 100).total() == 2
    assert open_source(train=tmp_path).train.classes == ("3", "4")


def test_a_place_that_is_no_folder_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError):
        Corrections(tmp_path / "file", DIGITS, 100)


def test_the_page_keeps_and_counts(server: Running) -> None:
    before = server.get("/api/corrections").json["total"]
    answer = server.post("/api/corrections", {"pixels": drawing_of(4).ravel().tolist(), "label": "9"})
    assert answer.status == 201
    assert answer.json["kept"].startswith("9/")
    assert answer.json["total"] == server.get("/api/corrections").json["total"] == before + 1


@pytest.mark.parametrize("label", ["10", "", "../../9", "9\0", None, 9])
def test_a_label_that_is_no_class_is_refused(label: object, server: Running) -> None:
    answer = server.post("/api/corrections", {"pixels": [0] * 784, "label": label})
    assert answer.status == 422
    assert answer.detail.startswith("label")


def test_a_disk_that_does_not_take_it_is_no_secret_but_its_path_is(
    start: Callable[..., Running], model: OnnxModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(model, corrections=tmp_path / "place" / "kept")
    (tmp_path / "place").write_text("in the way")
    answer = server.post("/api/corrections", {"pixels": [0] * 784, "label": "9"})
    assert answer.status == 503
    assert str(tmp_path) not in answer.detail
    assert str(tmp_path) in caplog.text


def test_a_full_folder_is_said(start: Callable[..., Running], model: OnnxModel) -> None:
    server = start(model, {"corrections": 0})
    assert server.post("/api/corrections", {"pixels": [0] * 784, "label": "9"}).status == 409
